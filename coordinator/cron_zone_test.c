#include "coordinator/calendar.h"
#include "coordinator/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int64_t seconds_of(const char *text)
{
    int year, month, day, hour, minute;
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &year, &month, &day, &hour, &minute), 5);
    return mr_day_of(year, month, day) * MR_DAY_SECONDS + hour * 3600 + minute * 60;
}

/* The times after `from` are the `expected` ones; both "year-month-day hour:minute" in UTC. */
static void due(const char *zone_name, const char *schedule, const char *from, const char *const *expected)
{
    mr_time_zone *zone;
    mr_cron cron;
    assert_int_equal(mr_time_zone_open(zone_name, &zone, NULL), MR_OK);
    assert_int_equal(mr_cron_parse(schedule, &cron, NULL), MR_OK);
    int64_t at = seconds_of(from), former = at;
    for (; *expected != NULL; expected++) {
        at = mr_cron_next(&cron, zone, at);
        mr_date d = mr_date_of(mr_floor_divide(at, MR_DAY_SECONDS));
        if (at != seconds_of(*expected))
            fail_msg("%s in %s: %d-%02d-%02d %02d:%02d, not %s", schedule, zone_name, (int)d.year, d.month,
                     d.day_of_month, (int)(at % MR_DAY_SECONDS / 3600), (int)(at % 3600 / 60), *expected);
        /* Backwards it is the same. */
        assert_int_equal(mr_cron_latest(&cron, zone, former, at), at);
        assert_int_equal(mr_cron_latest(&cron, zone, former, at - 1), -1);
        assert_int_equal(mr_cron_latest(&cron, zone, seconds_of(from), at), at);
        former = at;
    }
    mr_time_zone_close(&zone);
}

#define DUE(zone, schedule, from, ...) due(zone, schedule, from, (const char *const[]){__VA_ARGS__, NULL})

static void a_fixed_time_keeps_its_place_on_the_clock(void **state)
{
    (void)state;
    DUE("Europe/Helsinki", "0 8 * * *", "2026-03-27 12:00", "2026-03-28 06:00", "2026-03-29 05:00");
    DUE("Europe/Helsinki", "0 8 * * MON-FRI", "2026-10-23 12:00", "2026-10-26 06:00");
}

static void a_fixed_time_in_the_gap_is_due_once_after_it(void **state)
{
    (void)state;
    DUE("Europe/Helsinki", "30 3 * * *", "2026-03-28 00:00", "2026-03-28 01:30", "2026-03-29 01:00",
        "2026-03-30 00:30");
    DUE("Europe/Helsinki", "0,30 3,4 * * *", "2026-03-28 02:00", "2026-03-28 02:30", "2026-03-29 01:00",
        "2026-03-29 01:30", "2026-03-30 00:00");
    /* ... also when it names the day. */
    DUE("Europe/Helsinki", "15 3 29 3 *", "2026-01-01 00:00", "2026-03-29 01:00", "2027-03-29 00:15");
}

static void a_fixed_time_that_comes_twice_is_due_the_first_time(void **state)
{
    (void)state;
    DUE("Europe/Helsinki", "30 3 * * *", "2026-10-24 12:00", "2026-10-25 00:30", "2026-10-26 01:30");
    DUE("America/New_York", "0,30 1,2 * * *", "2026-11-01 04:00", "2026-11-01 05:00", "2026-11-01 05:30",
        "2026-11-01 07:00", "2026-11-01 07:30", "2026-11-02 06:00");
}

static void a_wildcard_schedule_follows_elapsed_time(void **state)
{
    (void)state;
    DUE("Europe/Helsinki", "0 * * * *", "2026-03-28 23:30", "2026-03-29 00:00", "2026-03-29 01:00",
        "2026-03-29 02:00");
    DUE("Europe/Helsinki", "0 * * * *", "2026-10-24 23:30", "2026-10-25 00:00", "2026-10-25 01:00",
        "2026-10-25 02:00");
    DUE("Europe/Helsinki", "*/30 3 * * *", "2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 01:00",
        "2026-10-25 01:30", "2026-10-26 01:00");
    DUE("Europe/Helsinki", "*/30 3 * * *", "2026-03-28 01:00", "2026-03-28 01:30", "2026-03-30 00:00");
    DUE("Europe/Helsinki", "30 ? * * *", "2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 01:30");
}

