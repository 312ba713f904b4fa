/* sealed_file.h - is the file still what was sealed? Hashing all that is read would cost a second of
 * processor time per gigabyte; the time of the last change, which no program can set, tells as much. Where it
 * differs (a folder restored from a copy), the hash decides. */
#ifndef MR_CONNECTORS_FILES_SEALED_FILE_H
#define MR_CONNECTORS_FILES_SEALED_FILE_H

#include "connectors/files/manifest.h"

/* Of the open file, whose position is its start before and after. MR_EDATALOSS when it was changed since it
 * was sealed. *ret_changed_ns is for sealed_file_unchanged. */
mr_err sealed_file_check(int fd, const manifest_file *file, int64_t *ret_changed_ns, mr_error *ret_error);
/* MR_EDATALOSS when it was changed since it was checked. */
mr_err sealed_file_unchanged(int fd, const manifest_file *file, int64_t changed_ns, mr_error *ret_error);

#endif
