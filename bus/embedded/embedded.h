/* embedded.h - the SQLite bus: one file per tenant; private to bus/embedded.
 *
 *   {bus.dir}/{tenant}.db     the tables below, WAL, synchronous=FULL
 *   {bus.dir}/{tenant}.bell   touched after each commit; readers hold inotify on it
 *
 *   meta       format, tenant, tenant_uid, bus_id (random)
 *   topics     a topic's logs, one per partition, have consecutive ids from first_log
 *   logs       end_offset: after the last record; removed_below: after the last record that retention removed
 *   batches    blobs (batch.h) by rowid = log id and offset of the first record, so they need no second index
 *   tasks      epoch and number of commits of each task: compared and stored by each transaction (R2)
 *   positions  of sources;  sinks: next offset per sink and log
 */
#ifndef MR_BUS_EMBEDDED_EMBEDDED_H
#define MR_BUS_EMBEDDED_EMBEDDED_H

#include "bus/bus_impl.h"
#include "bus/embedded/db.h"

typedef struct embedded_bus {
    mr_bus base;
    char *tenant;
    char *id;
    char *path;
    char *bell_path;
    int64_t lock_timeout_ms;
    embedded_db db; /* for what is not a writer's or a reader's */
} embedded_bus;

typedef struct embedded_topic {
    int64_t first_log;
    int32_t partitions;
} embedded_topic;

/* Id of a batch: 19 bits of log, 44 bits of offset. */
enum { EMBEDDED_OFFSET_BITS = 44 };
#define EMBEDDED_OFFSET_END ((int64_t)1 << EMBEDDED_OFFSET_BITS)
#define EMBEDDED_LOG_END    ((int64_t)1 << (63 - EMBEDDED_OFFSET_BITS))

static inline int64_t embedded_batch_id(int64_t log, int64_t offset)
{
    return log << EMBEDDED_OFFSET_BITS | offset;
}

static inline int64_t embedded_batch_offset(int64_t id)
{
    return id & (EMBEDDED_OFFSET_END - 1);
}

/* layout.c: opens bus->db; makes the file when it is missing and checks whose it is. */
mr_err embedded_layout_open(embedded_bus *bus, const char *tenant_uid, mr_error *ret_error);

/* topics.c; `db` is the caller's connection. MR_ENOTFOUND. */
mr_err embedded_topic_find(embedded_db *db, const char *topic, embedded_topic *ret_topic,
                           mr_error *ret_error);
/* The same for a log; MR_EINVALID when there is no such partition. */
mr_err embedded_log_find(embedded_db *db, const char *topic, int32_t partition, int64_t *ret_log,
                         mr_error *ret_error);
mr_err embedded_create_topic(mr_bus *bus, const char *topic, int32_t partitions, mr_error *ret_error);
mr_err embedded_partitions(mr_bus *bus, const char *topic, int32_t *ret_partitions, mr_error *ret_error);
mr_err embedded_offsets(mr_bus *bus, const char *topic, int32_t partition, int64_t *ret_first,
                        int64_t *ret_end, mr_error *ret_error);

/* retain.c, writer.c, reader.c */
mr_err embedded_retain(mr_bus *bus, const char *topic, int64_t before_ms, bool *ret_more,
                       mr_error *ret_error);
mr_err embedded_writer_open(mr_bus *bus, const mr_bus_identity *identity, mr_bus_writer **ret_writer,
                            int64_t *ret_stored_epoch, mr_error *ret_error);
mr_err embedded_reader_open(mr_bus *bus, mr_bus_reader **ret_reader, mr_error *ret_error);

#endif
