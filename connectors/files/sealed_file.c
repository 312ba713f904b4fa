#include "connectors/files/sealed_file.h"

#include "core/sha256.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static mr_err look(int fd, const manifest_file *file, struct stat *ret_found, int64_t *ret_changed_ns,
                   mr_error *ret_error)
{
    if (fstat(fd, ret_found) != 0)
        return mr_fail_errno(ret_error, errno, "stat %s", file->path);
    *ret_changed_ns = (int64_t)ret_found->st_ctim.tv_sec * 1000000000 + ret_found->st_ctim.tv_nsec;
    return MR_OK;
}

static mr_err check_hash(int fd, const manifest_file *file, mr_error *ret_error)
{
    char found[MR_SHA256_HEX_SIZE];
    mr_err err = mr_sha256_file(fd, file->path, found, NULL, ret_error);
    if (err == MR_OK && strcmp(found, file->sha256) != 0)
        err =
            mr_fail(ret_error, MR_EDATALOSS, "%s: was changed after it was sealed: its SHA-256 is %s, was %s",
                    file->path, found, file->sha256);
    if (err == MR_OK && lseek(fd, 0, SEEK_SET) != 0)
        err = mr_fail_errno(ret_error, errno, "seek %s", file->path);
    return err;
}

mr_err sealed_file_check(int fd, const manifest_file *file, int64_t *ret_changed_ns, mr_error *ret_error)
{
    struct stat found;
    mr_err err = look(fd, file, &found, ret_changed_ns, ret_error);
    if (err != MR_OK || file->sha256[0] == '\0' || *ret_changed_ns == file->changed_ns)
        return err;
    return check_hash(fd, file, ret_error);
}

mr_err sealed_file_unchanged(int fd, const manifest_file *file, int64_t changed_ns, mr_error *ret_error)
{
    struct stat found;
    int64_t now_ns = 0;
    mr_err err = look(fd, file, &found, &now_ns, ret_error);
    if (err != MR_OK || (now_ns == changed_ns && found.st_size == file->size_bytes))
        return err;
    return mr_fail(ret_error, MR_EDATALOSS,
                   "%s: changed while it was read: it had %" PRId64 " bytes, now %jd", file->path,
                   file->size_bytes, (intmax_t)found.st_size);
}
