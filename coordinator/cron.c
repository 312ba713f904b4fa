/* cron.c - walks days, not minutes: a day either matches or not, and within it the bits are looked up. */
#include "coordinator/cron.h"

enum {
    DAY_SECONDS = 86400,
    CYCLE_DAYS = 146097, /* after 400 years the calendar repeats: what has not matched by then never does */
};

/* Beyond the year 100,000 nobody schedules, and sums cannot overflow. */
static const int64_t last_second = INT64_C(3093527980800);

typedef struct date {
    int64_t day; /* since 1970-01-01 */
    int month;   /* 1-12 */
    int day_of_month;
    int month_days;
} date;

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of(int month, int64_t year)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/* Proleptic Gregorian calendar; years are counted from March, so that the leap day is the last of its year.
 */
static date date_of(int64_t day)
{
    int64_t since = day + 719468; /* days since 0000-03-01 */
    int64_t cycle = floor_divide(since, CYCLE_DAYS);
    int64_t in_cycle = since - cycle * CYCLE_DAYS;
    int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
    int64_t march_month = (5 * in_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    int64_t civil_year = year + cycle * 400 + (month <= 2 ? 1 : 0);
    return (date){day, month, (int)(in_year - (153 * march_month + 2) / 5) + 1, days_of(month, civil_year)};
}

static bool has(uint64_t bits, int value)
{
    return (bits >> value & 1) != 0;
}

static bool day_matches(const mr_cron *cron, const date *d)
{
    int weekday = (int)((d->day % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
    bool by_month = has(cron->days, d->day_of_month), by_week = has(cron->weekdays, weekday);
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

int64_t mr_cron_next(const mr_cron *cron, int64_t after)
{
    if (after > last_second || after < -last_second)
        return -1;
    int64_t from = floor_divide(after, 60) + 1; /* in minutes */
    int64_t day = floor_divide(from, 1440), end = day + CYCLE_DAYS + 1;
    int minimum = (int)(from - day * 1440);
    while (day < end) {
        date d = date_of(day);
        int minute = day_matches(cron, &d) ? first_minute(cron, minimum) : -1;
        if (minute >= 0)
            return day * DAY_SECONDS + minute * 60;
        day += has(cron->months, d.month) ? 1 : d.month_days - d.day_of_month + 1;
        minimum = 0;
    }
    return -1;
}

int64_t mr_cron_latest(const mr_cron *cron, int64_t after, int64_t until)
{
    if (until > last_second || until < -last_second || after >= until)
        return -1;
    int64_t to = floor_divide(until, 60);
    int64_t day = floor_divide(to, 1440), first = day - CYCLE_DAYS;
    int maximum = (int)(to - day * 1440);
    while (day >= first && (day + 1) * DAY_SECONDS > after) {
        date d = date_of(day);
        int minute = day_matches(cron, &d) ? last_minute(cron, maximum) : -1;
        if (minute >= 0) {
            int64_t time = day * DAY_SECONDS + minute * 60;
            return time > after ? time : -1;
        }
        day -= has(cron->months, d.month) ? 1 : d.day_of_month;
        maximum = 1439;
    }
    return -1;
}
