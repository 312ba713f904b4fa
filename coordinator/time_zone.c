/* time_zone.c - reads a TZif file. Its first data block (32 bits) is passed over; the second one and the
 * footer count. Every count and index is checked before it is used. */
#include "coordinator/time_zone.h"

#include "coordinator/calendar.h"
#include "coordinator/zone_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 44,
    TYPE_BYTES = 6,
    MAX_CHANGES = 10000,
    MAX_OFFSET_SECONDS = 26 * 3600,
    MAX_FOOTER_BYTES = 200,
};

struct mr_time_zone {
    char name[MR_ZONE_NAME_BYTES];
    int32_t first_offset_seconds; /* before the first change */
    bool ruled;
    mr_zone_rule rule; /* after the last change */
    size_t count;
    mr_zone_change changes[]; /* their times grow */
};

typedef struct header {
    char version;
    uint32_t utc_count, standard_count, leap_count, time_count, type_count, name_bytes;
} header;

static uint32_t read_u32(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t read_i64(const char *at)
{
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

static bool read_header(mr_slice bytes, size_t at, header *ret_header)
{
    if (bytes.size < HEADER_BYTES || at > bytes.size - HEADER_BYTES ||
        memcmp(bytes.data + at, "TZif", 4) != 0)
        return false;
    const char *counts = bytes.data + at + 20;
    *ret_header = (header){.version = bytes.data[at + 4],
                           .utc_count = read_u32(counts),
                           .standard_count = read_u32(counts + 4),
                           .leap_count = read_u32(counts + 8),
                           .time_count = read_u32(counts + 12),
                           .type_count = read_u32(counts + 16),
                           .name_bytes = read_u32(counts + 20)};
    return ret_header->time_count <= MAX_CHANGES && ret_header->type_count <= 256 &&
           ret_header->leap_count <= 1000 && ret_header->name_bytes <= 10000 &&
           ret_header->utc_count <= 256 && ret_header->standard_count <= 256;
}

static size_t block_bytes(const header *h, size_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + h->type_count * TYPE_BYTES + h->name_bytes +
           h->leap_count * (time_bytes + 4) + h->standard_count + h->utc_count;
}

static mr_err damaged(const char *name, const char *what, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EIO, "time zone %s: the zone data is damaged or not known: %s", name, what);
}

/* Changes and offsets of the second block; `at` is where it begins, and the whole of it is there. */
static mr_err read_changes(mr_time_zone *zone, const header *h, const char *at, mr_error *ret_error)
{
    const char *times = at, *indices = at + h->time_count * 8;
    const char *types = indices + h->time_count;
    for (uint32_t i = 0; i < h->type_count; i++) {
        int32_t offset = (int32_t)read_u32(types + (size_t)i * TYPE_BYTES);
        if (offset > MAX_OFFSET_SECONDS || offset < -MAX_OFFSET_SECONDS)
            return damaged(zone->name, "an offset of more than a day", ret_error);
    }
    zone->first_offset_seconds = (int32_t)read_u32(types);
    for (uint32_t i = 0; i < h->time_count; i++) {
        mr_zone_change *change = &zone->changes[i];
        unsigned char type = (unsigned char)indices[i];
        change->at = read_i64(times + (size_t)i * 8);
        if (type >= h->type_count)
            return damaged(zone->name, "a change to an offset that is not listed", ret_error);
        if (i > 0 && change->at <= zone->changes[i - 1].at)
            return damaged(zone->name, "changes that are not in order", ret_error);
        change->offset_seconds = (int32_t)read_u32(types + (size_t)type * TYPE_BYTES);
    }
    zone->count = h->time_count;
    return MR_OK;
}

/* "\nRULE\n"; an empty rule: the last offset stays. */
static mr_err read_footer(mr_time_zone *zone, const char *at, const char *end, mr_error *ret_error)
{
    if (at == end || *at != '\n')
        return damaged(zone->name, "its footer is missing", ret_error);
    at++;
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (line_end == NULL || line_end - at > MAX_FOOTER_BYTES)
        return damaged(zone->name, "its footer has no end", ret_error);
    if (line_end == at)
        return MR_OK;
    if (!mr_zone_rule_parse((mr_slice){at, (size_t)(line_end - at)}, &zone->rule))
        return damaged(zone->name, "its footer is no rule", ret_error);
    zone->ruled = true;
    return MR_OK;
}

mr_err mr_time_zone_parse(const char *name, mr_slice bytes, mr_time_zone **ret_zone, mr_error *ret_error)
{
    header h;
    if (!read_header(bytes, 0, &h) || h.version < '2')
        return damaged(name, "it is no TZif file of version 2 or later", ret_error);
    size_t second = HEADER_BYTES + block_bytes(&h, 4);
    if (!read_header(bytes, second, &h) || h.type_count == 0)
        return damaged(name, "its second header is missing", ret_error);
    if (h.leap_count > 0)
        return damaged(name, "it counts leap seconds, which UTC here does not", ret_error);
    size_t begin = second + HEADER_BYTES, size = block_bytes(&h, 8);
    if (size > bytes.size - begin)
        return damaged(name, "it is cut short", ret_error);
    mr_time_zone *zone = calloc(1, sizeof *zone + h.time_count * sizeof zone->changes[0]);
    if (zone == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "time zone %s: out of memory", name);
    snprintf(zone->name, sizeof zone->name, "%s", name);
    mr_err err = read_changes(zone, &h, bytes.data + begin, ret_error);
    if (err == MR_OK)
        err = read_footer(zone, bytes.data + begin + size, bytes.data + bytes.size, ret_error);
    if (err != MR_OK) {
        mr_time_zone_close(&zone);
        return err;
    }
    *ret_zone = zone;
    return MR_OK;
}

void mr_time_zone_close(mr_time_zone **zone)
{
    free(*zone);
    *zone = NULL;
}

const char *mr_time_zone_name(const mr_time_zone *zone)
{
    return zone->name;
}

/* How many of the listed changes are not after `at`. */
static size_t changes_until(const mr_time_zone *zone, int64_t at)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t listed_offset(const mr_time_zone *zone, size_t count)
{
    return count > 0 ? zone->changes[count - 1].offset_seconds : zone->first_offset_seconds;
}

/* After the last listed change: the rule's changes of the years around `at` that come after it. */
static mr_zone_period ruled_period(const mr_time_zone *zone, int64_t at)
{
    int64_t last = zone->count > 0 ? zone->changes[zone->count - 1].at : INT64_MIN;
    int32_t offset = listed_offset(zone, zone->count);
    int32_t former = listed_offset(zone, zone->count > 0 ? zone->count - 1 : 0);
    mr_zone_period period = {last, INT64_MAX, offset, former};
    if (!zone->rule.summer)
        return period;
    int64_t year = mr_date_of(mr_floor_divide(at, MR_DAY_SECONDS)).year;
    for (int64_t y = year - 2; y <= year + 2; y++) {
        mr_zone_change changes[2];
        mr_zone_rule_year(&zone->rule, y, changes);
        for (int i = 0; i < 2; i++) {
            if (changes[i].at <= last || changes[i].offset_seconds == period.offset_seconds)
                continue;
            if (changes[i].at > at) {
                period.end = changes[i].at;
                return period;
            }
            period =
                (mr_zone_period){changes[i].at, INT64_MAX, changes[i].offset_seconds, period.offset_seconds};
        }
    }
    return period;
}

mr_zone_period mr_time_zone_period(const mr_time_zone *zone, int64_t at)
{
    if (zone == NULL)
        return (mr_zone_period){INT64_MIN, INT64_MAX, 0, 0};
    size_t count = changes_until(zone, at);
    if (count == zone->count && zone->ruled)
        return ruled_period(zone, at);
    return (mr_zone_period){count > 0 ? zone->changes[count - 1].at : INT64_MIN,
                            count < zone->count ? zone->changes[count].at : INT64_MAX,
                            listed_offset(zone, count), listed_offset(zone, count > 0 ? count - 1 : 0)};
}
