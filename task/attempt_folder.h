/* attempt_folder.h - SOURCE_PATH of one attempt: fresh copies of the claimed files, and an empty out/. */
#ifndef MR_TASK_ATTEMPT_FOLDER_H
#define MR_TASK_ATTEMPT_FOLDER_H

#include "core/account.h"
#include "core/slice.h"

typedef struct attempt_folder {
    char *path; /* absolute */
    char *name; /* below the run */
    int run_fd; /* borrowed */
    int fd;
    const mr_account *owner; /* borrowed until open returns */
    uint64_t files, bytes;   /* copied */
} attempt_folder;

/* Makes {run}/attempt-{epoch}-{random}/{client}/in and out. Copies, never links: a program may change its
 * input. All is given to `owner`, unless that is NULL. */
mr_err attempt_folder_open(const char *run_dir, int run_fd, int64_t epoch, const char *client,
                           const mr_account *owner, attempt_folder *ret_folder, mr_error *ret_error);
/* Removes it with all that is in it; accepts a zeroed one. */
void attempt_folder_close(attempt_folder *folder);

/* Files and bytes in {run}/claimed. */
mr_err attempt_count_claimed(int run_fd, uint64_t *ret_files, uint64_t *ret_bytes, mr_error *ret_error);

#endif
