/* time_zone.h - by how much local time differs from UTC, and when that changes. Pure but for
 * mr_time_zone_open; thread: any, a zone is never changed.
 *
 * Source of the form: TZif (RFC 9636, RFC 8536), version 2 and later, as tzdata installs it.
 */
#ifndef MR_COORDINATOR_TIME_ZONE_H
#define MR_COORDINATOR_TIME_ZONE_H

#include "core/error.h"
#include "core/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { MR_ZONE_NAME_BYTES = 64 };

typedef struct mr_time_zone mr_time_zone;

/* A time during which the clock is not changed: start <= t < end, in seconds since 1970 UTC. */
typedef struct mr_zone_period {
    int64_t start; /* INT64_MIN: from ever on */
    int64_t end;   /* INT64_MAX: for ever */
    int32_t offset_seconds;
    int32_t former_seconds; /* offset before `start`; the same where there is none */
} mr_zone_period;

/* The zone of that name in the system's zone data (TZDIR, else /usr/share/zoneinfo). MR_EINVALID: no name of
 * a zone, with the nearest one; MR_EIO: the data cannot be read or is damaged. */
mr_err mr_time_zone_open(const char *name, mr_time_zone **ret_zone, mr_error *ret_error);
void mr_time_zone_close(mr_time_zone **zone); /* NULL-safe */

/* From the bytes of a file; `name` is for messages and for mr_time_zone_name. */
mr_err mr_time_zone_parse(const char *name, mr_slice bytes, mr_time_zone **ret_zone, mr_error *ret_error);
const char *mr_time_zone_name(const mr_time_zone *zone);

/* The period that holds `at`. `zone` NULL: UTC. */
mr_zone_period mr_time_zone_period(const mr_time_zone *zone, int64_t at);

#endif
