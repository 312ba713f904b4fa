/* pending.h - records that were queued and wait for their verdict, and those among them that the store
 * refused. */
#ifndef MR_CONNECTORS_SQLITE_PENDING_H
#define MR_CONNECTORS_SQLITE_PENDING_H

#include "connectors/sink.h"

typedef struct pending_range {
    uint64_t first, last;
} pending_range;

typedef struct pending_refusal {
    uint64_t seq;
    const char *reason;
} pending_refusal;

/* {0} is empty. */
typedef struct pending_records {
    pending_range *ranges; /* usually one: numbers of a delivery follow each other */
    size_t range_count, range_capacity;
    pending_refusal *refusals;
    size_t refusal_count, refusal_capacity;
    mr_arena reasons;
} pending_records;

mr_err pending_add(pending_records *pending, uint64_t seq, mr_error *ret_error);
mr_err pending_refuse(pending_records *pending, uint64_t seq, const char *reason,
                      mr_error *ret_error); /* copies reason */
/* Gives the refused REJECTED and the others DONE, in the order of their numbers, and forgets all. */
void pending_settle(pending_records *pending, mr_verdicts *verdicts);
void pending_fini(pending_records *pending);

#endif
