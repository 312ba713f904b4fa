/* open_below.h - opens files in a folder that a tenant may have written (R10). */
#ifndef MR_CONNECTORS_FILES_OPEN_BELOW_H
#define MR_CONNECTORS_FILES_OPEN_BELOW_H

#include "core/error.h"

#include <stdint.h>

/* Opens `path` below root_fd for reading: no link on the way and nothing outside, a regular file with one
 * link, of exactly size_bytes (otherwise MR_EDATALOSS). Errors name the path. */
mr_err open_below(int root_fd, const char *path, int64_t size_bytes, int *ret_fd, mr_error *ret_error);

#endif