/* 10:30 and 11:00 ahead of UTC; the clock changes at 2:00. */
static void lord_howe_changes_by_half_an_hour(void **state)
{
    (void)state;
    DUE("Australia/Lord_Howe", "15 2 * * *", "2026-10-02 16:00", "2026-10-03 15:30", "2026-10-04 15:15");
    DUE("Australia/Lord_Howe", "45 1 * * *", "2026-04-03 15:00", "2026-04-04 14:45", "2026-04-05 15:15");
    DUE("Australia/Lord_Howe", "15,45 * * * *", "2026-04-04 14:30", "2026-04-04 14:45", "2026-04-04 15:15",
        "2026-04-04 15:45");
    DUE("Australia/Lord_Howe", "0 * * * *", "2026-10-03 14:00", "2026-10-03 14:30", "2026-10-03 16:00");
}

/* Until 2018 summer began at midnight: the day had no 0:00. */
static void a_gap_at_midnight_moves_the_day_s_run_behind_it(void **state)
{
    (void)state;
    DUE("America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00", "2018-11-04 03:00", "2018-11-05 02:00");
    DUE("America/Sao_Paulo", "@daily", "2018-02-16 12:00", "2018-02-17 02:00", "2018-02-18 03:00");
    DUE("America/Sao_Paulo", "30 23 * * *", "2018-02-17 00:00", "2018-02-17 01:30", "2018-02-18 01:30",
        "2018-02-19 02:30");
    DUE("America/Sao_Paulo", "10 0 4 11 *", "2018-01-01 00:00", "2018-11-04 03:00");
}

/* 2011-12-30 did not happen. */
static void a_date_that_is_skipped_is_due_once_after_it(void **state)
{
    (void)state;
    DUE("Pacific/Apia", "0 12 * * *", "2011-12-29 00:00", "2011-12-29 22:00", "2011-12-30 10:00",
        "2011-12-30 22:00");
    DUE("Pacific/Apia", "0 0 30 * *", "2011-12-01 00:00", "2011-12-30 10:00", "2012-01-29 10:00");
    DUE("Pacific/Apia", "0 */6 * * *", "2011-12-30 00:00", "2011-12-30 04:00", "2011-12-30 10:00",
        "2011-12-30 16:00");
}

static void the_rule_goes_on_beyond_the_listed_changes(void **state)
{
    (void)state;
    DUE("Europe/Helsinki", "30 3 * * *", "2096-03-24 12:00", "2096-03-25 01:00", "2096-03-26 00:30");
}

static void what_never_comes_is_told_in_every_zone(void **state)
{
    (void)state;
    mr_time_zone *zone;
    mr_cron cron;
    assert_int_equal(mr_time_zone_open("Europe/Helsinki", &zone, NULL), MR_OK);
    assert_int_equal(mr_cron_parse("0 0 30 2 *", &cron, NULL), MR_OK);
    assert_int_equal(mr_cron_next(&cron, zone, 0), -1);
    assert_int_equal(mr_cron_latest(&cron, zone, INT64_MIN, 1800000000), -1);
    mr_time_zone_close(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_time_keeps_its_place_on_the_clock),
        cmocka_unit_test(a_fixed_time_in_the_gap_is_due_once_after_it),
        cmocka_unit_test(a_fixed_time_that_comes_twice_is_due_the_first_time),
        cmocka_unit_test(a_wildcard_schedule_follows_elapsed_time),
        cmocka_unit_test(lord_howe_changes_by_half_an_hour),
        cmocka_unit_test(a_gap_at_midnight_moves_the_day_s_run_behind_it),
        cmocka_unit_test(a_date_that_is_skipped_is_due_once_after_it),
        cmocka_unit_test(the_rule_goes_on_beyond_the_listed_changes),
        cmocka_unit_test(what_never_comes_is_told_in_every_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
