/* batch.c - see batch.h. */
#include "bus/embedded/batch.h"

enum { FORMAT = 1, HEAD_BYTES = 17, VARINT_BYTES = 10, RECORD_MINIMUM = 5 };

/* --- writing --- */

static char *put_varint(char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (char)value;
    return at;
}

static char *put_zigzag(char *at, int64_t value)
{
    return put_varint(at, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static char *put_bytes(char *at, mr_slice bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* Size + 1, with 0 for what is not there. */
static char *put_size(char *at, mr_slice bytes)
{
    return put_varint(at, bytes.data == NULL ? 0 : bytes.size + 1);
}

static char *put_headers(char *at, const mr_record *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        const mr_header *header = &record->headers[i];
        at = put_varint(at, header->name.size);
        at = put_size(at, header->value);
        at = put_bytes(at, header->name);
        at = put_bytes(at, header->value);
    }
    return at;
}

static void put_head(embedded_batch *batch)
{
    unsigned char *at = (unsigned char *)batch->data.data;
    uint64_t base_ms = (uint64_t)batch->base_ms;
    *at++ = FORMAT;
    for (int i = 0; i < 4; i++)
        *at++ = (unsigned char)(batch->count >> (8 * i));
    for (int i = 0; i < 4; i++)
        *at++ = (unsigned char)(batch->span >> (8 * i));
    for (int i = 0; i < 8; i++)
        *at++ = (unsigned char)(base_ms >> (8 * i));
}

static size_t packed_bound(const mr_record *record)
{
    size_t bound = HEAD_BYTES + 5 * VARINT_BYTES + record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++)
        bound += 2 * VARINT_BYTES + record->headers[i].name.size + record->headers[i].value.size;
    return bound;
}

mr_err embedded_batch_append(embedded_batch *batch, const mr_record *record, uint32_t gap)
{
    if (mr_buf_reserve(&batch->data, packed_bound(record)) != MR_OK)
        return MR_ENOMEM;
    if (batch->count == 0) {
        batch->data.size = HEAD_BYTES;
        batch->base_ms = record->timestamp_ms;
        batch->newest_ms = record->timestamp_ms;
    } else {
        batch->span += gap + 1;
    }
    batch->count++;
    if (record->timestamp_ms > batch->newest_ms)
        batch->newest_ms = record->timestamp_ms;

    char *at = batch->data.data + batch->data.size;
    at = put_varint(at, gap);
    at = put_zigzag(at, (int64_t)((uint64_t)record->timestamp_ms - (uint64_t)batch->base_ms));
    at = put_size(at, record->key);
    at = put_size(at, record->value);
    at = put_varint(at, record->header_count);
    at = put_headers(at, record);
    at = put_bytes(at, record->key);
    at = put_bytes(at, record->value);
    batch->data.size = (size_t)(at - batch->data.data);
    put_head(batch);
    return MR_OK;
}

bool embedded_batch_full(const embedded_batch *batch)
{
    return batch->count >= EMBEDDED_BATCH_RECORDS || batch->data.size >= EMBEDDED_BATCH_BYTES;
}

void embedded_batch_clear(embedded_batch *batch)
{
    mr_buf data = batch->data;
    data.size = 0;
    *batch = (embedded_batch){.data = data};
}

void embedded_batch_fini(embedded_batch *batch)
{
    mr_buf_fini(&batch->data);
}

/* --- reading: every size is checked against what is left --- */

typedef struct cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool broken; /* sticky: what is read after it is 0 */
} cursor;

static uint64_t get_varint_slow(cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        unsigned char byte = *c->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    c->broken = true;
    c->at = c->end;
    return 0;
}

static inline uint64_t get_varint(cursor *c)
{
    if (c->at < c->end && *c->at < 0x80)
        return *c->at++;
    return get_varint_slow(c);
}

static inline mr_slice get_bytes(cursor *c, uint64_t size)
{
    if (size > (uint64_t)(c->end - c->at)) {
        c->broken = true;
        c->at = c->end;
        return (mr_slice){0};
    }
    mr_slice bytes = {(const char *)c->at, (size_t)size};
    c->at += size;
    return bytes;
}

static inline mr_slice get_optional(cursor *c, uint64_t size_plus_1)
{
    return size_plus_1 == 0 ? (mr_slice){0} : get_bytes(c, size_plus_1 - 1);
}

static uint64_t get_fixed(cursor *c, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)*c->at++ << (8 * i);
    return value;
}

static mr_err damaged(mr_error *ret_error, const char *why)
{
    return mr_fail(ret_error, MR_EINVALID, "the batch is damaged: %s", why);
}

typedef struct head {
    uint32_t count;
    uint32_t span;
    int64_t base_ms;
} head;

