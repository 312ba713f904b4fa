/* calendar.h - the proleptic Gregorian calendar, in days since 1970-01-01. Pure; thread: any. */
#ifndef MR_COORDINATOR_CALENDAR_H
#define MR_COORDINATOR_CALENDAR_H

#include <stdint.h>

enum {
    MR_DAY_SECONDS = 86400,
    MR_CYCLE_DAYS = 146097, /* after 400 years the calendar repeats */
};

typedef struct mr_date {
    int64_t day; /* since 1970-01-01 */
    int64_t year;
    int month; /* 1-12 */
    int day_of_month;
    int month_days; /* of its month */
} mr_date;

mr_date mr_date_of(int64_t day);
int64_t mr_day_of(int64_t year, int month, int day_of_month);
int mr_weekday(int64_t day); /* 0-6, 0 is Sunday */

int64_t mr_floor_divide(int64_t a, int64_t b); /* b above 0 */

#endif
