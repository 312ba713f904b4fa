/* cron_words.c - see cron_words.h. */
#include "coordinator/cron_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TIMES = 6 }; /* named one by one */

static const char *const weekday_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};
static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};

/* The values of a field. */
typedef struct values {
    uint64_t bits;
    int minimum, maximum;
    const char *const *names; /* of minimum, ...; NULL: numbers */
} values;

static __attribute__((format(printf, 2, 3))) void add(char *out, const char *format, ...)
{
    size_t at = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + at, MR_CRON_WORDS_BYTES - at, format, arguments);
    va_end(arguments);
}

static bool has(const values *v, int value)
{
    return value >= v->minimum && value <= v->maximum && (v->bits >> value & 1) != 0;
}

static int count(const values *v)
{
    return __builtin_popcountll(v->bits);
}

static int first(const values *v)
{
    return __builtin_ctzll(v->bits);
}

static int last(const values *v)
{
    return 63 - __builtin_clzll(v->bits);
}

static bool all(const values *v)
{
    return count(v) == v->maximum - v->minimum + 1;
}

static bool contiguous(const values *v)
{
    return count(v) == last(v) - first(v) + 1;
}

/* The step when the values run through the whole field evenly, from its minimum on; 0: they do not. */
static int even_step(const values *v)
{
    if (count(v) < 2 || first(v) != v->minimum)
        return 0;
    int step = v->maximum - v->minimum + 1;
    if (step % count(v) != 0)
        return 0;
    step /= count(v);
    for (int value = v->minimum; value <= v->maximum; value++) {
        if (has(v, value) != ((value - v->minimum) % step == 0))
            return 0;
    }
    return step;
}

static void add_value(char *out, const values *v, int value)
{
    if (v->names != NULL)
        add(out, "%s", v->names[value - v->minimum]);
    else
        add(out, "%d", value);
}

/* "1, 5 and 8 to 12" */
static void add_list(char *out, const values *v)
{
    bool begun = false;
    for (int value = v->minimum; value <= v->maximum; value++) {
        if (!has(v, value))
            continue;
        int end = value;
        while (has(v, end + 1))
            end++;
        if (end == value + 1)
            end = value; /* two are no range */
        if (begun)
            add(out, end >= last(v) ? " and " : ", ");
        begun = true;
        add_value(out, v, value);
        if (end > value) {
            add(out, " to ");
            add_value(out, v, end);
        }
        value = end;
    }
}

/* "8:00, 12:00 and 18:00" */
static void add_times(char *out, const values *minutes, const values *hours)
{
    int left = count(minutes) * count(hours);
    bool begun = false;
    for (int hour = 0; hour < 24; hour++) {
        for (int minute = 0; minute < 60; minute++) {
            if (!has(hours, hour) || !has(minutes, minute))
                continue;
            left--;
            add(out, "%s%d:%02d", !begun ? "" : left == 0 ? " and " : ", ", hour, minute);
            begun = true;
        }
    }
}

/* "every 15 minutes", or false. */
static bool add_minutes_step(char *out, const values *minutes)
{
    int step = even_step(minutes);
    if (step == 1)
        add(out, "every minute");
    else if (step > 1)
        add(out, "every %d minutes", step);
    return step > 0;
}

static void add_time_of_day(char *out, const values *minutes, const values *hours)
{
    int hour_step = even_step(hours);
    if (count(minutes) == 1 && hour_step > 0) {
        add(out, hour_step == 1 ? "every hour" : "every %d hours", hour_step);
        if (first(minutes) != 0)
            add(out, " at minute %d", first(minutes));
    } else if (count(minutes) * count(hours) <= MAX_TIMES) {
        add(out, "at ");
        add_times(out, minutes, hours);
    } else if (count(minutes) == 1 && contiguous(hours)) {
        add(out, "every hour from %d:%02d to %d:%02d", first(hours), first(minutes), last(hours),
            first(minutes));
    } else {
        if (!add_minutes_step(out, minutes)) {
            add(out, count(minutes) == 1 ? "at minute " : "at minutes ");
            add_list(out, minutes);
        }
        if (all(hours))
            return;
        if (contiguous(hours))
            add(out, " from %d:00 to %d:59", first(hours), last(hours));
        else {
            add(out, " of the hours ");
            add_list(out, hours);
        }
    }
}

void mr_cron_words(const mr_cron *cron, const char *time_zone, char out[MR_CRON_WORDS_BYTES])
{
    const values minutes = {cron->minutes, 0, 59, NULL}, hours = {cron->hours, 0, 23, NULL};
    const values days = {cron->days, 1, 31, NULL}, months = {cron->months, 1, 12, month_names};
    const values weekdays = {cron->weekdays, 0, 6, weekday_names};
    out[0] = '\0';
    add_time_of_day(out, &minutes, &hours);
    bool by_day = !all(&days) || cron->either_day, by_weekday = !all(&weekdays) || cron->either_day;
    if (by_day) {
        add(out, count(&days) == 1 ? ", on day " : ", on days ");
        add_list(out, &days);
        add(out, " of the month");
    }
    if (by_weekday) {
        add(out, by_day ? " or on " : ", ");
        add_list(out, &weekdays);
    }
    if (!by_day && !by_weekday && strncmp(out, "at ", 3) == 0 && strncmp(out, "at minute", 9) != 0)
        add(out, " every day");
    if (!all(&months)) {
        add(out, ", in ");
        add_list(out, &months);
    }
    add(out, ", %s", time_zone);
}
