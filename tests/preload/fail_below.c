/* fail_below.c - LD_PRELOAD library: a disk that refuses, on demand.
 *
 * While the file MR_FAIL_CONTROL exists and holds lines "ERRNO FOLDER", what would change something below
 * FOLDER fails with that errno: open for writing, write, truncate, sync, mkdir, rename. A folder "/x" is not
 * meant by
 * "/xy". Reading goes on. Shared memory files of SQLite (-shm) are left alone: they are never synced.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real_function(#name))

enum { CONTROL_BYTES = 4096, CHANGING = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC };

static void *real_function(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

/* What the control file says now; by system calls, so that we do not meet ourselves. */
static bool read_control(char text[CONTROL_BYTES])
{
    const char *control = getenv("MR_FAIL_CONTROL");
    int fd = control == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, CONTROL_BYTES - 1);
    if (fd >= 0)
        (void)syscall(SYS_close, fd);
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

/* The errno for that path; 0: nothing is wrong with it. */
static int refusal(const char *path)
{
    char text[CONTROL_BYTES], *rest = NULL;
    size_t length = strlen(path);
    if ((length > 4 && strcmp(path + length - 4, "-shm") == 0) || !read_control(text))
        return 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *folder = NULL;
        int errnum = (int)strtol(line, &folder, 10);
        size_t size = strlen(++folder);
        if (strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0'))
            return errnum;
    }
    return 0;
}

/* True, with errno set, when what is about to be done to that descriptor fails. */
static bool fd_refused(int fd)
{
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    int errnum = refusal(path);
    errno = errnum != 0 ? errnum : saved;
    return errnum != 0;
}

static bool name_refused(int folder, const char *name)
{
    char link[64], path[PATH_MAX] = "";
    int saved = errno;
    size_t size = 0;
    if (name[0] != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t got = readlink(link, path, sizeof path - 1);
        size = got > 0 ? (size_t)got : 0;
        snprintf(path + size, sizeof path - size, "/");
        size++;
    }
    snprintf(path + size, sizeof path - size, "%s", name);
    int errnum = refusal(path);
    errno = errnum != 0 ? errnum : saved;
    return errnum != 0;
}

/* --- what is refused --- */

#define OPEN_LIKE(name)                                                                                      \
    int name(const char *path, int flags, ...)                                                               \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, flags);                                                                               \
        mode_t mode = va_arg(args, mode_t);                                                                  \
        va_end(args);                                                                                        \
        return (flags & CHANGING) != 0 && name_refused(AT_FDCWD, path) ? -1 : REAL(name)(path, flags, mode); \
    }
OPEN_LIKE(open)
OPEN_LIKE(open64)

#define OPENAT_LIKE(name)                                                                                    \
    int name(int folder, const char *path, int flags, ...)                                                   \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, flags);                                                                               \
        mode_t mode = va_arg(args, mode_t);                                                                  \
        va_end(args);                                                                                        \
        return (flags & CHANGING) != 0 && name_refused(folder, path)                                         \
                   ? -1                                                                                      \
                   : REAL(name)(folder, path, flags, mode);                                                  \
    }
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

ssize_t write(int fd, const void *bytes, size_t size)
{
    return fd_refused(fd) ? -1 : REAL(write)(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return fd_refused(fd) ? -1 : REAL(pwrite)(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return fd_refused(fd) ? -1 : REAL(pwrite64)(fd, bytes, size, at);
}

int ftruncate(int fd, off_t size)
{
    return fd_refused(fd) ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return fd_refused(fd) ? -1 : REAL(ftruncate64)(fd, size);
}

int fsync(int fd)
{
    return fd_refused(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fd_refused(fd) ? -1 : REAL(fdatasync)(fd);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    return name_refused(folder, name) ? -1 : REAL(mkdirat)(folder, name, mode);
}

int renameat(int from, const char *old, int to, const char *new)
{
    return name_refused(from, old) || name_refused(to, new) ? -1 : REAL(renameat)(from, old, to, new);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return name_refused(from, old) || name_refused(to, new) ? -1 : REAL(renameat2)(from, old, to, new, flags);
}
