#include "coordinator/upload_stream.h"

#include "core/fault.h"
#include "core/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct mr_upload_stream {
    char *path;
    int fd;
    mr_sha256 *hash;
    int64_t size;
    bool keep;
};

mr_err mr_upload_stream_open(const char *staging_dir, const char *name, mr_upload_stream **ret_stream,
                             mr_error *ret_error)
{
    mr_upload_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    stream->fd = -1;
    stream->keep = true; /* nothing of ours yet */
    mr_err err = mr_sha256_open(&stream->hash, ret_error);
    if (err == MR_OK && asprintf(&stream->path, "%s/incoming/%s", staging_dir, name) < 0)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (err == MR_OK) {
        stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
        if (stream->fd < 0)
            err = mr_fail_errno(ret_error, errno, "%s", stream->path);
        else
            stream->keep = false;
    }
    if (err != MR_OK) {
        mr_upload_stream_close(&stream);
        return err;
    }
    *ret_stream = stream;
    return MR_OK;
}

mr_err mr_upload_stream_write(mr_upload_stream *stream, const char *data, size_t size, mr_error *ret_error)
{
    const mr_err err = mr_sha256_add(stream->hash, (mr_slice){data, size}, ret_error);
    if (err != MR_OK)
        return err;
    stream->size += (int64_t)size;
    while (size > 0) {
        const ssize_t written = write(stream->fd, data, size);
        if (written < 0 && errno != EINTR)
            return mr_fail_errno(ret_error, errno, "%s", stream->path);
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return MR_OK;
}

int64_t mr_upload_stream_size(const mr_upload_stream *stream)
{
    return stream->size;
}

mr_err mr_upload_stream_seal(mr_upload_stream *stream, char ret_sha256[65], mr_error *ret_error)
{
    const mr_err err = mr_sha256_finish(stream->hash, ret_sha256, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("upload_before_fsync");
    const int synced = fsync(stream->fd);
    const int problem = errno;
    close(stream->fd);
    stream->fd = -1;
    if (synced != 0)
        return mr_fail_errno(ret_error, problem, "%s", stream->path);
    MR_FAULT("upload_after_fsync");
    return MR_OK;
}

void mr_upload_stream_keep(mr_upload_stream *stream)
{
    stream->keep = true;
}

void mr_upload_stream_close(mr_upload_stream **stream)
{
    if (*stream == NULL)
        return;
    if ((*stream)->fd >= 0)
        close((*stream)->fd);
    if (!(*stream)->keep)
        (void)unlink((*stream)->path);
    mr_sha256_close(&(*stream)->hash);
    free((*stream)->path);
    free(*stream);
    *stream = NULL;
}
