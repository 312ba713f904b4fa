#include "connectors/sqlite/row_queue.h"

#include "connectors/sqlite/key_order.h"
#include "core/arena.h"

#include <stdlib.h>

enum { LONG_STRING_BYTES = 32 }; /* longer ones are borrowed */

struct row_queue {
    const mr_field *fields;
    size_t field_count;
    const int *key_columns;
    size_t key_column_count;
    mr_arena arena;
    queued_entry *entries;
    queued_entry *spare; /* as many, for sorting */
    size_t count, capacity;
};

mr_err row_queue_open(const mr_schema *schema, const int *key_columns, size_t key_column_count,
                      row_queue **ret_queue, mr_error *ret_error)
{
    row_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for the queue");
    queue->fields = mr_schema_fields(schema, &queue->field_count);
    queue->key_columns = key_columns;
    queue->key_column_count = key_column_count;
    *ret_queue = queue;
    return MR_OK;
}

void row_queue_close(row_queue **queue)
{
    if (*queue == NULL)
        return;
    mr_arena_fini(&(*queue)->arena);
    free((*queue)->entries);
    free((*queue)->spare);
    free(*queue);
    *queue = NULL;
}

static bool is_text(const mr_value *value)
{
    return value->type == MR_TYPE_STRING || value->type == MR_TYPE_BYTES;
}

static bool is_small(const mr_value *value)
{
    return value->type == MR_TYPE_INT || value->type == MR_TYPE_BOOLEAN;
}

static size_t packed_size(const mr_value *value)
{
    if (is_text(value))
        return 1 + sizeof value->size + (value->size > LONG_STRING_BYTES ? sizeof value->data : value->size);
    if (is_small(value))
        return 1 + sizeof(int32_t);
    return value->type == MR_TYPE_NULL ? 1 : 1 + sizeof value->integer;
}

static char *pack(char *out, const mr_value *value)
{
    *out++ = (char)value->type;
    if (value->type == MR_TYPE_NULL)
        return out;
    if (is_small(value)) {
        memcpy(out, &(int32_t){(int32_t)value->integer}, sizeof(int32_t));
        return out + sizeof(int32_t);
    }
    if (!is_text(value)) {
        memcpy(out, &value->integer, sizeof value->integer); /* a real lies in the same eight bytes */
        return out + sizeof value->integer;
    }
    memcpy(out, &value->size, sizeof value->size);
    out += sizeof value->size;
    if (value->size > LONG_STRING_BYTES) {
        memcpy(out, &value->data, sizeof value->data);
        return out + sizeof value->data;
    }
    if (value->size > 0)
        memcpy(out, value->data, value->size);
    return out + value->size;
}

static const char *unpack(const char *in, mr_value *ret_value)
{
    *ret_value = (mr_value){.type = (uint32_t)*in++};
    if (ret_value->type == MR_TYPE_NULL)
        return in;
    if (is_small(ret_value)) {
        int32_t small;
        memcpy(&small, in, sizeof small);
        ret_value->integer = small;
        return in + sizeof small;
    }
    if (!is_text(ret_value)) {
        memcpy(&ret_value->integer, in, sizeof ret_value->integer);
        return in + sizeof ret_value->integer;
    }
    memcpy(&ret_value->size, in, sizeof ret_value->size);
    in += sizeof ret_value->size;
    if (ret_value->size > LONG_STRING_BYTES) {
        memcpy(&ret_value->data, in, sizeof ret_value->data);
        return in + sizeof ret_value->data;
    }
    ret_value->data = in;
    return in + ret_value->size;
}

static bool grow(row_queue *queue)
{
    size_t capacity = queue->capacity == 0 ? 1024 : queue->capacity * 2;
    queued_entry *entries = realloc(queue->entries, capacity * sizeof *entries);
    if (entries != NULL)
        queue->entries = entries;
    queued_entry *spare = realloc(queue->spare, capacity * sizeof *spare);
    if (spare != NULL)
        queue->spare = spare;
    if (entries == NULL || spare == NULL)
        return false;
    queue->capacity = capacity;
    return true;
}

mr_err row_queue_add(row_queue *queue, uint64_t seq, const mr_value *values, bool is_delete,
                     mr_error *ret_error)
{
    size_t count = is_delete ? queue->key_column_count : queue->field_count;
    size_t key_size = 0, size = 0;
    for (size_t i = 0; i < queue->key_column_count; i++)
        key_size += key_part_size(&values[is_delete ? (int)i : queue->key_columns[i]]);
    for (size_t i = 0; i < count; i++)
        size += packed_size(&values[i]);
    if (key_size > UINT32_MAX)
        return mr_fail(ret_error, MR_ETOOLARGE, "a key of %zu bytes", key_size);
    queued_row *row = mr_arena_alloc(&queue->arena, sizeof *row + key_size + size);
    if (row == NULL || (queue->count == queue->capacity && !grow(queue)))
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a queued row");
    *row = (queued_row){.seq = seq, .key_size = (uint32_t)key_size, .is_delete = is_delete};
    unsigned char *key = row->key;
    for (size_t i = 0; i < queue->key_column_count; i++)
        key = key_part_write(key, &values[is_delete ? (int)i : queue->key_columns[i]]);
    char *out = (char *)key;
    for (size_t i = 0; i < count; i++)
        out = pack(out, &values[i]);
    queue->entries[queue->count++].row = row;
    return MR_OK;
}

size_t row_queue_bytes(const row_queue *queue)
{
    return queue->arena.used_bytes + queue->count * 2 * sizeof *queue->entries;
}

const queued_entry *row_queue_sort(row_queue *queue, size_t *ret_count)
{
    key_order_sort(queue->entries, queue->spare, queue->count);
    *ret_count = queue->count;
    return queue->entries;
}

bool row_queue_same_key(const queued_row *a, const queued_row *b)
{
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

void row_queue_values(const row_queue *queue, const queued_row *row, mr_value *ret_values)
{
    const char *in = (const char *)row->key + row->key_size;
    size_t count = row->is_delete ? queue->key_column_count : queue->field_count;
    for (size_t i = 0; i < count; i++)
        in = unpack(in, &ret_values[i]);
}

void row_queue_reset(row_queue *queue)
{
    mr_arena_reset(&queue->arena);
    queue->count = 0;
}
