/* upload_stream.h - bytes on their way into STAGING/incoming: counted, hashed, never held in memory. */
#ifndef MR_COORDINATOR_UPLOAD_STREAM_H
#define MR_COORDINATOR_UPLOAD_STREAM_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct mr_upload_stream mr_upload_stream;

/* Creates STAGING/incoming/{name}, which must not exist. */
mr_err mr_upload_stream_open(const char *staging_dir, const char *name, mr_upload_stream **ret_stream,
                             mr_error *ret_error);
/* MR_ENOSPC: the disk is full. */
mr_err mr_upload_stream_write(mr_upload_stream *stream, const char *data, size_t size, mr_error *ret_error);
int64_t mr_upload_stream_size(const mr_upload_stream *stream);

/* Makes the bytes durable and closes the file; the file stays. Blocks on the disk: any thread, one at a time.
 */
mr_err mr_upload_stream_seal(mr_upload_stream *stream, char ret_sha256[65], mr_error *ret_error);

/* Frees; removes the file unless keep() was called. NULL-safe. */
void mr_upload_stream_close(mr_upload_stream **stream);
/* From now on the file belongs to someone else. */
void mr_upload_stream_keep(mr_upload_stream *stream);

#endif
