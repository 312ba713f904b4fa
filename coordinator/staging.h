/* staging.h - the folder that coordinator and workers share: renames that survive a crash, nothing followed
 * that a tenant may have put there (R10).
 *
 * Paths are relative to STAGING, made of names that were checked. Every step may be repeated: what is there
 * already is not an error. Thread: any, except where said.
 */
#ifndef MR_COORDINATOR_STAGING_H
#define MR_COORDINATOR_STAGING_H

#include "core/slice.h"

typedef struct mr_staging mr_staging;

/* Creates STAGING, its folders and .staging-id (64 hex digits) when missing. */
mr_err mr_staging_open(const char *dir, mr_staging **ret_staging, mr_error *ret_error);
void mr_staging_close(mr_staging **staging); /* NULL-safe */
const char *mr_staging_id(const mr_staging *staging);
const char *mr_staging_dir(const mr_staging *staging); /* absolute */

/* Creates the folder and those above it, each durable in the one above. */
mr_err mr_staging_make(mr_staging *staging, const char *path, mr_error *ret_error);
/* Makes the names in the folder durable. A folder that is missing is not an error. */
mr_err mr_staging_sync(mr_staging *staging, const char *path, mr_error *ret_error);
/* Renames a file or folder without replacing. Missing at `from` and present at `to`: done before.
 * MR_ENOTFOUND when it is at neither, MR_EEXISTS when at both. Does not sync: see sync. */
mr_err mr_staging_move(mr_staging *staging, const char *from, const char *to, mr_error *ret_error);
/* Whether it is there: what cannot be looked at is an error, not missing. A link on the way is an error, too.
 */
mr_err mr_staging_find(mr_staging *staging, const char *path, bool *ret_there, mr_error *ret_error);
bool mr_staging_exists(mr_staging *staging,
                       const char *path); /* for views: false also when it cannot be told */
/* Writes a whole file under a temporary name, syncs it and puts it in place; replaces. The caller syncs the
 * folder. */
mr_err mr_staging_write(mr_staging *staging, const char *path, mr_slice text, mr_error *ret_error);
/* Opens a regular file for reading. */
mr_err mr_staging_read(mr_staging *staging, const char *path, int *ret_fd, mr_error *ret_error);
/* Whether a regular file with one link and of that size is there: MR_ENOTFOUND; MR_EINVALID says what is
 * wrong. */
mr_err mr_staging_check(mr_staging *staging, const char *path, int64_t size_bytes, mr_error *ret_error);
mr_err mr_staging_unlink(mr_staging *staging, const char *path, mr_error *ret_error);
/* The folder is gone at once and durably (renamed into incoming/); what was in it is removed by
 * mr_staging_sweep. */
mr_err mr_staging_discard(mr_staging *staging, const char *path, mr_error *ret_error);
/* Removes what was discarded. May take long: run it on a pool thread. */
void mr_staging_sweep(mr_staging *staging);
/* Calls fn with each name in the folder, without "." and "..". Stops when fn returns false. */
mr_err mr_staging_list(mr_staging *staging, const char *path, bool (*fn)(void *arg, const char *name),
                       void *arg, mr_error *ret_error);

/* Random hex digits, NUL included in `size`. */
void mr_random_hex(char *out, size_t size);

#endif
