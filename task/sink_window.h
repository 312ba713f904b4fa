/* sink_window.h - the records that were read and are not committed yet.
 *
 * Each has a number (seq) without gaps, so verdicts find it at once; a partition's position moves over its
 * records in order, up to the first without a final verdict. The window is bounded in records and bytes: a
 * sink that is slow, or away, fills it, and then nothing more is read. The bytes of a batch are kept until
 * all of its records, and all earlier ones of its partition, are final: an earlier record that must be given
 * again takes later ones of its key with it, so that the last one of a key wins.
 */
#ifndef MR_TASK_SINK_WINDOW_H
#define MR_TASK_SINK_WINDOW_H

#include "bus/bus.h"
#include "core/backoff.h"

typedef enum record_state {
    RECORD_WAITING, /* to be given to the sink, perhaps again */
    RECORD_GIVEN,   /* no final verdict yet */
    RECORD_DONE,
    RECORD_REJECTED,
    RECORD_ABANDONED,
} record_state;

typedef enum record_progress {
    PROGRESS_NONE,
    PROGRESS_SETTLING,  /* the position moves over it with the next commit */
    PROGRESS_COMMITTED, /* only waits for its turn to leave the window */
} record_progress;

/* The records of one poll. */
typedef struct sink_batch {
    struct sink_batch *next;
    mr_arena arena;
    size_t open; /* records without a final verdict */
    size_t held_bytes;
    int32_t partition;
} sink_batch;

/* What a dead letter needs of a rejected record, in the window's memory. */
typedef struct sink_letter {
    const char *stage;
    const char *reason;
    mr_slice key, value;
} sink_letter;

typedef struct window_entry {
    const mr_record *record; /* valid while the state is WAITING or GIVEN, and longer as the window says */
    sink_batch *batch;
    sink_letter *letter; /* of REJECTED: still to be written; NULL: is on the bus already */
    int64_t offset;
    uint32_t bytes;
    int32_t partition;
    uint32_t run;     /* index into the runs of the partition's position */
    uint8_t state;    /* record_state */
    uint8_t progress; /* record_progress */
} window_entry;

typedef struct window_partition {
    size_t given;  /* records in state GIVEN */
    bool retrying; /* a record must be given again before any later one */
    bool blocked;  /* of the function that looks */
    int64_t retry_at_ms;
    mr_backoff backoff;
} window_partition;

typedef struct sink_window {
    window_entry *ring;
    size_t capacity;       /* a power of two */
    uint64_t base, next;   /* seqs [base, next) are in the window */
    uint64_t waiting_from; /* no record below is WAITING */
    size_t given;
    size_t bytes;        /* keys and values of all records in the window */
    size_t held_bytes;   /* memory of batches */
    size_t letter_count; /* rejected records whose letter is to be written */
    mr_arena letters;
    sink_batch *batches, **batches_end; /* in the order of reading */
    sink_batch *spare;
    window_partition *partitions;
    int32_t partition_count;
} sink_window;

enum {
    WINDOW_RECORDS = 100000,
    WINDOW_BYTES = 16 * 1024 * 1024,
    WINDOW_LETTER_BYTES = 4 * 1024 * 1024,
};

mr_err sink_window_open(int32_t partitions, sink_window *ret_window, mr_error *ret_error);
void sink_window_close(sink_window *window); /* accepts a zeroed one */

bool sink_window_full(const sink_window *window);
static inline bool sink_window_empty(const sink_window *window)
{
    return window->base == window->next;
}
static inline window_entry *sink_window_at(const sink_window *window, uint64_t seq)
{
    return &window->ring[seq & (window->capacity - 1)];
}

/* An empty batch to poll into; NULL when memory is short. Add it, or give it back. */
sink_batch *sink_window_batch(sink_window *window);
void sink_window_give_back(sink_window *window, sink_batch *batch);
/* Takes the batch and the first `count` of its records, all WAITING and of one partition. */
mr_err sink_window_add(sink_window *window, sink_batch *batch, const mr_record *records, size_t count,
                       mr_error *ret_error);

/* Changes a state and keeps the counts right. REJECTED: by sink_window_reject, which copies what the dead
 * letter needs. */
void sink_window_set(sink_window *window, window_entry *entry, record_state state);
mr_err sink_window_reject(sink_window *window, window_entry *entry, const char *stage, const char *reason);
/* Lets go of the memory of batches that nobody needs any more. */
void sink_window_release(sink_window *window);

/* Where a partition may go on after a retry: makes later records of the keys that wait there WAITING, too. */
void sink_window_rewind(sink_window *window, int32_t partition);

/* Marks as SETTLING what the positions may move over; returns how many. */
size_t sink_window_settle(sink_window *window);
/* Makes SETTLING COMMITTED, and drops what is; call after the commit. */
void sink_window_committed(sink_window *window);

#endif
