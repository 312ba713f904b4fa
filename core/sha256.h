/* sha256.h - SHA-256 in hex, of bytes, of a stream and of a file. Its library (mr_hash) is apart from
 * mr_core, because it brings libcrypto with it. Thread: any, a handle one at a time.
 */
#ifndef MR_CORE_SHA256_H
#define MR_CORE_SHA256_H

#include "core/slice.h"

enum { MR_SHA256_HEX_SIZE = 65 }; /* 64 lower-case digits and a NUL */

typedef struct mr_sha256 mr_sha256;

mr_err mr_sha256_open(mr_sha256 **ret_hash, mr_error *ret_error);
void mr_sha256_close(mr_sha256 **hash); /* NULL-safe */
mr_err mr_sha256_add(mr_sha256 *hash, mr_slice bytes, mr_error *ret_error);
/* The hash of all that was added; afterwards only close. */
mr_err mr_sha256_finish(mr_sha256 *hash, char ret_hex[MR_SHA256_HEX_SIZE], mr_error *ret_error);

mr_err mr_sha256_hex(mr_slice bytes, char ret_hex[MR_SHA256_HEX_SIZE], mr_error *ret_error);
/* From the present place of `fd` to its end; ret_size (or NULL) gets the bytes read. `name` stands for it in
 * errors. */
mr_err mr_sha256_file(int fd, const char *name, char ret_hex[MR_SHA256_HEX_SIZE], int64_t *ret_size,
                      mr_error *ret_error);

#endif
