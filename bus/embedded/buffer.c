/* buffer.c - takes what is sent into batches, ready to be stored, before the lock is held. */
#include "bus/embedded/writer.h"

#include <stdlib.h>

enum { SPARE_BYTES = 1024 * 1024 };

/* Different at each place, the same at each run: a test that fails fails again. */
uint32_t embedded_gap(int64_t place)
{
#ifdef MR_FAULTS
    uint32_t mixed = (uint32_t)place * 2654435761u >> 16;
    return mixed % 5 == 0 ? 1 + mixed % 3 : 0;
#else
    (void)place;
    return 0;
#endif
}

static mr_err out_of_memory(mr_error *ret_error, const char *topic)
{
    return mr_fail(ret_error, MR_ENOMEM, "topic %s: memory for what is sent is short", topic);
}

static writer_topic *topic_open(const char *name, const embedded_topic *found)
{
    writer_topic *topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return NULL;
    topic->name = strdup(name);
    topic->partitions = found->partitions;
    topic->logs = calloc((size_t)found->partitions, sizeof *topic->logs);
    if (topic->name == NULL || topic->logs == NULL) {
        free(topic->name);
        free(topic->logs);
        free(topic);
        return NULL;
    }
    for (int32_t i = 0; i < found->partitions; i++)
        topic->logs[i] = (writer_log){.id = found->first_log + i, .partition = i, .topic = topic->name};
    return topic;
}

/* The topic used last stands first. */
static mr_err topic_of(embedded_writer *writer, const char *name, writer_topic **ret_topic,
                       mr_error *ret_error)
{
    embedded_topic found;
    writer_topic **link = &writer->topics;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    writer_topic *topic = *link;
    if (topic != NULL) {
        *link = topic->next;
    } else {
        mr_err err = embedded_topic_find(&writer->db, name, &found, ret_error);
        if (err != MR_OK)
            return err;
        topic = topic_open(name, &found);
        if (topic == NULL)
            return out_of_memory(ret_error, name);
    }
    topic->next = writer->topics;
    writer->topics = topic;
    *ret_topic = topic;
    return MR_OK;
}

static mr_err log_of(embedded_writer *writer, const char *name, int32_t partition, writer_log **ret_log,
                     mr_error *ret_error)
{
    writer_topic *topic = writer->topics;
    if (topic == NULL || strcmp(topic->name, name) != 0) {
        mr_err err = topic_of(writer, name, &topic, ret_error);
        if (err != MR_OK)
            return err;
    }
    if (partition < 0 || partition >= topic->partitions)
        return mr_fail(ret_error, MR_EINVALID, "topic %s has no partition %d, only 0 to %d", name, partition,
                       topic->partitions - 1);
    *ret_log = &topic->logs[partition];
    return MR_OK;
}

static embedded_batch *batch_open(embedded_writer *writer)
{
    embedded_batch *batch = writer->spare;
    if (batch == NULL)
        return calloc(1, sizeof *batch);
    writer->spare = batch->next;
    writer->spare_bytes -= batch->data.capacity;
    batch->next = NULL;
    return batch;
}

static void batch_close(embedded_writer *writer, embedded_batch *batch)
{
    if (batch->data.capacity > 2 * EMBEDDED_BATCH_BYTES ||
        writer->spare_bytes + batch->data.capacity > SPARE_BYTES) {
        embedded_batch_fini(batch);
        free(batch);
        return;
    }
    embedded_batch_clear(batch);
    writer->spare_bytes += batch->data.capacity;
    batch->next = writer->spare;
    writer->spare = batch;
}

static void link_batch(embedded_writer *writer, writer_log *log, embedded_batch *batch)
{
    if (log->last != NULL)
        log->last->next = batch;
    else
        log->first = batch;
    log->last = batch;
    if (!log->dirty) {
        log->dirty = true;
        if (writer->last_dirty != NULL)
            writer->last_dirty->next_dirty = log;
        else
            writer->first_dirty = log;
        writer->last_dirty = log;
        writer->dirty_count++;
    }
}

