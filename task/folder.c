#include "task/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

mr_err folder_open(const char *path, int *ret_fd, mr_error *ret_error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "folder %s", path);
    *ret_fd = fd;
    return MR_OK;
}

/* What a program may have done, apart from what a disk does. */
static mr_err fail_open(int errnum, const char *path, mr_error *ret_error)
{
    switch (errnum) {
    case ELOOP:
        return mr_fail(ret_error, MR_EINVALID, "%s: is, or lies behind, a symbolic link", path);
    case ENOTDIR:
        return mr_fail(ret_error, MR_EINVALID, "%s: is, or lies in, what is not a folder", path);
    case EXDEV:
        return mr_fail(ret_error, MR_EINVALID, "%s: leads outside", path);
    case EACCES:
    case EPERM:
        return mr_fail(ret_error, MR_EINVALID, "%s: its permissions forbid to read it", path);
    default:
        return mr_fail_errno(ret_error, errnum, "%s", path);
    }
}

static mr_err open_below(int at, const char *path, int flags, int *ret_fd, mr_error *ret_error)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do
        fd = syscall(SYS_openat2, at, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0)
        return fail_open(errno, path, ret_error);
    *ret_fd = (int)fd;
    return MR_OK;
}

mr_err folder_open_below(int at, const char *path, bool folder, int *ret_fd, mr_error *ret_error)
{
    return open_below(at, path, O_RDONLY | O_NONBLOCK | (folder ? O_DIRECTORY : 0), ret_fd, ret_error);
}

mr_err folder_open_plain(int at, const char *name, mode_t mode, struct stat *ret_info, int *ret_fd,
                         mr_error *ret_error)
{
    char link[40];
    int path_fd = -1, fd = -1;
    mr_err err = open_below(at, name, O_PATH | O_NOFOLLOW, &path_fd, ret_error);
    if (err != MR_OK)
        return err;
    if (fstat(path_fd, ret_info) != 0)
        err = mr_fail_errno(ret_error, errno, "%s", name);
    else
        err = folder_check_plain(ret_info, name, ret_error);
    snprintf(link, sizeof link, "/proc/self/fd/%d",
             path_fd); /* the same file, whatever its name means by now */
    if (err == MR_OK && ((mode != 0 && (chown(link, geteuid(), getegid()) != 0 || chmod(link, mode) != 0)) ||
                         (fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0))
        err = fail_open(errno, name, ret_error);
    close(path_fd);
    if (err == MR_OK)
        *ret_fd = fd;
    return err;
}

mr_err folder_check_plain(const struct stat *info, const char *name, mr_error *ret_error)
{
    const char *what = S_ISLNK(info->st_mode)    ? "is a symbolic link"
                       : S_ISDIR(info->st_mode)  ? "is a folder"
                       : !S_ISREG(info->st_mode) ? "is a device, socket or pipe"
                       : info->st_nlink != 1     ? "has more than one hard link"
                                                 : NULL;
    if (what == NULL)
        return MR_OK;
    return mr_fail(ret_error, MR_EINVALID, "%s: %s: only plain files, not in folders of their own, are taken",
                   name, what);
}

mr_err folder_make(int at, const char *name, unsigned mode, int *ret_fd, mr_error *ret_error)
{
    if (mkdirat(at, name, mode) != 0)
        return mr_fail_errno(ret_error, errno, "folder %s cannot be made", name);
    return folder_open_below(at, name, true, ret_fd, ret_error);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mr_err add_name(folder_names *names, size_t *capacity, const char *name)
{
    if (names->count == *capacity) {
        size_t grown = *capacity > 0 ? *capacity * 2 : 16;
        char **list = reallocarray(names->names, grown, sizeof *list);
        if (list == NULL)
            return MR_ENOMEM;
        names->names = list;
        *capacity = grown;
    }
    if ((names->names[names->count] = strdup(name)) == NULL)
        return MR_ENOMEM;
    names->count++;
    return MR_OK;
}

static mr_err read_names(DIR *dir, size_t most, folder_names *names)
{
    size_t capacity = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        mr_err err = names->count == most ? MR_ETOOLARGE : add_name(names, &capacity, entry->d_name);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

mr_err folder_list(int fd, size_t most, folder_names *ret_names, mr_error *ret_error)
{
    folder_names names = {0};
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        mr_err err = mr_fail_errno(ret_error, errno, "folder cannot be listed");
        if (copy >= 0)
            close(copy);
        return err;
    }
    mr_err err = read_names(dir, most, &names);
    closedir(dir);
    if (err != MR_OK) {
        folder_names_free(&names);
        return err == MR_ETOOLARGE
                   ? mr_fail(ret_error, err, "more than %zu files: make fewer, larger ones", most)
                   : mr_fail(ret_error, err, "out of memory");
    }
    if (names.count > 0)
        qsort(names.names, names.count, sizeof *names.names, by_name);
    *ret_names = names;
    return MR_OK;
}

void folder_names_free(folder_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (folder_names){0};
}

void folder_remove(int at, const char *name)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES &&
        fchmodat(at, name, 0700, 0) == 0) /* a program may have locked itself out */
        fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fchmod(fd, 0700);
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    for (struct dirent *entry;
         (entry = readdir(dir)) != NULL;) /* there may be millions: none is kept in memory */
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            folder_remove(fd, entry->d_name);
    closedir(dir);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}
