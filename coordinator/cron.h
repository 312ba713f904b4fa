/* cron.h - when a schedule is due: five cron fields. Pure: no clock, no memory, no locks; thread: any.
 *
 * Source of the form: what Kubernetes CronJob takes (the standard parser of robfig/cron v3):
 *
 *     minute 0-59 | hour 0-23 | day of month 1-31 | month 1-12 or JAN-DEC | day of week 0-7 or SUN-SAT
 *
 * (Sunday is 0 and 7), or a macro: @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. A field
 * is a list (a,b) of `*` or `?`, a value, a range a-b, each of them with a step (`*` or a-b or a, then /n;
 * a/n runs from a to the field's end). A time matches when minute, hour and month match and the day does.
 * Where both day fields are restricted, one of them is enough, else both must match; a day field is not
 * restricted when an item of it is `*` or `?` without a step above 1.
 *
 * Not taken: @every, @reboot, seconds, years, L, W, #, and TZ= before the fields.
 */
#ifndef MR_COORDINATOR_CRON_H
#define MR_COORDINATOR_CRON_H

#include "coordinator/time_zone.h"

#include <stdbool.h>
#include <stdint.h>

/* Bit n stands for the value n. Copied by value; read it through the functions below only. */
typedef struct mr_cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days; /* of the month */
    uint32_t months;
    uint32_t weekdays; /* 0-6, 0 is Sunday */
    bool either_day;   /* both day fields are restricted: one of them is enough */
    bool wildcard;     /* minute or hour begins with `*` or `?` */
} mr_cron;

/* MR_EINVALID names field, column (from 1) and the text, and what would be right. */
mr_err mr_cron_parse(const char *text, mr_cron *ret_cron, mr_error *ret_error);

/* The first time after `after` at which the schedule is due by the clock of `zone` (NULL: UTC), in seconds
 * since 1970 UTC; -1 when there is none (February 30), which costs up to a millisecond to find out.
 *
 * Where the clock is changed it follows cron of Debian: a wildcard schedule is due whenever the clock shows a
 * matching minute, so that it follows elapsed time. Any other is due once for each time it names: one that
 * the clock jumps over is due right after the jump (several within it: once), one that the clock shows twice
 * is due the first time. */
int64_t mr_cron_next(const mr_cron *cron, const mr_time_zone *zone, int64_t after);

/* The last due time within (after, until], or -1. */
int64_t mr_cron_latest(const mr_cron *cron, const mr_time_zone *zone, int64_t after, int64_t until);

#endif
