/* staging.c - see staging.h. */
#include "coordinator/staging.h"

#include "core/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ID_DIGITS = 32 };

#define DISCARDED "discarded-" /* prefix of names in incoming/ */

struct mr_staging {
    int fd;
    char dir[PATH_MAX];
    char id[ID_DIGITS + 1];
};

void mr_random_hex(char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < size; i += 16) {
        unsigned char bytes[8];
        if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
            abort(); /* blocks until there is entropy; fails only on a kernel that we do not support */
        for (size_t j = 0; j < 16 && i + j + 1 < size; j++)
            out[i + j] = digits[j % 2 == 0 ? bytes[j / 2] >> 4 : bytes[j / 2] & 15];
    }
    out[size - 1] = '\0';
}

/* Opens below STAGING without following links. */
static int open_beneath(const mr_staging *staging, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    return (int)syscall(SYS_openat2, staging->fd, path, &how, sizeof how);
}

/* Opens the folder that holds `path` and gives the name in it. */
static mr_err open_parent(const mr_staging *staging, const char *path, int *ret_fd, const char **ret_name,
                          mr_error *ret_error)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX] = ".";
    if (slash != NULL)
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    int fd = open_beneath(staging, parent, O_DIRECTORY | O_PATH);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "staging %s: %s", staging->dir, parent);
    *ret_fd = fd;
    *ret_name = slash != NULL ? slash + 1 : path;
    return MR_OK;
}

mr_err mr_staging_sync(mr_staging *staging, const char *path, mr_error *ret_error)
{
    int fd = open_beneath(staging, path, O_DIRECTORY | O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return MR_OK;
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "staging %s: %s", staging->dir, path);
    int code = fsync(fd);
    int errnum = errno;
    close(fd);
    return code == 0 ? MR_OK : mr_fail_errno(ret_error, errnum, "staging %s: fsync %s", staging->dir, path);
}

mr_err mr_staging_make(mr_staging *staging, const char *path, mr_error *ret_error)
{
    if (mr_staging_exists(staging, path))
        return MR_OK;
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(above, sizeof above, "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    if (slash != NULL) {
        mr_err err = mr_staging_make(staging, above, ret_error);
        if (err != MR_OK)
            return err;
    }
    int fd;
    const char *name;
    mr_err err = open_parent(staging, path, &fd, &name, ret_error);
    if (err != MR_OK)
        return err;
    int code = mkdirat(fd, name, 0755);
    int errnum = errno;
    close(fd);
    if (code != 0 && errnum != EEXIST)
        return mr_fail_errno(ret_error, errnum, "staging %s: mkdir %s", staging->dir, path);
    return mr_staging_sync(staging, above, ret_error);
}

mr_err mr_staging_find(mr_staging *staging, const char *path, bool *ret_there, mr_error *ret_error)
{
    int fd = open_beneath(staging, path, O_PATH);
    if (fd < 0 && errno != ENOENT)
        return mr_fail_errno(ret_error, errno, "staging %s: %s", staging->dir, path);
    if (fd >= 0)
        close(fd);
    *ret_there = fd >= 0;
    return MR_OK;
}

bool mr_staging_exists(mr_staging *staging, const char *path)
{
    bool there = false;
    return mr_staging_find(staging, path, &there, NULL) == MR_OK && there;
}

/* What is missing at `from`: was it moved before? */
static mr_err check_moved(mr_staging *staging, const char *from, const char *to, mr_error *ret_error)
{
    bool there = false;
    mr_err err = mr_staging_find(staging, to, &there, ret_error);
    if (err != MR_OK || there)
        return err;
    return mr_fail_errno(ret_error, ENOENT, "staging %s: rename %s to %s", staging->dir, from, to);
}

mr_err mr_staging_move(mr_staging *staging, const char *from, const char *to, mr_error *ret_error)
{
    int from_fd = -1, to_fd = -1;
    const char *from_name, *to_name;
    mr_err err = open_parent(staging, to, &to_fd, &to_name, ret_error);
    if (err != MR_OK)
        return err;
    err = open_parent(staging, from, &from_fd, &from_name, ret_error);
    if (err == MR_OK && renameat2(from_fd, from_name, to_fd, to_name, RENAME_NOREPLACE) != 0)
        err = mr_fail_errno(ret_error, errno, "staging %s: rename %s to %s", staging->dir, from, to);
    if (from_fd >= 0)
        close(from_fd);
    close(to_fd);
    return err == MR_ENOTFOUND ? check_moved(staging, from, to, ret_error) : err;
}

