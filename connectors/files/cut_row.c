#include "connectors/files/cut_row.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

enum { PIECE_BYTES = 16 * 1024 };

static mr_err read_all(int fd, char *data, size_t size, int64_t at, mr_error *ret_error)
{
    while (size > 0) {
        ssize_t got = pread(fd, data, size, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mr_fail_errno(ret_error, errno, "reading at byte %" PRId64, at);
        if (got == 0)
            return mr_fail(ret_error, MR_EDATALOSS, "changed while it was read: it ends at byte %" PRId64,
                           at);
        data += got;
        size -= (size_t)got;
        at += got;
    }
    return MR_OK;
}

static mr_err find_line_end(int fd, int64_t first, int64_t end, int64_t *ret_end, mr_error *ret_error)
{
    char last[2] = {0};
    int64_t tail = end - first < 2 ? end - first : 2;
    mr_err err = read_all(fd, last + 2 - tail, (size_t)tail, end - tail, ret_error);
    if (err != MR_OK)
        return err;
    if (last[1] == '\n')
        end -= last[0] == '\r' ? 2 : 1;
    else if (last[1] == '\r') /* before the end of the file */
        end--;
    *ret_end = end;
    return MR_OK;
}

static mr_err add_pieces(mr_sha256 *hash, int fd, int64_t first, int64_t end, mr_error *ret_error)
{
    char piece[PIECE_BYTES];
    mr_err err = MR_OK;
    while (err == MR_OK && first < end) {
        size_t size = end - first < PIECE_BYTES ? (size_t)(end - first) : PIECE_BYTES;
        err = read_all(fd, piece, size, first, ret_error);
        if (err == MR_OK)
            err = mr_sha256_add(hash, (mr_slice){piece, size}, ret_error);
        first += (int64_t)size;
    }
    return err;
}

mr_err cut_row_measure(int fd, int64_t first, int64_t end, int64_t *ret_length,
                       char ret_sha256[MR_SHA256_HEX_SIZE], mr_error *ret_error)
{
    mr_sha256 *hash = NULL;
    mr_err err = find_line_end(fd, first, end, &end, ret_error);
    if (err == MR_OK)
        err = mr_sha256_open(&hash, ret_error);
    if (err == MR_OK)
        err = add_pieces(hash, fd, first, end, ret_error);
    if (err == MR_OK)
        err = mr_sha256_finish(hash, ret_sha256, ret_error);
    mr_sha256_close(&hash);
    if (err == MR_OK)
        *ret_length = end - first;
    return err;
}
