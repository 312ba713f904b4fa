/* cron.c - walks days, not minutes: a day either matches or not, and within it the bits are looked up. In a
 * zone it walks the periods in which the clock is not changed; "local" is the time that the clock shows, in
 * seconds as if it were UTC. */
#include "coordinator/cron.h"

#include "coordinator/calendar.h"

/* Beyond the year 100,000 nobody schedules, and sums cannot overflow. */
static const int64_t last_second = INT64_C(3093527980800);

/* After that long the calendar repeats: what has not matched by then never does. */
static const int64_t cycle_seconds = (int64_t)(MR_CYCLE_DAYS + 1) * MR_DAY_SECONDS;

static bool has(uint64_t bits, int value)
{
    return (bits >> value & 1) != 0;
}

static bool day_matches(const mr_cron *cron, const mr_date *d)
{
    bool by_month = has(cron->days, d->day_of_month), by_week = has(cron->weekdays, mr_weekday(d->day));
    return has(cron->months, d->month) && (cron->either_day ? by_month || by_week : by_month && by_week);
}

/* The first matching minute of a day, not before `minimum` (0-1439); -1 when there is none. */
static int first_minute(const mr_cron *cron, int minimum)
{
    for (int hour = minimum / 60; hour < 24; hour++) {
        uint64_t minutes =
            hour == minimum / 60 ? cron->minutes >> minimum % 60 << minimum % 60 : cron->minutes;
        if (has(cron->hours, hour) && minutes != 0)
            return hour * 60 + __builtin_ctzll(minutes);
    }
    return -1;
}

/* The last matching minute of a day, not after `maximum`. */
static int last_minute(const mr_cron *cron, int maximum)
{
    for (int hour = maximum / 60; hour >= 0; hour--) {
        uint64_t minutes = cron->minutes;
        if (hour == maximum / 60)
            minutes &= (UINT64_C(2) << maximum % 60) - 1;
        if (has(cron->hours, hour) && minutes != 0)
            return hour * 60 + 63 - __builtin_clzll(minutes);
    }
    return -1;
}

/* The first matching local time within [from, end), or INT64_MIN. */
static int64_t first_local(const mr_cron *cron, int64_t from, int64_t end)
{
    int64_t minutes = mr_floor_divide(from + 59, 60);
    int64_t day = mr_floor_divide(minutes, 1440);
    int minimum = (int)(minutes - day * 1440);
    while (day * MR_DAY_SECONDS < end) {
        mr_date d = mr_date_of(day);
        int minute = day_matches(cron, &d) ? first_minute(cron, minimum) : -1;
        if (minute >= 0) {
            int64_t time = day * MR_DAY_SECONDS + minute * 60;
            return time < end ? time : INT64_MIN;
        }
        day += has(cron->months, d.month) ? 1 : d.month_days - d.day_of_month + 1;
        minimum = 0;
    }
    return INT64_MIN;
}

/* The last matching local time within [from, end), or INT64_MIN. */
static int64_t last_local(const mr_cron *cron, int64_t from, int64_t end)
{
    int64_t minutes = mr_floor_divide(end - 1, 60);
    int64_t day = mr_floor_divide(minutes, 1440);
    int maximum = (int)(minutes - day * 1440);
    while ((day + 1) * MR_DAY_SECONDS > from) {
        mr_date d = mr_date_of(day);
        int minute = day_matches(cron, &d) ? last_minute(cron, maximum) : -1;
        if (minute >= 0) {
            int64_t time = day * MR_DAY_SECONDS + minute * 60;
            return time >= from ? time : INT64_MIN;
        }
        day -= has(cron->months, d.month) ? 1 : d.day_of_month;
        maximum = 1439;
    }
    return INT64_MIN;
}

/* Where the period's own local time begins for the schedule: a fixed time that the clock shows for the second
 * time is not due again. */
static int64_t local_start(const mr_cron *cron, const mr_zone_period *period)
{
    bool repeats = period->former_seconds > period->offset_seconds && !cron->wildcard;
    return period->start + (repeats ? period->former_seconds : period->offset_seconds);
}

/* A fixed time that the clock jumped over at the period's start is due right then. */
static bool due_after_gap(const mr_cron *cron, const mr_zone_period *period)
{
    return !cron->wildcard && period->offset_seconds > period->former_seconds &&
           first_local(cron, period->start + period->former_seconds,
                       period->start + period->offset_seconds) != INT64_MIN;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t mr_cron_next(const mr_cron *cron, const mr_time_zone *zone, int64_t after)
{
    if (after > last_second || after < -last_second)
        return -1;
    const int64_t limit = after + cycle_seconds;
    for (int64_t at = after; at < limit;) {
        mr_zone_period period = mr_time_zone_period(zone, at);
        if (period.start > after && due_after_gap(cron, &period))
            return period.start;
        int64_t from = after + 1 + period.offset_seconds;
        if (period.start != INT64_MIN)
            from = later(from, local_start(cron, &period));
        int64_t end = period.end < limit ? period.end : limit;
        int64_t local = first_local(cron, from, end + period.offset_seconds);
        if (local != INT64_MIN)
            return local - period.offset_seconds;
        at = end;
    }
    return -1;
}

int64_t mr_cron_latest(const mr_cron *cron, const mr_time_zone *zone, int64_t after, int64_t until)
{
    if (until > last_second || until < -last_second || after >= until)
        return -1;
    const int64_t first = later(after + 1, until - cycle_seconds); /* the earliest that counts */
    for (int64_t at = until; at >= first;) {
        mr_zone_period period = mr_time_zone_period(zone, at);
        int64_t from = first + period.offset_seconds;
        if (period.start != INT64_MIN)
            from = later(from, local_start(cron, &period));
        int64_t local = last_local(cron, from, at + 1 + period.offset_seconds);
        if (local != INT64_MIN)
            return local - period.offset_seconds;
        if (period.start >= first && due_after_gap(cron, &period))
            return period.start;
        if (period.start <= first)
            break;
        at = period.start - 1;
    }
    return -1;
}
