/* folder.h - folders that a tenant's program may have written, handled by descriptor (R10), and made durable.
 */
#ifndef MR_TASK_FOLDER_H
#define MR_TASK_FOLDER_H

#include "core/slice.h"

#include <sys/stat.h>

/* Opens a folder by its path; `ret_fd` is for the functions below and fsync. */
mr_err folder_open(const char *path, int *ret_fd, mr_error *ret_error);
/* As folder_open, below `at`: no links on the way, nothing outside. Also for a file, read-only. MR_EINVALID
 * and MR_ENOTFOUND are about what lies there, the rest about the disk. */
mr_err folder_open_below(int at, const char *path, bool folder, int *ret_fd, mr_error *ret_error);
/* Opens the file `name` in `at` for reading, given to us with `mode` unless that is 0, when it is plain:
 * no link, folder, device, and no second hard link (MR_EINVALID). It is looked at before it is opened. */
mr_err folder_open_plain(int at, const char *name, mode_t mode, struct stat *ret_info, int *ret_fd,
                         mr_error *ret_error);
mr_err folder_check_plain(const struct stat *info, const char *name, mr_error *ret_error);
/* Makes a folder below `at` and opens it; `mode` as for mkdir. MR_EEXISTS. */
mr_err folder_make(int at, const char *name, unsigned mode, int *ret_fd, mr_error *ret_error);

/* The names in a folder, sorted, without . and ..; close with folder_names_free. MR_ETOOLARGE when there are
 * more than `most`. */
typedef struct folder_names {
    char **names;
    size_t count;
} folder_names;
mr_err folder_list(int fd, size_t most, folder_names *ret_names, mr_error *ret_error);
void folder_names_free(folder_names *names);

/* Removes a tree below `at`, links as links. What cannot be removed stays. Nothing there: nothing done. */
void folder_remove(int at, const char *name);

#endif
