/* bus.c - chooses the implementation and checks what is the same for every bus. */
#include "bus/bus_impl.h"

enum {
    TOPIC_BYTES = 249,
    CONNECTOR_BYTES = 255,
    PARTITIONS = 10000,
    RECORD_BYTES = 16 * 1024 * 1024,
    RECORD_HEADERS = 1000
};

static const mr_bus_impl *const implementations[] = {&mr_bus_embedded};

/* The names Kafka allows, so that a topic can move between buses. */
static mr_err check_topic(const char *topic, mr_error *ret_error)
{
    size_t size = strlen(topic);
    size_t fits = strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (size == 0 || size > TOPIC_BYTES || fits != size || strcmp(topic, ".") == 0 ||
        strcmp(topic, "..") == 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "topic \"%.60s\": a name has 1 to %d letters, digits, dots, underscores or dashes",
                       topic, TOPIC_BYTES);
    return MR_OK;
}

/* Decides the name of a file and of topics, so it is checked here whatever the coordinator has checked. */
static mr_err check_tenant(const char *tenant, mr_error *ret_error)
{
    size_t size = strlen(tenant);
    size_t fits = strspn(tenant, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (size == 0 || size > 63 || fits != size || tenant[0] == '_' || tenant[0] == '-')
        return mr_fail(ret_error, MR_EINVALID, "tenant \"%.60s\": an id is [a-z0-9][a-z0-9_-]{0,62}", tenant);
    return MR_OK;
}

mr_err mr_bus_open(const mr_props *config, const char *tenant, const char *tenant_uid, mr_bus **ret_bus,
                   mr_error *ret_error)
{
    const char *name = mr_option_text(mr_bus_options, config, "bus");
    mr_err err = check_tenant(tenant, ret_error);
    if (err != MR_OK)
        return err;
    for (size_t i = 0; i < sizeof implementations / sizeof *implementations; i++) {
        if (strcmp(implementations[i]->name, name) != 0)
            continue;
        err = implementations[i]->open(config, tenant, tenant_uid, ret_bus, ret_error);
        if (err == MR_OK)
            (*ret_bus)->only_reads = tenant_uid == NULL;
        return err;
    }
    return mr_fail(ret_error, MR_EINVALID, "bus=%.60s: there is no such bus, use bus=embedded", name);
}

static mr_err check_writable(const mr_bus *bus, mr_error *ret_error)
{
    if (bus->only_reads)
        return mr_fail(ret_error, MR_EREFUSED, "the bus was opened for reading only, without a tenant_uid");
    return MR_OK;
}

void mr_bus_close(mr_bus **bus)
{
    if (*bus == NULL)
        return;
    (*bus)->impl->close(*bus);
    *bus = NULL;
}

mr_err mr_bus_create_topic(mr_bus *bus, const char *topic, int32_t partitions, mr_error *ret_error)
{
    mr_err err = check_writable(bus, ret_error);
    if (err == MR_OK)
        err = check_topic(topic, ret_error);
    if (err != MR_OK)
        return err;
    if (partitions < 1 || partitions > PARTITIONS)
        return mr_fail(ret_error, MR_EINVALID, "topic %s: %d partitions are not within 1 to %d", topic,
                       partitions, PARTITIONS);
    return bus->impl->create_topic(bus, topic, partitions, ret_error);
}

mr_err mr_bus_partitions(mr_bus *bus, const char *topic, int32_t *ret_partitions, mr_error *ret_error)
{
    return bus->impl->partitions(bus, topic, ret_partitions, ret_error);
}

mr_err mr_bus_offsets(mr_bus *bus, const char *topic, int32_t partition, int64_t *ret_first, int64_t *ret_end,
                      mr_error *ret_error)
{
    return bus->impl->offsets(bus, topic, partition, ret_first, ret_end, ret_error);
}

const char *mr_bus_id(const mr_bus *bus)
{
    return bus->impl->id(bus);
}

mr_err mr_bus_retain(mr_bus *bus, const char *topic, int64_t before_ms, bool *ret_more, mr_error *ret_error)
{
    mr_err err = check_writable(bus, ret_error);
    return err != MR_OK ? err : bus->impl->retain(bus, topic, before_ms, ret_more, ret_error);
}

mr_err mr_bus_writer_open(mr_bus *bus, const mr_bus_identity *identity, mr_bus_writer **ret_writer,
                          int64_t *ret_stored_epoch, mr_error *ret_error)
{
    int64_t unwanted;
    mr_err err = check_writable(bus, ret_error);
    if (err != MR_OK)
        return err;
    size_t name_size = strlen(identity->connector);
    if (name_size == 0 || name_size > CONNECTOR_BYTES || identity->task < 0 || identity->epoch < 1)
        return mr_fail(ret_error, MR_EINVALID,
                       "connector \"%.60s\", task %d, epoch %lld: not an identity of a task",
                       identity->connector, identity->task, (long long)identity->epoch);
    return bus->impl->writer_open(bus, identity, ret_writer,
                                  ret_stored_epoch != NULL ? ret_stored_epoch : &unwanted, ret_error);
}

void mr_bus_writer_close(mr_bus_writer **writer)
{
    if (*writer == NULL)
        return;
    (*writer)->impl->close(*writer);
    *writer = NULL;
}

mr_err mr_bus_load_positions(mr_bus_writer *writer, mr_bus_position_fn fn, void *arg, mr_error *ret_error)
{
    return writer->impl->load_positions(writer, fn, arg, ret_error);
}

mr_err mr_bus_load_offset(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t *ret_offset,
                          mr_buf *metadata, mr_error *ret_error)
{
    return writer->impl->load_offset(writer, topic, partition, ret_offset, metadata, ret_error);
}

/* Bytes of the record as a reader gets them; SIZE_MAX when a header has no name or there are too many. */
static size_t record_size(const mr_record *record)
{
    size_t size = record->key.size + record->value.size;
    if (record->header_count > RECORD_HEADERS)
        return SIZE_MAX;
    for (size_t i = 0; i < record->header_count; i++) {
        if (record->headers[i].name.data == NULL)
            return SIZE_MAX;
        size += record->headers[i].name.size + record->headers[i].value.size;
    }
    return size;
}

mr_err mr_bus_send(mr_bus_writer *writer, const char *topic, int32_t partition, const mr_record *record,
                   mr_error *ret_error)
{
    size_t size = record_size(record);
    if (size == SIZE_MAX)
        return mr_fail(ret_error, MR_EINVALID, "topic %s: a record has at most %d headers, each with a name",
                       topic, RECORD_HEADERS);
    if (size > RECORD_BYTES)
        return mr_classify(ret_error,
                           mr_fail(ret_error, MR_ETOOLARGE,
                                   "topic %s: a record of %zu bytes is over the bound of %d", topic, size,
                                   RECORD_BYTES),
                           MR_DATA);
    return writer->impl->send(writer, topic, partition, record, ret_error);
}

mr_err mr_bus_send_position(mr_bus_writer *writer, mr_slice key, mr_slice value, mr_error *ret_error)
{
    return writer->impl->send_position(writer, key, value, ret_error);
}

mr_err mr_bus_send_offset(mr_bus_writer *writer, const char *topic, int32_t partition, int64_t next_offset,
                          mr_slice metadata, mr_error *ret_error)
{
    return writer->impl->send_offset(writer, topic, partition, next_offset, metadata, ret_error);
}

size_t mr_bus_buffered_bytes(const mr_bus_writer *writer)
{
    return writer->impl->buffered_bytes(writer);
}

mr_err mr_bus_prepare(mr_bus_writer *writer, const mr_bus_range **ret_ranges, size_t *ret_count,
                      mr_error *ret_error)
{
    return writer->impl->prepare(writer, ret_ranges, ret_count, ret_error);
}

mr_err mr_bus_commit(mr_bus_writer *writer, mr_error *ret_error)
{
    return writer->impl->commit(writer, ret_error);
}

void mr_bus_abort(mr_bus_writer *writer)
{
    writer->impl->abort(writer);
}

mr_err mr_bus_reader_open(mr_bus *bus, mr_bus_reader **ret_reader, mr_error *ret_error)
{
    return bus->impl->reader_open(bus, ret_reader, ret_error);
}

void mr_bus_reader_close(mr_bus_reader **reader)
{
    if (*reader == NULL)
        return;
    (*reader)->impl->close(*reader);
    *reader = NULL;
}

mr_err mr_bus_assign(mr_bus_reader *reader, const char *topic, int32_t partition, int64_t offset,
                     mr_error *ret_error)
{
    if (offset < 0)
        return mr_fail(ret_error, MR_EINVALID, "topic %s: offset %lld is below 0", topic, (long long)offset);
    return reader->impl->assign(reader, topic, partition, offset, ret_error);
}

mr_err mr_bus_poll(mr_bus_reader *reader, size_t max_bytes, int timeout_ms, mr_arena *arena,
                   const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    return reader->impl->poll(reader, max_bytes, timeout_ms, arena, ret_records, ret_count, ret_error);
}

int mr_bus_reader_fd(const mr_bus_reader *reader)
{
    return reader->impl->fd(reader);
}

void mr_bus_wake(mr_bus_reader *reader)
{
    reader->impl->wake(reader);
}
