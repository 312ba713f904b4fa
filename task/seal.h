/* seal.h - what an attempt has made, put where no program can change it, and listed with its hashes.
 *
 * The manifest's name holds the epoch: it is there or not, and once there it is final.
 */
#ifndef MR_TASK_SEAL_H
#define MR_TASK_SEAL_H

#include "core/slice.h"

typedef struct seal_result {
    char manifest_sha256[65];
    uint64_t files, bytes;
} seal_result;

typedef struct seal_spec {
    int run_fd; /* the run's folder */
    int64_t epoch;
    const char *run_uid;  /* hex digits */
    const char *datasets; /* JSON array of {"name", "pattern"} */
    size_t files_max;     /* in out/: their names are held in memory */
    size_t manifest_max_bytes;
} seal_spec;

/* Reads the manifest of the epoch. MR_ENOTFOUND: there is none. */
mr_err seal_read(const seal_spec *spec, seal_result *ret_result, mr_error *ret_error);

/* Moves the files of out/ (a folder below the run) into sealed-{epoch}/ and writes the manifest, durably.
 * What may not be there (a link, folder, device, hole, a name that is no text, a file of no dataset, more
 * than 100,000 files) fails with class MR_DATA and its name, and nothing is left of what was moved. What the
 * disk refuses is transient: called again it goes on with what was moved already. */
mr_err seal_folder(const seal_spec *spec, const char *out, seal_result *ret_result, mr_error *ret_error);
/* Without a program: the manifest lists claimed/ itself. */
mr_err seal_claimed(const seal_spec *spec, seal_result *ret_result, mr_error *ret_error);

#endif
