/* program_tar.h - a program folder as a tar: the same content gives the same bytes (owners and times are left
 * out). */
#ifndef MR_CLI_PROGRAM_TAR_H
#define MR_CLI_PROGRAM_TAR_H

#include "core/error.h"

#include <stdio.h>

/* A temporary file, at its start; the caller closes it. Files and folders only: a link or device is
 * MR_EINVALID. */
mr_err program_tar(const char *folder, FILE **ret_tar, mr_error *ret_error);

#endif
