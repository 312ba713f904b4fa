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

enum { MR_PROGRAM_FOLDER_BYTES = 4096 };

/* Creates STAGING/programs when missing, and removes what an unpacking that was cut off left there. */
mr_err mr_program_store_open(const char *staging_dir, mr_error *ret_error);

/* Unpacks the tar in `tar_fd` (read from its present place), durably, into a folder of its own, which is not
 * a stored program yet: keep it or discard it. `needs_run`: it must hold an executable file `run`. ret_sha256
 * gets 64 hex digits and a NUL: a hash over sorted paths, executable bits and contents, so that times and
 * owners do not matter. MR_EINVALID names the entry; MR_ETOOLARGE the bound; MR_ENOSPC. */
mr_err mr_program_store_unpack(const char *staging_dir, int tar_fd, bool needs_run,
                               char ret_folder[MR_PROGRAM_FOLDER_BYTES], char ret_sha256[65],
                               mr_error *ret_error);

/* The unpacked folder becomes the stored program; where that is stored already, it stays and *ret_new is
 * false. The folder is still to be discarded. */
mr_err mr_program_store_keep(const char *staging_dir, const char *folder, const char *sha256, bool *ret_new,
                             mr_error *ret_error);
/* Undoes a keep that was new. Nobody may have been told of the program meanwhile. */
void mr_program_store_take_back(const char *staging_dir, const char *folder, const char *sha256);
/* Removes the folder, if it is there. */
void mr_program_store_discard(const char *folder);

#endif
