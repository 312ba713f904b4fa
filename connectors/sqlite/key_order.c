/* key_order.c - see key_order.h. The sort looks at eight bytes of the key at a time, which lie in the entries
 * themselves; only entries equal in these go on to the next eight. Comparing whole keys would miss the cache
 * twice a comparison. */
#include "connectors/sqlite/key_order.h"

#include <endian.h>

enum { PART_BYTES = 8, INSERTION_COUNT = 12, MAX_PART_DEPTH = 256 };

static size_t count_zeros(const mr_value *value)
{
    size_t zeros = 0;
    const char *at = value->data, *end = value->data + value->size;
    while (at < end && (at = memchr(at, 0, (size_t)(end - at))) != NULL) {
        zeros++;
        at++;
    }
    return zeros;
}

size_t key_part_size(const mr_value *value)
{
    if (value->type != MR_TYPE_STRING && value->type != MR_TYPE_BYTES)
        return sizeof(uint64_t);
    return (value->size == 0 ? 0 : value->size + count_zeros(value)) + 2;
}

static unsigned char *write_number(unsigned char *out, uint64_t ordered)
{
    ordered = htobe64(ordered);
    memcpy(out, &ordered, sizeof ordered);
    return out + sizeof ordered;
}

static unsigned char *write_text(unsigned char *out, const mr_value *value)
{
    for (size_t i = 0; i < value->size; i++) {
        *out++ = (unsigned char)value->data[i];
        if (value->data[i] == '\0')
            *out++ = 255;
    }
    *out++ = 0;
    *out++ = 0;
    return out;
}

unsigned char *key_part_write(unsigned char *out, const mr_value *value)
{
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t bits;
    switch ((mr_type)value->type) {
    case MR_TYPE_STRING:
    case MR_TYPE_BYTES:
        return write_text(out, value);
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        memcpy(&bits, &(double){value->real + 0.0}, sizeof bits); /* -0.0 becomes 0.0, its equal */
        return write_number(out, (bits & sign) != 0 ? ~bits : bits | sign);
    default:
        return write_number(out, (uint64_t)value->integer ^ sign);
    }
}

static uint64_t part_at(const queued_row *row, size_t depth)
{
    uint64_t part = 0;
    if (row->key_size >= depth + PART_BYTES)
        memcpy(&part, row->key + depth, PART_BYTES);
    else if (row->key_size > depth)
        memcpy(&part, row->key + depth, row->key_size - depth);
    return be64toh(part);
}

/* By the parts and, from MAX_PART_DEPTH on, by the rest of the keys as well. */
static bool comes_before(const queued_entry *a, const queued_entry *b, size_t depth)
{
    if (a->part != b->part || depth < MAX_PART_DEPTH)
        return a->part < b->part;
    size_t a_rest = a->row->key_size - depth, b_rest = b->row->key_size - depth;
    int order = memcmp(a->row->key + depth, b->row->key + depth, a_rest < b_rest ? a_rest : b_rest);
    return order != 0 ? order < 0 : a_rest < b_rest;
}

static void insertion_sort(queued_entry *entries, size_t count, size_t depth)
{
    for (size_t i = 1; i < count; i++) {
        queued_entry moved = entries[i];
        size_t to = i;
        for (; to > 0 && comes_before(&moved, &entries[to - 1], depth); to--)
            entries[to] = entries[to - 1];
        entries[to] = moved;
    }
}

static void merge_sort(queued_entry *entries, queued_entry *spare, size_t count, size_t depth)
{
    if (count <= INSERTION_COUNT) {
        insertion_sort(entries, count, depth);
        return;
    }
    size_t half = count / 2;
    merge_sort(entries, spare, half, depth);
    merge_sort(entries + half, spare, count - half, depth);
    if (!comes_before(&entries[half], &entries[half - 1], depth))
        return;
    memcpy(spare, entries, half * sizeof *spare);
    const queued_entry *left = spare, *left_end = spare + half;
    const queued_entry *right = entries + half, *right_end = entries + count;
    for (queued_entry *out = entries; left < left_end; out++) {
        if (right < right_end && comes_before(right, left, depth))
            *out = *right++;
        else
            *out = *left++;
    }
}

static void sort_from(queued_entry *entries, queued_entry *spare, size_t count, size_t depth)
{
    for (size_t i = 0; i < count; i++)
        entries[i].part = part_at(entries[i].row, depth);
    merge_sort(entries, spare, count, depth);
    if (depth >= MAX_PART_DEPTH)
        return;
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end].part == entries[first].part; end++)
            continue;
        if (end - first > 1 && entries[first].row->key_size > depth + PART_BYTES)
            sort_from(entries + first, spare, end - first, depth + PART_BYTES);
    }
}

void key_order_sort(queued_entry *entries, queued_entry *spare, size_t count)
{
    sort_from(entries, spare, count, 0);
}
