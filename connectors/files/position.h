/* position.h - how far a run's files have been read: {"manifest": sha256, "file": index, "byte": n, "line":
 * n}. */
#ifndef MR_CONNECTORS_FILES_POSITION_H
#define MR_CONNECTORS_FILES_POSITION_H

#include "core/arena.h"

typedef struct file_position {
    size_t file;  /* index in the manifest; all files read: their number */
    int64_t byte; /* the next row starts here */
    int64_t line; /* of that row, from 1 */
} file_position;

/* MR_EREFUSED when it is of another manifest; MR_EINVALID when it is none. */
mr_err position_parse(mr_slice text, const char *manifest_sha256, file_position *ret_position,
                      mr_error *ret_error);
/* data NULL when memory is short. */
mr_slice position_format(const file_position *position, const char *manifest_sha256, mr_arena *arena);

#endif
