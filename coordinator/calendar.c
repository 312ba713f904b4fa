/* calendar.c - see calendar.h. Years are counted from March, so that the leap day is the last of its year. */
#include "coordinator/calendar.h"

#include <stdbool.h>

enum { EPOCH_DAYS = 719468 }; /* from 0000-03-01 to 1970-01-01 */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of(int month, int64_t year)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

int64_t mr_floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

mr_date mr_date_of(int64_t day)
{
    int64_t since = day + EPOCH_DAYS;
    int64_t cycle = mr_floor_divide(since, MR_CYCLE_DAYS);
    int64_t in_cycle = since - cycle * MR_CYCLE_DAYS;
    int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
    int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
    int64_t march_month = (5 * in_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    int64_t civil_year = year + cycle * 400 + (month <= 2 ? 1 : 0);
    return (mr_date){day, civil_year, month, (int)(in_year - (153 * march_month + 2) / 5) + 1,
                     days_of(month, civil_year)};
}

int64_t mr_day_of(int64_t year, int month, int day_of_month)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t cycle = mr_floor_divide(march_year, 400);
    int64_t in_cycle = march_year - cycle * 400;
    int64_t in_year = (153 * (month <= 2 ? month + 9 : month - 3) + 2) / 5 + day_of_month - 1;
    return cycle * MR_CYCLE_DAYS + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year - EPOCH_DAYS;
}

int mr_weekday(int64_t day)
{
    return (int)((day % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
}
