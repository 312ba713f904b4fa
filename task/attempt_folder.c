#include "task/attempt_folder.h"

#include "task/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1024 * 1024 };

static mr_err copy_by_hand(int from, int to)
{
    char *block = malloc(COPY_BYTES);
    ssize_t size = -1;
    while (block != NULL && (size = read(from, block, COPY_BYTES)) > 0) {
        for (ssize_t done = 0, step; done < size; done += step) {
            step = write(to, block + done, (size_t)(size - done));
            if (step < 0) {
                int errnum = errno;
                free(block);
                errno = errnum;
                return MR_EIO;
            }
        }
    }
    free(block);
    return size == 0 ? MR_OK : MR_EIO;
}

/* A reflink where the file system has them; else the kernel copies; else we do. */
static mr_err copy_bytes(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0)
        return MR_OK;
    ssize_t step;
    while ((step = copy_file_range(from, NULL, to, NULL, COPY_BYTES * 64, 0)) > 0)
        continue;
    if (step == 0)
        return MR_OK;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return MR_EIO;
    return copy_by_hand(from, to);
}

static mr_err give(const attempt_folder *folder, int fd, mr_error *ret_error)
{
    if (folder->owner == NULL || fchown(fd, folder->owner->uid, folder->owner->gid) == 0)
        return MR_OK;
    return mr_fail_errno(ret_error, errno, "%s cannot be given to program.user", folder->name);
}

static mr_err copy_file(int claimed, int in, const char *name, attempt_folder *folder, mr_error *ret_error)
{
    struct stat info;
    int from = -1;
    mr_err err = folder_open_plain(claimed, name, 0, &info, &from, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "claimed");
    int to = openat(in, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (to < 0 || copy_bytes(from, to) != MR_OK)
        err = mr_fail_errno(ret_error, errno, "%s cannot be copied for the program", name);
    else
        (void)fchmod(to, 0644);
    if (err == MR_OK)
        err = give(folder, to, ret_error);
    if (err == MR_OK) {
        folder->files++;
        folder->bytes += (uint64_t)info.st_size;
    }
    close(from);
    if (to >= 0)
        close(to);
    return err;
}

static mr_err copy_claimed(attempt_folder *folder, int in, mr_error *ret_error)
{
    int claimed = -1;
    folder_names names = {0};
    mr_err err = folder_open_below(folder->run_fd, "claimed", true, &claimed, ret_error);
    if (err == MR_OK)
        err = folder_list(claimed, SIZE_MAX, &names, ret_error);
    for (size_t i = 0; err == MR_OK && i < names.count; i++)
        err = copy_file(claimed, in, names.names[i], folder, ret_error);
    folder_names_free(&names);
    if (claimed >= 0)
        close(claimed);
    return err;
}

static mr_err make_folders(attempt_folder *folder, const char *client, mr_error *ret_error)
{
    int client_fd = -1, in = -1, out = -1;
    mr_err err = folder_make(folder->run_fd, folder->name, 0700, &folder->fd, ret_error);
    if (err == MR_OK)
        err = folder_make(folder->fd, client, 0755, &client_fd, ret_error);
    if (err == MR_OK)
        err = folder_make(client_fd, "in", 0755, &in, ret_error);
    if (err == MR_OK)
        err = folder_make(client_fd, "out", 0755, &out, ret_error);
    if (err == MR_OK)
        err = copy_claimed(folder, in, ret_error);
    const int made[] = {folder->fd, client_fd, in, out};
    for (size_t i = 0; err == MR_OK && i < sizeof made / sizeof made[0]; i++)
        err = give(folder, made[i], ret_error);
    if (client_fd >= 0)
        close(client_fd);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return err;
}

mr_err attempt_folder_open(const char *run_dir, int run_fd, int64_t epoch, const char *client,
                           const mr_account *owner, attempt_folder *ret_folder, mr_error *ret_error)
{
    uint64_t random = 0;
    attempt_folder folder = {.run_fd = run_fd, .fd = -1, .owner = owner};
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return mr_fail_errno(ret_error, errno, "random number");
    if (asprintf(&folder.name, "attempt-%" PRId64 "-%016" PRIx64, epoch, random) < 0)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (asprintf(&folder.path, "%s/%s", run_dir, folder.name) < 0) {
        free(folder.name);
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    }
    mr_err err = make_folders(&folder, client, ret_error);
    folder.owner = NULL;
    if (err != MR_OK)
        attempt_folder_close(&folder);
    else
        *ret_folder = folder;
    return err;
}

void attempt_folder_close(attempt_folder *folder)
{
    if (folder->name == NULL)
        return;
    folder_remove(folder->run_fd, folder->name);
    if (folder->fd >= 0)
        close(folder->fd);
    free(folder->path);
    free(folder->name);
    *folder = (attempt_folder){.fd = -1};
}

mr_err attempt_count_claimed(int run_fd, uint64_t *ret_files, uint64_t *ret_bytes, mr_error *ret_error)
{
    int claimed = -1;
    folder_names names = {0};
    uint64_t bytes = 0;
    mr_err err = folder_open_below(run_fd, "claimed", true, &claimed, ret_error);
    if (err == MR_OK)
        err = folder_list(claimed, SIZE_MAX, &names, ret_error);
    for (size_t i = 0; err == MR_OK && i < names.count; i++) {
        struct stat info;
        if (fstatat(claimed, names.names[i], &info, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += (uint64_t)info.st_size;
    }
    if (err == MR_OK) {
        *ret_files = names.count;
        *ret_bytes = bytes;
    }
    folder_names_free(&names);
    if (claimed >= 0)
        close(claimed);
    return err;
}
