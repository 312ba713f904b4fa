/* source.h - the interface of a source connector. It reads; the framework (task/) converts, produces and
 * commits.
 *
 * A source never talks to the bus and never decides about retries. Calls come from one thread, in the order
 * open, poll..., committed between polls, close. A source that fails says why and of which class
 * (core/error.h); the framework closes it, waits and opens it again from the last committed positions.
 */
#ifndef MR_CONNECTORS_SOURCE_H
#define MR_CONNECTORS_SOURCE_H

#include "connectors/env.h"

/* One row read: either values, or the reason why it is none. */
typedef struct mr_source_record {
    const mr_value *values; /* one per field of env->schema; NULL: rejected */
    const char *reason;     /* of a rejected row, for people: names the column */
    mr_slice raw;           /* of a rejected row: its bytes as read, at most 64 KiB */
    int64_t raw_length;     /* of a longer one: how long it is; else 0 */
    const char *raw_sha256; /* and the SHA-256 of all of it, in hex; else NULL */
    /* How the bytes of a rejected CSV row are to be read: delimiter and quote (only the first: no quotes),
     * and the row that names its cells. data NULL: not known, or no CSV. */
    mr_slice raw_csv_dialect, raw_csv_header;
    const char *file; /* where it stood, or NULL */
    int64_t line;     /* from 1; 0: no lines */
    int64_t byte_first, byte_end;
} mr_source_record;

/* What one poll gives. Memory is the arena's, which the framework resets before each poll. */
typedef struct mr_source_batch {
    mr_arena *arena;
    mr_source_record *records; /* the source allocates it in the arena */
    size_t count;
    /* Position behind the last record of this batch: JSON, without counts (the framework adds them).
     * Required. */
    mr_slice position;
    uint64_t bytes;          /* read for this batch */
    uint32_t rejected_files; /* files found unreadable as a whole within this batch (reasons are logged by the
                                framework) */
    const char *rejected_file_reason;
    bool end; /* bounded sources: nothing comes after this batch */
} mr_source_batch;

typedef struct mr_source_class {
    const char *name;         /* "files" */
    const mr_option *options; /* see options.c of the connector */
    size_t state_size;        /* the framework allocates it zeroed and passes it as self */
    /* Required. `position` is the committed one of this source partition, data NULL: from the start. close()
     * follows even when open fails. */
    mr_err (*open)(void *self, const mr_env *env, mr_slice position, mr_error *ret_error);
    /* Required. Waits up to timeout_ms for something to read; a batch without records is fine. About 1,000
     * records or 256 KiB a call. */
    mr_err (*poll)(void *self, int timeout_ms, mr_source_batch *batch, mr_error *ret_error);
    /* Optional. What lies before `position` is durable on the bus. */
    void (*committed)(void *self, mr_slice position);
    /* Required. Frees; accepts a half-open state. */
    void (*close)(void *self);
} mr_source_class;

#endif
