/* zone_rule.h - the rule by which a zone's clock goes on after its last listed change. Pure; thread: any.
 *
 * Source of the form: the TZ string of POSIX (XBD 8.3) with the hours of RFC 9636, 3.3.1 (-167 to 167), as in
 * the footer of a TZif file: `EET-2EEST,M3.5.0/3,M10.5.0/4`.
 */
#ifndef MR_COORDINATOR_ZONE_RULE_H
#define MR_COORDINATOR_ZONE_RULE_H

#include "core/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* When in a year, in seconds of local time after the year's midnight of that day. */
typedef struct mr_zone_rule_day {
    enum { MR_RULE_MONTH, MR_RULE_JULIAN, MR_RULE_DAY } kind; /* Mm.w.d, Jn (no leap day), n */
    int month, week, weekday;
    int day;
    int32_t seconds;
} mr_zone_rule_day;

typedef struct mr_zone_rule {
    int32_t standard_seconds; /* east of UTC */
    int32_t summer_seconds;
    bool summer; /* false: standard time all year */
    mr_zone_rule_day begin, end;
} mr_zone_rule;

/* A change of the clock. */
typedef struct mr_zone_change {
    int64_t at; /* seconds since 1970 UTC */
    int32_t offset_seconds;
} mr_zone_change;

/* false: the text is no such rule. */
bool mr_zone_rule_parse(mr_slice text, mr_zone_rule *ret_rule);
/* The two changes of a year, in the order of their times. Only with `summer`. */
void mr_zone_rule_year(const mr_zone_rule *rule, int64_t year, mr_zone_change ret_changes[2]);

#endif