static mr_err get_head(cursor *c, head *ret_head, mr_error *ret_error)
{
    if (c->end - c->at < HEAD_BYTES)
        return damaged(ret_error, "it is too short");
    if (*c->at++ != FORMAT)
        return damaged(ret_error, "its format is not known");
    head h = {.count = (uint32_t)get_fixed(c, 4), .span = (uint32_t)get_fixed(c, 4)};
    h.base_ms = (int64_t)get_fixed(c, 8);
    if (h.count == 0 || h.count > (size_t)(c->end - c->at) / RECORD_MINIMUM || h.span < h.count - 1)
        return damaged(ret_error, "its count does not fit its size");
    *ret_head = h;
    return MR_OK;
}

mr_err embedded_batch_count(mr_slice blob, size_t *ret_count, mr_error *ret_error)
{
    cursor c = {(const unsigned char *)blob.data, (const unsigned char *)blob.data + blob.size, false};
    head h;
    mr_err err = blob.data == NULL ? damaged(ret_error, "it is empty") : get_head(&c, &h, ret_error);
    if (err == MR_OK)
        *ret_count = h.count;
    return err;
}

/* `arena` NULL: the headers are only passed over. */
static mr_err get_headers(cursor *c, uint64_t count, mr_arena *arena, mr_record *record, mr_error *ret_error)
{
    mr_header *headers = NULL;
    if (count > (uint64_t)(c->end - c->at) / 2)
        return damaged(ret_error, "a header count does not fit");
    if (arena != NULL && (headers = mr_arena_alloc(arena, (size_t)count * sizeof *headers)) == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for %llu headers is short", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t name_size = get_varint(c), value_size = get_varint(c);
        mr_header header = {.name = get_bytes(c, name_size)};
        header.value = get_optional(c, value_size);
        if (headers != NULL)
            headers[i] = header;
    }
    record->headers = headers;
    record->header_count = (size_t)count;
    return MR_OK;
}

/* One record; its relative offset grows from *relative, which is one past the record before. */
static inline mr_err get_record(cursor *c, const embedded_batch_window *window, const head *h,
                                uint64_t *relative, mr_arena *arena, mr_record *ret_record,
                                mr_error *ret_error)
{
    uint64_t gap = get_varint(c), zigzag = get_varint(c), key_size = get_varint(c),
             value_size = get_varint(c);
    uint64_t header_count = get_varint(c);
    if (c->broken || gap > h->span || *relative + gap > h->span)
        return damaged(ret_error, "a record does not fit");
    *relative += gap;
    mr_record record = {.offset = window->base_offset + (int64_t)*relative};
    *relative += 1;
    record.timestamp_ms = (int64_t)((uint64_t)h->base_ms + (zigzag >> 1 ^ (0 - (zigzag & 1))));
    if (header_count > 0) {
        bool wanted = record.offset >= window->from_offset;
        mr_err err = get_headers(c, header_count, wanted ? arena : NULL, &record, ret_error);
        if (err != MR_OK)
            return err;
    }
    record.key = get_optional(c, key_size);
    record.value = get_optional(c, value_size);
    if (c->broken)
        return damaged(ret_error, "a record does not fit");
    *ret_record = record;
    return MR_OK;
}

mr_err embedded_batch_decode(mr_slice blob, const embedded_batch_window *window, mr_arena *arena,
                             mr_record *records, size_t *ret_count, size_t *ret_bytes, bool *ret_cut,
                             mr_error *ret_error)
{
    cursor c = {(const unsigned char *)blob.data, (const unsigned char *)blob.data + blob.size, false};
    size_t count = 0, bytes = 0;
    uint64_t relative = 0;
    head h;
    mr_err err = blob.data == NULL ? damaged(ret_error, "it is empty") : get_head(&c, &h, ret_error);
    if (err != MR_OK)
        return err;
    for (uint32_t i = 0; i < h.count; i++) {
        const unsigned char *start = c.at;
        err = get_record(&c, window, &h, &relative, arena, &records[count], ret_error);
        if (err != MR_OK)
            return err;
        if (records[count].offset < window->from_offset)
            continue;
        size_t size = (size_t)(c.at - start);
        if (bytes + size > window->max_bytes && count >= window->minimum) {
            *ret_count = count;
            *ret_bytes = bytes;
            *ret_cut = true;
            return MR_OK;
        }
        bytes += size;
        count++;
    }
    if (c.at != c.end || relative != (uint64_t)h.span + 1)
        return damaged(ret_error, "it has more than its records");
    *ret_count = count;
    *ret_bytes = bytes;
    *ret_cut = false;
    return MR_OK;
}