mr_err mr_staging_write(mr_staging *staging, const char *path, mr_slice text, mr_error *ret_error)
{
    int dir;
    const char *name;
    mr_err err = open_parent(staging, path, &dir, &name, ret_error);
    if (err != MR_OK)
        return err;
    char temporary[NAME_MAX + 1];
    snprintf(temporary, sizeof temporary, ".%.200s.new", name);
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool ok = fd >= 0;
    for (size_t done = 0; ok && done < text.size;) {
        ssize_t size = write(fd, text.data + done, text.size - done);
        ok = size > 0;
        done += ok ? (size_t)size : 0;
    }
    ok = ok && fsync(fd) == 0 && renameat(dir, temporary, dir, name) == 0;
    if (!ok) {
        err = mr_fail_errno(ret_error, errno, "staging %s: write %s", staging->dir, path);
        if (fd >= 0)
            (void)unlinkat(dir, temporary, 0);
    }
    if (fd >= 0)
        close(fd);
    close(dir);
    return err;
}

mr_err mr_staging_read(mr_staging *staging, const char *path, int *ret_fd, mr_error *ret_error)
{
    int fd = open_beneath(staging, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "staging %s: %s", staging->dir, path);
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1) {
        close(fd);
        return mr_fail(ret_error, MR_EREFUSED, "staging %s: %s is not a regular file with one link",
                       staging->dir, path);
    }
    *ret_fd = fd;
    return MR_OK;
}

mr_err mr_staging_check(mr_staging *staging, const char *path, int64_t size_bytes, mr_error *ret_error)
{
    struct stat status;
    int fd = open_beneath(staging, path, O_PATH);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "staging %s: %s", staging->dir, path);
    int code = fstat(fd, &status);
    int errnum = errno;
    close(fd);
    if (code != 0)
        return mr_fail_errno(ret_error, errnum, "staging %s: %s", staging->dir, path);
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
        return mr_fail(ret_error, MR_EINVALID, "it is a link, a folder, or a device");
    if (status.st_size != size_bytes)
        return mr_fail(ret_error, MR_EINVALID, "it has %jd bytes, %jd were uploaded",
                       (intmax_t)status.st_size, (intmax_t)size_bytes);
    return MR_OK;
}

mr_err mr_staging_unlink(mr_staging *staging, const char *path, mr_error *ret_error)
{
    int fd;
    const char *name;
    mr_err err = open_parent(staging, path, &fd, &name, ret_error);
    if (err != MR_OK)
        return err == MR_ENOTFOUND ? MR_OK : err;
    int code = unlinkat(fd, name, 0);
    int errnum = errno;
    close(fd);
    return code == 0 || errnum == ENOENT
               ? MR_OK
               : mr_fail_errno(ret_error, errnum, "staging %s: unlink %s", staging->dir, path);
}

mr_err mr_staging_discard(mr_staging *staging, const char *path, mr_error *ret_error)
{
    bool there;
    mr_err err = mr_staging_find(staging, path, &there, ret_error);
    if (err != MR_OK || !there)
        return err;
    char random[17], target[64];
    mr_random_hex(random, sizeof random);
    snprintf(target, sizeof target, "incoming/" DISCARDED "%s", random);
    err = mr_staging_move(staging, path, target, ret_error);
    if (err == MR_OK)
        err = mr_staging_sync(staging, "incoming", ret_error);
    if (err != MR_OK)
        return err;
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(above, sizeof above, "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    return mr_staging_sync(staging, above, ret_error);
}

/* Removes a folder and all in it by descriptors, so that a link in it leads nowhere. Paths below may be
 * deeper than PATH_MAX; the depth is bounded by the descriptors we may hold, so what is deeper is moved up
 * first. */
static void remove_tree(int parent, const char *name, int top, int depth)
{
    int fd = openat(parent, name, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        unlinkat(parent, name, 0);
        return;
    }
    if (depth > 64) {
        char random[17], moved[40];
        mr_random_hex(random, sizeof random);
        snprintf(moved, sizeof moved, DISCARDED "%s", random);
        close(fd);
        renameat(parent, name, top, moved);
        return;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM))
            remove_tree(fd, entry->d_name, top, depth + 1);
    }
    closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

