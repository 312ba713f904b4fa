#include "task/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
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

mr_err folder_open_below(int at, const char *path, bool folder, int *ret_fd, mr_error *ret_error)
{
    struct open_how how = {
        .flags = (uint64_t)(O_RDONLY | O_CLOEXEC | O_NONBLOCK | (folder ? O_DIRECTORY : 0)),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, at, path, &how, sizeof how);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "%s", path);
    *ret_fd = (int)fd;
    return MR_OK;
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

static mr_err read_names(DIR *dir, folder_names *names)
{
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char **grown = reallocarray(names->names, names->count + 1, sizeof *grown);
        if (grown == NULL)
            return MR_ENOMEM;
        names->names = grown;
        if ((names->names[names->count] = strdup(entry->d_name)) == NULL)
            return MR_ENOMEM;
        names->count++;
    }
    return MR_OK;
}

mr_err folder_list(int fd, folder_names *ret_names, mr_error *ret_error)
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
    mr_err err = read_names(dir, &names);
    closedir(dir);
    if (err != MR_OK) {
        folder_names_free(&names);
        return mr_fail(ret_error, err, "out of memory");
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
    folder_names names = {0};
    (void)fchmod(fd, 0700);
    if (folder_list(fd, &names, NULL) == MR_OK)
        for (size_t i = 0; i < names.count; i++)
            folder_remove(fd, names.names[i]);
    folder_names_free(&names);
    close(fd);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}
