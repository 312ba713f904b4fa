/* sink_position.h - how far a sink is in one partition, with the counts per run that are committed with it.
 *
 * The metadata is the JSON of docs/architecture.md, section 3.
 */
#ifndef MR_TASK_SINK_POSITION_H
#define MR_TASK_SINK_POSITION_H

#include "core/slice.h"

typedef struct sink_run {
    int64_t seq;
    char *uid; /* owned */
    uint64_t delivered, rejected, abandoned;
} sink_run;

/* {.offset = -1} is a partition without a position. */
typedef struct sink_position {
    int64_t offset; /* next to deliver */
    char bus[40];   /* whose log the offset is of; "": not known */
    sink_run *runs; /* in the order in which they were met; the last with counts is the run at `offset` */
    size_t run_count;
    int64_t *rejecting; /* sorted: offsets from `offset` on whose dead letters are on the bus */
    size_t rejecting_count, rejecting_capacity;
} sink_position;

void sink_position_fini(sink_position *position);

mr_err sink_position_parse(mr_slice json, int64_t offset, sink_position *ret_position, mr_error *ret_error);
/* Runs without counts have not been reached and are left out. */
mr_err sink_position_print(const sink_position *position, mr_buf *out, mr_error *ret_error);

/* Index of the run, which is added when new. MR_ENOMEM. */
mr_err sink_position_run(sink_position *position, int64_t seq, const char *uid, size_t *ret_index,
                         mr_error *ret_error);
/* Drops runs below `oldest_open_run`, never the last one. Indexes change. */
void sink_position_forget(sink_position *position, int64_t oldest_open_run);

bool sink_position_is_rejecting(const sink_position *position, int64_t offset);
/* Nothing new where it is there already: store and bus may both tell of it. */
mr_err sink_position_add_rejecting(sink_position *position, int64_t offset, mr_error *ret_error);
/* Moves on; what was rejecting below is forgotten. */
void sink_position_advance(sink_position *position, int64_t offset);

#endif