typedef struct sweep_pass {
    int fd;
    bool found;
} sweep_pass;

static bool sweep_one(void *arg, const char *name)
{
    sweep_pass *sweep = arg;
    if (strncmp(name, DISCARDED, sizeof DISCARDED - 1) == 0) {
        sweep->found = true;
        remove_tree(sweep->fd, name, sweep->fd, 0);
    }
    return true;
}

void mr_staging_sweep(mr_staging *staging)
{
    sweep_pass sweep = {.fd = open_beneath(staging, "incoming", O_DIRECTORY | O_RDONLY)};
    if (sweep.fd < 0)
        return;
    for (int rounds = 0; rounds < 1000; rounds++) { /* again for what was moved up */
        sweep.found = false;
        if (mr_staging_list(staging, "incoming", sweep_one, &sweep, NULL) != MR_OK || !sweep.found)
            break;
    }
    close(sweep.fd);
}

mr_err mr_staging_list(mr_staging *staging, const char *path, bool (*fn)(void *arg, const char *name),
                       void *arg, mr_error *ret_error)
{
    int fd = open_beneath(staging, path, O_DIRECTORY | O_RDONLY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return mr_fail_errno(ret_error, errnum, "staging %s: %s", staging->dir, path);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!fn(arg, entry->d_name))
            break;
    }
    closedir(dir);
    return MR_OK;
}

/* mkdir -p of an absolute or relative path. */
static mr_err make_dir(const char *dir, mr_error *ret_error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return mr_fail_errno(ret_error, errno, "staging.dir %s", dir);
        if (slash == NULL)
            return MR_OK;
        *slash = '/';
    }
}

static mr_err load_id(mr_staging *staging, mr_error *ret_error)
{
    int fd;
    mr_err err = mr_staging_read(staging, ".staging-id", &fd, ret_error);
    if (err == MR_ENOTFOUND) {
        char id[ID_DIGITS + 2];
        mr_random_hex(id, ID_DIGITS + 1);
        memcpy(staging->id, id, sizeof staging->id);
        id[ID_DIGITS] = '\n';
        err = mr_staging_write(staging, ".staging-id", (mr_slice){id, ID_DIGITS + 1}, ret_error);
        return err == MR_OK ? mr_staging_sync(staging, ".", ret_error) : err;
    }
    if (err != MR_OK)
        return err;
    ssize_t size = read(fd, staging->id, ID_DIGITS);
    close(fd);
    if (size != ID_DIGITS || strspn(staging->id, "0123456789abcdef") != ID_DIGITS)
        return mr_fail(ret_error, MR_EINVALID,
                       "%s/.staging-id does not hold %d hex digits: restore it, or remove it "
                       "while no worker runs",
                       staging->dir, ID_DIGITS);
    return MR_OK;
}

mr_err mr_staging_open(const char *dir, mr_staging **ret_staging, mr_error *ret_error)
{
    static const char *const folders[] = {"tenants", "runs", "programs", "incoming"};
    static const mode_t modes[] = {0700, 0711, 0711, 0700};
    mr_err err = make_dir(dir, ret_error);
    if (err != MR_OK)
        return err;
    mr_staging *staging = calloc(1, sizeof *staging);
    if (staging == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "staging: out of memory");
    staging->fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (staging->fd < 0 || realpath(dir, staging->dir) == NULL)
        err = mr_fail_errno(ret_error, errno, "staging.dir %s", dir);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && err == MR_OK; i++)
        err = mr_staging_make(staging, folders[i], ret_error);
    /* Programs pass through runs/ and programs/, and nothing else is theirs. */
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && err == MR_OK; i++)
        if (fchmodat(staging->fd, folders[i], modes[i], 0) != 0)
            err = mr_fail_errno(ret_error, errno, "staging %s: mode of %s", dir, folders[i]);
    if (err == MR_OK)
        err = load_id(staging, ret_error);
    if (err != MR_OK) {
        mr_staging_close(&staging);
        return err;
    }
    *ret_staging = staging;
    return MR_OK;
}

void mr_staging_close(mr_staging **staging)
{
    if (*staging == NULL)
        return;
    if ((*staging)->fd >= 0)
        close((*staging)->fd);
    free(*staging);
    *staging = NULL;
}

const char *mr_staging_id(const mr_staging *staging)
{
    return staging->id;
}

const char *mr_staging_dir(const mr_staging *staging)
{
    return staging->dir;
}
