/* program_store.h - tenants' programs: a folder each below STAGING/programs, named by the SHA-256 of what is
 * in it.
 *
 * The archive is hostile: it holds regular files and folders only, with relative paths inside it, at most 64
 * MiB and 10,000 entries. A stored program is complete and durable, never changed, and the same program is
 * stored once. Thread: any; blocks on the disk.
 */
#ifndef MR_COORDINATOR_PROGRAM_STORE_H
#define MR_COORDINATOR_PROGRAM_STORE_H

#include "core/error.h"

#include <stdbool.h>

typedef enum mr_program_store_mode {
    MR_PROGRAM_KEEP,
    MR_PROGRAM_CHECK_ONLY, /* all checks, but nothing is stored */
} mr_program_store_mode;

/* Creates STAGING/programs when missing, and removes what an unpacking that was cut off left there. */
mr_err mr_program_store_open(const char *staging_dir, mr_error *ret_error);

/* Unpacks the tar in `tar_fd` (read from its present place). `needs_run`: it must hold an executable file
 * `run`. ret_sha256 gets 64 hex digits and a NUL: a hash over sorted paths, executable bits and contents, so
 * that times and owners do not matter. MR_EINVALID names the entry; MR_ETOOLARGE the bound; MR_ENOSPC. */
mr_err mr_program_store_put(const char *staging_dir, int tar_fd, bool needs_run, mr_program_store_mode mode,
                            char ret_sha256[65], mr_error *ret_error);

#endif
