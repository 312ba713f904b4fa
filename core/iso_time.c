#include "core/iso_time.h"

#include <inttypes.h>
#include <stdio.h>

enum { CYCLE_YEARS = 400, CYCLE_DAYS = 146097, EPOCH_DAY = 719528 /* 1970-01-01, from 0000-01-01 */ };

static const int DAYS_BEFORE_MONTH[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* From 0000-01-01 to the first day of the year, which is not negative. */
static int64_t days_before_year(int64_t year)
{
    return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static int days_before_month(int64_t year, int month)
{
    return DAYS_BEFORE_MONTH[month - 1] + (month > 2 && is_leap(year));
}

static int days_in_month(int64_t year, int month)
{
    return DAYS_BEFORE_MONTH[month] - DAYS_BEFORE_MONTH[month - 1] + (month == 2 && is_leap(year));
}

static int64_t unit_of(int digits)
{
    return digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
}

/* --- reading --- */

typedef struct input {
    const char *at, *end;
} input;

static bool take(input *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool take_number(input *in, int count, int *ret_number)
{
    int number = 0;
    if (in->end - in->at < count)
        return false;
    for (; count > 0; count--, in->at++) {
        if (*in->at < '0' || *in->at > '9')
            return false;
        number = number * 10 + (*in->at - '0');
    }
    *ret_number = number;
    return true;
}

static bool take_date(input *in, int64_t *ret_days)
{
    int year, month, day;
    if (!take_number(in, 4, &year) || !take(in, '-') || !take_number(in, 2, &month) || !take(in, '-') ||
        !take_number(in, 2, &day) || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *ret_days = days_before_year(year) + days_before_month(year, month) + day - 1 - EPOCH_DAY;
    return true;
}

/* The digits behind the point, as units of the second. */
static iso_verdict take_fraction(input *in, int digits, int64_t *ret_units)
{
    int64_t units = 0;
    int count = 0;
    bool too_fine = false;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++, count++) {
        if (count < digits)
            units = units * 10 + (*in->at - '0');
        else
            too_fine = too_fine || *in->at != '0';
    }
    if (count == 0)
        return ISO_IS_NONE;
    for (; count < digits; count++)
        units *= 10;
    *ret_units = units;
    return too_fine ? ISO_TOO_FINE : ISO_FITS;
}

static iso_verdict take_time(input *in, int digits, int64_t *ret_units)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;
    iso_verdict verdict = ISO_FITS;
    if (!take_number(in, 2, &hour) || !take(in, ':') || !take_number(in, 2, &minute))
        return ISO_IS_NONE;
    if (take(in, ':')) {
        if (!take_number(in, 2, &second))
            return ISO_IS_NONE;
        if (take(in, '.'))
            verdict = take_fraction(in, digits, &fraction);
    }
    if (verdict == ISO_IS_NONE || hour > 23 || minute > 59 || second > 59)
        return ISO_IS_NONE;
    *ret_units = ((hour * 60 + minute) * 60 + second) * unit_of(digits) + fraction;
    return verdict;
}

/* Nothing, Z, or hours and minutes ahead of UTC. */
static bool take_zone(input *in, int *ret_minutes)
{
    int hours, minutes = 0;
    *ret_minutes = 0;
    if (in->at == in->end || take(in, 'Z'))
        return true;
    bool behind = *in->at == '-';
    if (!take(in, '+') && !take(in, '-'))
        return false;
    if (!take_number(in, 2, &hours))
        return false;
    if (in->at < in->end) {
        (void)take(in, ':');
        if (!take_number(in, 2, &minutes))
            return false;
    }
    *ret_minutes = (behind ? -1 : 1) * (hours * 60 + minutes);
    return hours < 24 && minutes < 60;
}

static input input_of(mr_slice text)
{
    return (input){text.data, text.data + text.size};
}

iso_verdict iso_read_date(mr_slice text, int64_t *ret_days)
{
    input in = input_of(text);
    return take_date(&in, ret_days) && in.at == in.end ? ISO_FITS : ISO_IS_NONE;
}

iso_verdict iso_read_time(mr_slice text, int digits, int64_t *ret_units)
{
    input in = input_of(text);
    iso_verdict verdict = take_time(&in, digits, ret_units);
    return verdict != ISO_IS_NONE && in.at != in.end ? ISO_IS_NONE : verdict;
}

iso_verdict iso_read_timestamp(mr_slice text, int digits, bool zoned, int64_t *ret_units)
{
    input in = input_of(text);
    int64_t days, time, units;
    int minutes = 0;
    if (!take_date(&in, &days) || (!take(&in, 'T') && !take(&in, ' ')))
        return ISO_IS_NONE;
    iso_verdict verdict = take_time(&in, digits, &time);
    if (verdict == ISO_IS_NONE || (zoned && !take_zone(&in, &minutes)) || in.at != in.end)
        return ISO_IS_NONE;
    if (verdict != ISO_FITS)
        return verdict;
    if (__builtin_mul_overflow(days * 86400 - minutes * INT64_C(60), unit_of(digits), &units) ||
        __builtin_add_overflow(units, time, ret_units))
        return ISO_OUT_OF_RANGE;
    return ISO_FITS;
}

/* --- printing --- */

/* The quotient, rounded down. */
static int64_t split(int64_t number, int64_t divisor, int64_t *ret_rest)
{
    int64_t rest = number % divisor;
    *ret_rest = rest < 0 ? rest + divisor : rest;
    return number / divisor - (rest < 0);
}

void iso_print_date(int64_t days, char out[ISO_TEXT_BYTES])
{
    int64_t in_cycle;
    int64_t cycle = split(days + EPOCH_DAY, CYCLE_DAYS, &in_cycle);
    int64_t year = in_cycle / 366;
    while (days_before_year(year + 1) <= in_cycle)
        year++;
    int day = (int)(in_cycle - days_before_year(year)), month = 1;
    while (month < 12 && days_before_month(year, month + 1) <= day)
        month++;
    day -= days_before_month(year, month);
    int64_t whole = cycle * CYCLE_YEARS + year;
    bool usual = whole >= 0 && whole <= 9999;
    snprintf(out, ISO_TEXT_BYTES, usual ? "%04" PRId64 "-%02d-%02d" : "%+07" PRId64 "-%02d-%02d", whole,
             month, day + 1);
}

void iso_print_time(int64_t units, int digits, char out[ISO_TEXT_BYTES])
{
    int64_t seconds = units / unit_of(digits);
    snprintf(out, ISO_TEXT_BYTES, "%02d:%02d:%02d.%0*" PRId64, (int)(seconds / 3600),
             (int)(seconds / 60 % 60), (int)(seconds % 60), digits, units % unit_of(digits));
}

void iso_print_timestamp(int64_t units, int digits, bool zoned, char out[ISO_TEXT_BYTES])
{
    int64_t time;
    char clock[ISO_TEXT_BYTES];
    iso_print_date(split(units, 86400 * unit_of(digits), &time), out);
    iso_print_time(time, digits, clock);
    size_t used = strlen(out);
    snprintf(out + used, ISO_TEXT_BYTES - used, "T%s%s", clock, zoned ? "Z" : "");
}
