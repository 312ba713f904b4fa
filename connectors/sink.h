/* sink.h - the interface of a sink connector. It writes; the framework (task/) consumes, converts, batches,
 * retries, writes dead letters and commits.
 *
 * A sink never talks to the bus and never decides about retries: it gives a verdict on every record, in any
 * order, through env->verdicts. Calls come from one thread. After MR_EFENCED, DISCONNECTED or a failed
 * commit() the framework closes the sink, opens it again and delivers again from the position that then
 * holds; what had no final verdict is given again.
 */
#ifndef MR_CONNECTORS_SINK_H
#define MR_CONNECTORS_SINK_H

#include "connectors/env.h"

typedef struct mr_sink_record {
    uint64_t seq; /* number of the delivery, grows by one each record; verdicts name it */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    mr_slice key;           /* as on the bus; borrowed until the final verdict */
    const mr_value *values; /* one per field of env->schema; NULL: a tombstone. Valid during write() only;
                               what its strings point to is borrowed until the final verdict. */
} mr_sink_record;

typedef enum mr_verdict {
    MR_SINK_DONE,         /* final: stored; for sinks with commit(): in the transaction that commit() ends */
    MR_SINK_QUEUED,       /* the final verdict comes from a later write() or flush() */
    MR_SINK_RETRY,        /* not stored; give it again after after_ms */
    MR_SINK_DISCONNECTED, /* not stored; the sink must be opened again first */
    MR_SINK_REJECTED,     /* final: the store will never take it because of what is in it; reason says why */
} mr_verdict;

typedef struct mr_verdicts mr_verdicts;
/* Verdict on the records first_seq..last_seq. reason: for RETRY, DISCONNECTED, REJECTED; copied. Thread: the
 * sink's. */
void mr_verdict_give(mr_verdicts *verdicts, uint64_t first_seq, uint64_t last_seq, mr_verdict verdict,
                     uint32_t after_ms, const char *reason);

/* Position of a partition and the ledger counts that belong to it, for stores that keep positions. */
typedef struct mr_sink_position {
    int32_t partition;
    int64_t offset;    /* next to deliver */
    mr_slice metadata; /* opaque */
} mr_sink_position;

typedef void (*mr_sink_position_fn)(void *arg, const mr_sink_position *position);

typedef struct mr_sink_class {
    const char *name;
    const mr_option *options;
    size_t state_size; /* the framework allocates it zeroed and passes it as self */

    /* Required. Connects, creates what is missing, compares the target with env->schema: a mismatch is
     * MR_EINVALID (config). Stores with positions fence here: MR_EFENCED when the store knows a newer epoch,
     * which *ret_stored_epoch then tells. close() follows even when open fails. */
    mr_err (*open)(void *self, const mr_env *env, mr_verdicts *verdicts, int64_t *ret_stored_epoch,
                   mr_error *ret_error);
    /* Stores with positions only: those of env->connector for env->topic, read after fencing. NULL: the bus's
     * count. */
    mr_err (*positions)(void *self, mr_sink_position_fn fn, void *arg, mr_error *ret_error);
    /* Required. Takes the records, in order per partition; gives each a verdict now, or QUEUED. An error is
     * about the sink, not about a record, and stands for DISCONNECTED on all that have no final verdict. */
    mr_err (*write)(void *self, const mr_sink_record *records, size_t count, mr_error *ret_error);
    /* Required if write() ever queues. Gives every queued record a verdict other than QUEUED within about
     * timeout_ms; a sink that waits for its store longer may leave them queued for the next flush(), but not
     * for ever. */
    mr_err (*flush)(void *self, int timeout_ms, mr_error *ret_error);
    /* With positions() only: ends the store's transaction, with `positions` in it, after comparing epoch and
     * old position there (R2). Dead letters are on the bus by then. MR_EFENCED; MR_EUNKNOWN; other errors:
     * rolled back. */
    mr_err (*commit)(void *self, const mr_sink_position *positions, size_t count, mr_error *ret_error);
    /* Required. Rolls back, frees; accepts a half-open state. */
    void (*close)(void *self);
} mr_sink_class;

#endif
