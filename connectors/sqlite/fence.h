/* fence.h - who may write to a store, and how far each sink has delivered into it (R2): the tables
 * millrace_epochs and millrace_positions, in the same file as the rows.
 *
 * millrace_epochs has the newest epoch of each connector task that has opened the store; millrace_positions,
 * per connector, topic and partition, the next offset with its ledger counts. Rows of a tenant's former self
 * have another tenant_uid and are not seen. fence_open, fence_check and fence_store run within a transaction
 * of the store.
 */
#ifndef MR_CONNECTORS_SQLITE_FENCE_H
#define MR_CONNECTORS_SQLITE_FENCE_H

#include "connectors/sink.h"
#include "connectors/sqlite/store.h"

typedef struct fence_offset {
    int32_t partition;
    int64_t offset;
} fence_offset;

/* {0} is closed. Borrows store and env. */
typedef struct sink_fence {
    sqlite_store *store;
    const mr_env *env;
    sqlite3_stmt *read_epoch, *list, *insert, *update;
    fence_offset *known; /* what the store held when we last looked or wrote */
    size_t known_count;
} sink_fence;

/* Creates the tables. Stores our epoch, or fails with MR_EFENCED and the newer one. */
mr_err fence_open(sink_fence *fence, sqlite_store *store, const mr_env *env, int64_t *ret_stored_epoch,
                  mr_error *ret_error);
void fence_close(sink_fence *fence);

/* MR_EFENCED when a newer epoch has opened the store since. */
mr_err fence_check(sink_fence *fence, mr_error *ret_error);
mr_err fence_positions(sink_fence *fence, mr_sink_position_fn fn, void *arg, mr_error *ret_error);
/* MR_EFENCED when the stored offset is not the one we know: someone delivered in our name. */
mr_err fence_store(sink_fence *fence, const mr_sink_position *position, mr_error *ret_error);
/* After the commit of what fence_store stored. */
mr_err fence_committed(sink_fence *fence, const mr_sink_position *positions, size_t count,
                       mr_error *ret_error);

#endif
