/* bus.h - the log between sources and sinks: topics, partitions, offsets; positions in its transactions.
 *
 * Two implementations, one conformance suite (conformance.h): embedded (one SQLite file per tenant) and
 * Kafka. The rules R1, R2, R3 and R5 of docs/architecture.md are promised here:
 *   - a writer is one task (tenant, connector, task number) in one epoch; opening it fences all older epochs;
 *   - records, positions and counts sent through a writer become visible together, at commit, or not at all;
 *   - positions are read through the open writer, after fencing;
 *   - offsets grow within a partition and may have gaps (commit markers of Kafka; test builds of the
 *     embedded bus leave gaps on purpose): never count by subtracting offsets;
 *   - after MR_EUNKNOWN from a commit the writer is of no use: close it, open again (that fences again), load
 *     the positions.
 *
 * An object belongs to one thread at a time. All strings are NUL-terminated UTF-8 unless they are slices.
 */
#ifndef MR_BUS_BUS_H
#define MR_BUS_BUS_H

#include "core/arena.h"
#include "core/options.h"

typedef struct mr_bus mr_bus;
typedef struct mr_bus_writer mr_bus_writer;
typedef struct mr_bus_reader mr_bus_reader;

typedef struct mr_header {
    mr_slice name;
    mr_slice value;
} mr_header;

typedef struct mr_record {
    mr_slice key;   /* data NULL: no key */
    mr_slice value; /* data NULL: a tombstone */
    const mr_header *headers;
    size_t header_count;
    int64_t timestamp_ms; /* UTC; of creation */
    int64_t offset;       /* set by the reader */
    int32_t partition;    /* set by the reader */
} mr_record;

/* --- the bus of one tenant --- */

typedef struct mr_bus_identity {
    const char *tenant;
    const char *tenant_uid;
    const char *connector;
    int32_t task;
    int64_t epoch;
} mr_bus_identity;

/* `config` holds `bus` (embedded, kafka) and the options of that bus; mr_bus_options names them. tenant_uid
 * keeps a tenant that was deleted and made again apart: MR_EREFUSED on a mismatch. NULL: for one who only
 * reads, whoever the tenant is; nothing is made, and MR_ENOTFOUND says that there is nothing yet. */
extern const mr_option mr_bus_options[];
mr_err mr_bus_open(const mr_props *config, const char *tenant, const char *tenant_uid, mr_bus **ret_bus,
                   mr_error *ret_error);
void mr_bus_close(mr_bus **bus); /* NULL-safe; after its writers and readers */

/* Creates the topic, or does nothing when it exists with as many partitions; with another number:
 * MR_EREFUSED. This and mr_bus_retain lock the bus for a moment: open the task's writer first, whose
 * successor then frees the lock should we be frozen in it. */
mr_err mr_bus_create_topic(mr_bus *bus, const char *topic, int32_t partitions, mr_error *ret_error);
/* MR_ENOTFOUND when there is no such topic. */
mr_err mr_bus_partitions(mr_bus *bus, const char *topic, int32_t *ret_partitions, mr_error *ret_error);
/* First offset still stored and the offset after the last committed record; first == end: empty. */
mr_err mr_bus_offsets(mr_bus *bus, const char *topic, int32_t partition, int64_t *ret_first, int64_t *ret_end,
                      mr_error *ret_error);
/* Partition of a key: as Kafka's default partitioner (murmur2, KIP-480 aside), so that both buses agree. A
 * record without a key goes to partition 0. */
int32_t mr_bus_partition_of(mr_slice key, int32_t partitions);

/* Names this bus of the tenant, and no other that is made in its place; "": made before buses had names.
 * Lives as long as the bus. */
const char *mr_bus_id(const mr_bus *bus);

/* Removes records that are older than `before_ms` (UTC) and, where sinks are registered for the partition,
 * below the lowest position of them. One call does one slice, so that nobody waits long; *ret_more: there is
 * another. */
mr_err mr_bus_retain(mr_bus *bus, const char *topic, int64_t before_ms, bool *ret_more, mr_error *ret_error);

/* --- writer --- */

/* Registers the epoch durably. MR_EFENCED when a newer one is registered; then *ret_stored_epoch (may be
 * NULL) tells it, so that the coordinator can jump above it (R8). Frees a lock that an older epoch of ours
 * holds frozen. */
mr_err mr_bus_writer_open(mr_bus *bus, const mr_bus_identity *identity, mr_bus_writer **ret_writer,
                          int64_t *ret_stored_epoch, mr_error *ret_error);
