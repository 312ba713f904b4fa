#include "connectors/files/open_below.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static mr_err fail_open(int errnum, const char *path, mr_error *ret_error)
{
    switch (errnum) {
    case ELOOP:
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: is, or lies behind, a symbolic link, which is never followed", path);
    case EXDEV:
        return mr_fail(ret_error, MR_EINVALID, "%s: leads out of the run's folder", path);
    case ENOENT:
        return mr_fail(ret_error, MR_EDATALOSS, "%s: the manifest lists it, but it is not there", path);
    default:
        return mr_fail_errno(ret_error, errnum, "open %s", path);
    }
}

static mr_err check(int fd, const char *path, int64_t size_bytes, mr_error *ret_error)
{
    struct stat found;
    if (fstat(fd, &found) != 0)
        return mr_fail_errno(ret_error, errno, "stat %s", path);
    if (!S_ISREG(found.st_mode))
        return mr_fail(ret_error, MR_EINVALID, "%s: is not a regular file", path);
    if (found.st_nlink != 1)
        return mr_fail(ret_error, MR_EINVALID, "%s: has %ju hard links, only a file with one is read", path,
                       (uintmax_t)found.st_nlink);
    if (found.st_size != size_bytes)
        return mr_fail(ret_error, MR_EDATALOSS, "%s: has %jd bytes, the manifest says %" PRId64, path,
                       (intmax_t)found.st_size, size_bytes);
    return MR_OK;
}

mr_err open_below(int root_fd, const char *path, int64_t size_bytes, int *ret_fd, mr_error *ret_error)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd;
    do {
        fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0)
        return fail_open(errno, path, ret_error);
    mr_err err = check(fd, path, size_bytes, ret_error);
    if (err != MR_OK) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return MR_OK;
}
