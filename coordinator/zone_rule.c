/* zone_rule.c - see zone_rule.h. */
#include "coordinator/zone_rule.h"

#include "coordinator/calendar.h"

enum { HOUR = 3600, DEFAULT_SECONDS = 2 * HOUR };

typedef struct reader {
    const char *at, *end;
} reader;

static bool take(reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_number(reader *r, int minimum, int maximum, int *ret_number)
{
    const char *start = r->at;
    int number = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - start < 4; r->at++)
        number = number * 10 + (*r->at - '0');
    *ret_number = number;
    return r->at > start && number >= minimum && number <= maximum;
}

/* A name in letters, or anything between < and >. */
static bool take_name(reader *r)
{
    const char *start = r->at;
    if (take(r, '<')) {
        while (r->at < r->end && *r->at != '>')
            r->at++;
        return take(r, '>');
    }
    while (r->at < r->end && ((*r->at >= 'A' && *r->at <= 'Z') || (*r->at >= 'a' && *r->at <= 'z')))
        r->at++;
    return r->at - start >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(reader *r, int max_hours, int32_t *ret_seconds)
{
    int hours = 0, minutes = 0, seconds = 0;
    bool negative = take(r, '-');
    if (!negative)
        (void)take(r, '+');
    if (!take_number(r, 0, max_hours, &hours))
        return false;
    if (take(r, ':') && !take_number(r, 0, 59, &minutes))
        return false;
    if (take(r, ':') && !take_number(r, 0, 59, &seconds))
        return false;
    int32_t sum = hours * HOUR + minutes * 60 + seconds;
    *ret_seconds = negative ? -sum : sum;
    return true;
}

static bool take_day(reader *r, mr_zone_rule_day *day)
{
    *day = (mr_zone_rule_day){.seconds = DEFAULT_SECONDS};
    bool good;
    if (take(r, 'M')) {
        day->kind = MR_RULE_MONTH;
        good = take_number(r, 1, 12, &day->month) && take(r, '.') && take_number(r, 1, 5, &day->week) &&
               take(r, '.') && take_number(r, 0, 6, &day->weekday);
    } else if (take(r, 'J')) {
        day->kind = MR_RULE_JULIAN;
        good = take_number(r, 1, 365, &day->day);
    } else {
        day->kind = MR_RULE_DAY;
        good = take_number(r, 0, 365, &day->day);
    }
    return good && (!take(r, '/') || take_time(r, 167, &day->seconds));
}

bool mr_zone_rule_parse(mr_slice text, mr_zone_rule *ret_rule)
{
    reader r = {text.data, text.data + text.size};
    mr_zone_rule rule = {0};
    int32_t west;
    if (!take_name(&r) || !take_time(&r, 24, &west))
        return false;
    rule.standard_seconds = -west;
    rule.summer = r.at < r.end;
    if (rule.summer) {
        if (!take_name(&r))
            return false;
        rule.summer_seconds = rule.standard_seconds + HOUR;
        if (!take(&r, ',')) {
            if (!take_time(&r, 24, &west) || !take(&r, ','))
                return false;
            rule.summer_seconds = -west;
        }
        if (!take_day(&r, &rule.begin) || !take(&r, ',') || !take_day(&r, &rule.end))
            return false;
    }
    *ret_rule = rule;
    return r.at == r.end;
}

static int64_t day_in(const mr_zone_rule_day *rule, int64_t year)
{
    int64_t new_year = mr_day_of(year, 1, 1);
    if (rule->kind == MR_RULE_DAY)
        return new_year + rule->day;
    if (rule->kind == MR_RULE_JULIAN) /* 60 is March 1, in leap years as well */
        return rule->day < 60 ? new_year + rule->day - 1 : mr_day_of(year, 3, 1) + rule->day - 60;
    int64_t first = mr_day_of(year, rule->month, 1);
    int64_t day = first + (rule->weekday - mr_weekday(first) + 7) % 7 + (int64_t)(rule->week - 1) * 7;
    return day < first + mr_date_of(first).month_days ? day : day - 7; /* week 5 is the last one */
}

void mr_zone_rule_year(const mr_zone_rule *rule, int64_t year, mr_zone_change ret_changes[2])
{
    mr_zone_change begin = {day_in(&rule->begin, year) * MR_DAY_SECONDS + rule->begin.seconds -
                                rule->standard_seconds,
                            rule->summer_seconds};
    mr_zone_change end = {day_in(&rule->end, year) * MR_DAY_SECONDS + rule->end.seconds -
                              rule->summer_seconds,
                          rule->standard_seconds};
    bool ordered = begin.at <= end.at;
    ret_changes[0] = ordered ? begin : end;
    ret_changes[1] = ordered ? end : begin;
}