void mr_bus_writer_close(mr_bus_writer **writer); /* drops what is not committed; NULL-safe */

/* Source positions of the connector: opaque text by key (JSON, as Connect's source partition and source
 * offset; KIP-618). The value holds the counts as well: they are committed with the position (ledger). */
typedef void (*mr_bus_position_fn)(void *arg, mr_slice key, mr_slice value);
mr_err mr_bus_load_positions(mr_bus_writer *writer, mr_bus_position_fn fn, void *arg, mr_error *ret_error);

/* Sink positions of the connector: the next offset to deliver per (topic, partition), with opaque metadata
 * (counts). *ret_offset is -1 when there is none. The metadata is copied into `buf` (appended). */
mr_err mr_bus_load_offset(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t *ret_offset,
                          mr_buf *metadata, mr_error *ret_error);

/* The following three are buffered in memory until commit and copy what they are given. */
mr_err mr_bus_send(mr_bus_writer *writer, const char *topic, int32_t partition, const mr_record *record,
                   mr_error *ret_error);
/* value.data NULL removes the position. */
mr_err mr_bus_send_position(mr_bus_writer *writer, mr_slice key, mr_slice value, mr_error *ret_error);
/* Registers the connector as a sink of the partition, too: retention waits for it from then on. next_offset
 * -1 forgets the position and the registration. */
mr_err mr_bus_send_offset(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t next_offset,
                          mr_slice metadata, mr_error *ret_error);

/* Bytes buffered since the last commit: the caller bounds them. */
size_t mr_bus_buffered_bytes(const mr_bus_writer *writer);

/* Where the records of one partition of a committed transaction lie. */
typedef struct mr_bus_range {
    const char *topic; /* valid until the next call with this writer */
    int32_t partition;
    int64_t first; /* offset of the first record */
    int64_t end;   /* offset of the last record + 1 */
    int64_t count;
} mr_bus_range;

/* Knowing the offsets before the commit lets the source put them into its position. Returns the ranges that
 * the buffered records will have if the commit succeeds; begins the transaction where the bus needs that, so
 * commit soon. Ranges are valid until commit, abort or close; until then positions may be sent, but no
 * records (MR_EBUG). MR_EFENCED as for commit. */
mr_err mr_bus_prepare(mr_bus_writer *writer, const mr_bus_range **ret_ranges, size_t *ret_count,
                      mr_error *ret_error);

/* Makes all that was sent durable and visible together. Checks, where the data lands, that this epoch still
 * is the newest and that nobody committed as this task since our last commit: else MR_EFENCED, nothing
 * written. MR_EUNKNOWN: see above. Other errors: nothing was written; the buffer is kept and commit may be
 * tried again, or aborted. */
mr_err mr_bus_commit(mr_bus_writer *writer, mr_error *ret_error);
void mr_bus_abort(mr_bus_writer *writer); /* drops what is buffered */

/* --- reader --- */

/* Reads committed records only. Who reads needs no identity and fences nobody. */
mr_err mr_bus_reader_open(mr_bus *bus, mr_bus_reader **ret_reader, mr_error *ret_error);
void mr_bus_reader_close(mr_bus_reader **reader);

/* Adds a partition, or moves the place in it. Reading starts at the first record with offset >= `offset`. */
mr_err mr_bus_assign(mr_bus_reader *reader, const char *topic, int32_t partition, int64_t offset,
                     mr_error *ret_error);

/* Gives up to about max_bytes of records of one partition (at least one if there is one), waiting up to
 * timeout_ms (0: not at all) for the first. Records and their bytes lie in `arena`, which the caller resets.
 * *ret_count 0: none came. Partitions take turns. MR_EDATALOSS when records at the place were removed: the
 * text names the missing range. *ret_records is an array in the arena. */
mr_err mr_bus_poll(mr_bus_reader *reader, size_t max_bytes, int timeout_ms, mr_arena *arena,
                   const mr_record **ret_records, size_t *ret_count, mr_error *ret_error);

/* A descriptor that becomes readable when records may have come (or someone called mr_bus_wake), for callers
 * with a loop of their own; mr_bus_poll waits on it itself and drains it. */
int mr_bus_reader_fd(const mr_bus_reader *reader);
/* Ends a wait in mr_bus_poll early. Thread: any. Async-signal-safe. */
void mr_bus_wake(mr_bus_reader *reader);

#endif
