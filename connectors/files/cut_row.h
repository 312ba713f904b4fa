/* cut_row.h - what stays of a row that is too long to be kept: its length and its SHA-256. */
#ifndef MR_CONNECTORS_FILES_CUT_ROW_H
#define MR_CONNECTORS_FILES_CUT_ROW_H

#include "core/sha256.h"

/* Of the row at [first, end) of the file, without its line end. Reads the file again, in small pieces, and
 * does not move its place. MR_EDATALOSS when the bytes are not there any more. */
mr_err cut_row_measure(int fd, int64_t first, int64_t end, int64_t *ret_length,
                       char ret_sha256[MR_SHA256_HEX_SIZE], mr_error *ret_error);

#endif