/* A batch is linked when it has its first record, so none is ever empty. */
static mr_err append(embedded_writer *writer, writer_log *log, const mr_record *record)
{
    embedded_batch *batch = log->last;
    bool fresh = batch == NULL || embedded_batch_full(batch);
    if (fresh)
        batch = batch_open(writer);
    if (batch == NULL)
        return MR_ENOMEM;
    size_t before = batch->data.size;
    if (embedded_batch_append(batch, record, fresh ? 0 : embedded_gap(log->count)) != MR_OK) {
        if (fresh)
            batch_close(writer, batch);
        return MR_ENOMEM;
    }
    if (fresh)
        link_batch(writer, log, batch);
    writer->buffered_bytes += batch->data.size - before;
    log->count++;
    return MR_OK;
}

mr_err embedded_send(mr_bus_writer *base, const char *topic, int32_t partition, const mr_record *record,
                     mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    writer_log *log;
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err == MR_OK && writer->state == WRITER_PREPARED)
        err = mr_fail(ret_error, MR_EBUG, "topic %s: a record was sent between prepare and commit", topic);
    if (err == MR_OK)
        err = log_of(writer, topic, partition, &log, ret_error);
    if (err != MR_OK)
        return err;
    return append(writer, log, record) == MR_OK ? MR_OK : out_of_memory(ret_error, topic);
}

static mr_err add_position(embedded_writer *writer, writer_position position, mr_slice key, mr_slice value,
                           mr_error *ret_error)
{
    if (writer->position_count == writer->position_capacity) {
        size_t capacity = writer->position_capacity == 0 ? 8 : writer->position_capacity * 2;
        writer_position *grown = reallocarray(writer->positions, capacity, sizeof *grown);
        if (grown == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "memory for positions is short");
        writer->positions = grown;
        writer->position_capacity = capacity;
    }
    position.key_at = writer->texts.size;
    position.key_size = key.size;
    position.value_at = writer->texts.size + key.size;
    position.value_size = value.size;
    if (mr_buf_reserve(&writer->texts, key.size + value.size) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "memory for positions is short");
    (void)mr_buf_append(&writer->texts, key.data, key.size);
    (void)mr_buf_append(&writer->texts, value.data, value.size);
    writer->positions[writer->position_count++] = position;
    writer->buffered_bytes += key.size + value.size;
    return MR_OK;
}

mr_err embedded_send_position(mr_bus_writer *base, mr_slice key, mr_slice value, mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err != MR_OK)
        return err;
    return add_position(writer, (writer_position){.log = -1, .removed = value.data == NULL}, key, value,
                        ret_error);
}

mr_err embedded_send_offset(mr_bus_writer *base, const char *topic, int32_t partition, int64_t next_offset,
                            mr_slice metadata, mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    writer_log *log;
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err == MR_OK)
        err = log_of(writer, topic, partition, &log, ret_error);
    if (err != MR_OK)
        return err;
    writer_position position = {.log = log->id, .next_offset = next_offset, .removed = next_offset < 0};
    return add_position(writer, position, (mr_slice){0}, metadata, ret_error);
}

size_t embedded_buffered_bytes(const mr_bus_writer *base)
{
    return ((const embedded_writer *)base)->buffered_bytes;
}

void embedded_buffer_clear(embedded_writer *writer)
{
    for (writer_log *log = writer->first_dirty; log != NULL;) {
        writer_log *next = log->next_dirty;
        for (embedded_batch *batch = log->first; batch != NULL;) {
            embedded_batch *following = batch->next;
            batch_close(writer, batch);
            batch = following;
        }
        *log = (writer_log){.id = log->id, .partition = log->partition, .topic = log->topic};
        log = next;
    }
    writer->first_dirty = writer->last_dirty = NULL;
    writer->dirty_count = 0;
    writer->buffered_bytes = 0;
    writer->position_count = 0;
    writer->texts.size = 0;
}

void embedded_buffer_fini(embedded_writer *writer)
{
    embedded_buffer_clear(writer);
    while (writer->spare != NULL) {
        embedded_batch *batch = writer->spare;
        writer->spare = batch->next;
        embedded_batch_fini(batch);
        free(batch);
    }
    while (writer->topics != NULL) {
        writer_topic *topic = writer->topics;
        writer->topics = topic->next;
        free(topic->name);
        free(topic->logs);
        free(topic);
    }
    free(writer->positions);
    free(writer->ranges);
    mr_buf_fini(&writer->texts);
}
