/* bus_impl.h - what an implementation of the bus provides; private to bus/.
 *
 * bus.c checks arguments that are the same for every bus (names, partition numbers, sizes) and calls through
 * these tables; the contracts are those of bus.h. An implementation puts mr_bus, mr_bus_writer and
 * mr_bus_reader first in structs of its own.
 */
#ifndef MR_BUS_BUS_IMPL_H
#define MR_BUS_BUS_IMPL_H

#include "bus/bus.h"

typedef struct mr_bus_impl {
    const char *name; /* value of the option `bus` */
    mr_err (*open)(const mr_props *config, const char *tenant, const char *tenant_uid, mr_bus **ret_bus,
                   mr_error *ret_error);
    void (*close)(mr_bus *bus);
    const char *(*id)(const mr_bus *bus);
    mr_err (*create_topic)(mr_bus *bus, const char *topic, int32_t partitions, mr_error *ret_error);
    mr_err (*partitions)(mr_bus *bus, const char *topic, int32_t *ret_partitions, mr_error *ret_error);
    mr_err (*offsets)(mr_bus *bus, const char *topic, int32_t partition, int64_t *ret_first, int64_t *ret_end,
                      mr_error *ret_error);
    mr_err (*retain)(mr_bus *bus, const char *topic, int64_t before_ms, bool *ret_more, mr_error *ret_error);
    mr_err (*writer_open)(mr_bus *bus, const mr_bus_identity *identity, mr_bus_writer **ret_writer,
                          int64_t *ret_stored_epoch, mr_error *ret_error); /* ret_stored_epoch is not NULL */
    mr_err (*reader_open)(mr_bus *bus, mr_bus_reader **ret_reader, mr_error *ret_error);
} mr_bus_impl;

typedef struct mr_bus_writer_impl {
    void (*close)(mr_bus_writer *writer);
    mr_err (*load_positions)(mr_bus_writer *writer, mr_bus_position_fn fn, void *arg, mr_error *ret_error);
    mr_err (*load_offset)(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t *ret_offset,
                          mr_buf *metadata, mr_error *ret_error);
    mr_err (*send)(mr_bus_writer *writer, const char *topic, int32_t partition, const mr_record *record,
                   mr_error *ret_error);
    mr_err (*send_position)(mr_bus_writer *writer, mr_slice key, mr_slice value, mr_error *ret_error);
    mr_err (*send_offset)(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t next_offset,
                          mr_slice metadata, mr_error *ret_error);
    size_t (*buffered_bytes)(const mr_bus_writer *writer);
    mr_err (*prepare)(mr_bus_writer *writer, const mr_bus_range **ret_ranges, size_t *ret_count,
                      mr_error *ret_error);
    mr_err (*commit)(mr_bus_writer *writer, mr_error *ret_error);
    void (*abort)(mr_bus_writer *writer);
} mr_bus_writer_impl;

typedef struct mr_bus_reader_impl {
    void (*close)(mr_bus_reader *reader);
    mr_err (*assign)(mr_bus_reader *reader, const char *topic, int32_t partition, int64_t offset,
                     mr_error *ret_error);
    mr_err (*poll)(mr_bus_reader *reader, size_t max_bytes, int timeout_ms, mr_arena *arena,
                   const mr_record **ret_records, size_t *ret_count, mr_error *ret_error);
    int (*fd)(const mr_bus_reader *reader);
    void (*wake)(mr_bus_reader *reader);
} mr_bus_reader_impl;

struct mr_bus {
    const mr_bus_impl *impl;
    bool only_reads; /* set by bus.c */
};
struct mr_bus_writer {
    const mr_bus_writer_impl *impl;
};
struct mr_bus_reader {
    const mr_bus_reader_impl *impl;
};

/* The implementations, one folder each. */
extern const mr_bus_impl mr_bus_embedded;

#endif
