/* writer.h - a task's writer; private to bus/embedded.
 *
 * writer.c opens and fences it, buffer.c takes what is sent, commit.c writes it in one transaction.
 */
#ifndef MR_BUS_EMBEDDED_WRITER_H
#define MR_BUS_EMBEDDED_WRITER_H

#include "bus/embedded/batch.h"
#include "bus/embedded/embedded.h"

/* What is buffered for one partition. */
typedef struct writer_log {
    int64_t id;
    int32_t partition;
    const char *topic;     /* of writer_topic */
    embedded_batch *first; /* in order */
    embedded_batch *last;  /* the open one */
    int64_t count;
    struct writer_log *next_dirty;
    bool dirty;
} writer_log;

typedef struct writer_topic {
    char *name;
    int32_t partitions;
    writer_log *logs;
    struct writer_topic *next;
} writer_topic;

/* A buffered source position, or (log >= 0) a sink's; key and value are places in `texts`. */
typedef struct writer_position {
    int64_t log;
    int64_t next_offset;
    size_t key_at, key_size;
    size_t value_at, value_size;
    bool removed;
} writer_position;

typedef enum writer_state {
    WRITER_OPEN,
    WRITER_PREPARED, /* the transaction is open */
    WRITER_FENCED,
    WRITER_UNKNOWN,
} writer_state;

enum writer_statement {
    SELECT_TASK,
    STORE_TASK,
    SELECT_END,
    STORE_END,
    INSERT_BATCH,
    STORE_POSITION,
    REMOVE_POSITION,
    SELECT_POSITIONS,
    STORE_SINK,
    REMOVE_SINK,
    SELECT_SINK,
    WRITER_STATEMENTS,
};

typedef struct embedded_writer {
    mr_bus_writer base;
    embedded_bus *bus;
    embedded_db db;
    mr_holder *holder;
    int bell_fd;
    char *tenant, *connector;
    int32_t task;
    int64_t epoch;
    int64_t commits; /* of the task, as we know it: nobody else may have committed since */
    writer_state state;
    sqlite3_stmt *statements[WRITER_STATEMENTS];

    writer_topic *topics;
    writer_log *first_dirty, *last_dirty;
    size_t dirty_count;
    size_t buffered_bytes;
    embedded_batch *spare; /* emptied batches that keep their memory */
    size_t spare_bytes;

    writer_position *positions;
    size_t position_count, position_capacity;
    mr_buf texts;

    mr_bus_range *ranges;
    size_t range_capacity;
} embedded_writer;

/* MR_EFENCED or MR_EUNKNOWN when the writer is of no use any more. */
mr_err embedded_writer_usable(const embedded_writer *writer, mr_error *ret_error);
/* Compares epoch and number of commits, inside a transaction; marks the writer. */
mr_err embedded_writer_check(embedded_writer *writer, mr_error *ret_error);
/* Stores epoch and `commits`, inside a transaction. */
mr_err embedded_writer_store_task(embedded_writer *writer, int64_t commits, mr_error *ret_error);

/* buffer.c */
mr_err embedded_send(mr_bus_writer *writer, const char *topic, int32_t partition, const mr_record *record,
                     mr_error *ret_error);
mr_err embedded_send_position(mr_bus_writer *writer, mr_slice key, mr_slice value, mr_error *ret_error);
mr_err embedded_send_offset(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t next_offset,
                            mr_slice metadata, mr_error *ret_error);
size_t embedded_buffered_bytes(const mr_bus_writer *writer);
void embedded_buffer_clear(embedded_writer *writer); /* keeps memory for the next transaction */
void embedded_buffer_fini(embedded_writer *writer);
/* How many offsets to leave out at a place in test builds: irregular, the same each time; 0 in production. */
uint32_t embedded_gap(int64_t place);

/* commit.c */
mr_err embedded_prepare(mr_bus_writer *writer, const mr_bus_range **ret_ranges, size_t *ret_count,
                        mr_error *ret_error);
mr_err embedded_commit(mr_bus_writer *writer, mr_error *ret_error);
void embedded_abort(mr_bus_writer *writer);

#endif
