/* folder.h - folders that a tenant's program may have written, handled by descriptor (R10), and made durable.
 */
#ifndef MR_TASK_FOLDER_H
#define MR_TASK_FOLDER_H

#include "core/slice.h"

/* Opens a folder by its path; `ret_fd` is for the functions below and fsync. */
mr_err folder_open(const char *path, int *ret_fd, mr_error *ret_error);
/* As folder_open, below `at`: no links on the way, nothing outside. Also for a file, read-only. */
mr_err folder_open_below(int at, const char *path, bool folder, int *ret_fd, mr_error *ret_error);
/* Makes a folder below `at` and opens it; `mode` as for mkdir. MR_EEXISTS. */
mr_err folder_make(int at, const char *name, unsigned mode, int *ret_fd, mr_error *ret_error);

/* The names in a folder, sorted, without . and ..; close with folder_names_free. */
typedef struct folder_names {
    char **names;
    size_t count;
} folder_names;
mr_err folder_list(int fd, folder_names *ret_names, mr_error *ret_error);
void folder_names_free(folder_names *names);

/* Removes a tree below `at`, links as links. What cannot be removed stays. Nothing there: nothing done. */
void folder_remove(int at, const char *name);

#endif
