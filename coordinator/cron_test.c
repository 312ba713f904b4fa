#include "coordinator/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const int64_t new_year_2026 = 1767225600;

static mr_cron parsed(const char *text)
{
    mr_cron cron;
    mr_error error = {.text = ""};
    if (mr_cron_parse(text, &cron, &error) != MR_OK)
        fail_msg("%s: %s", text, error.text);
    return cron;
}

static int64_t utc(const char *text)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return timegm(&tm);
}

/* The oracle: its own, slow reading of a field, asked for each minute through gmtime. */
static bool field_holds(const char *field, int value, int minimum, int maximum)
{
    char copy[100];
    snprintf(copy, sizeof copy, "%s", field);
    char *rest = copy;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        int first = minimum, last = maximum, step = 1;
        char *slash = strchr(item, '/'), *dash = strchr(item, '-');
        if (slash != NULL)
            step = atoi(slash + 1);
        if (*item != '*') {
            first = atoi(item);
            last = dash != NULL ? atoi(dash + 1) : slash != NULL ? maximum : first;
        }
        if (value >= first && value <= last && (value - first) % step == 0)
            return true;
    }
    return false;
}

typedef struct oracle {
    char minute[100], hour[100], day[100], month[100], weekday[100];
} oracle;

static oracle oracle_of(const char *text)
{
    oracle o;
    assert_int_equal(sscanf(text, "%99s %99s %99s %99s %99s", o.minute, o.hour, o.day, o.month, o.weekday),
                     5);
    return o;
}

static bool oracle_matches(const oracle *o, int64_t time)
{
    struct tm tm;
    time_t when = time;
    gmtime_r(&when, &tm);
    if (!field_holds(o->minute, tm.tm_min, 0, 59) || !field_holds(o->hour, tm.tm_hour, 0, 23) ||
        !field_holds(o->month, tm.tm_mon + 1, 1, 12))
        return false;
    bool by_day = field_holds(o->day, tm.tm_mday, 1, 31);
    bool by_week = field_holds(o->weekday, tm.tm_wday, 0, 6) ||
                   (tm.tm_wday == 0 && *o->weekday != '*' && field_holds(o->weekday, 7, 0, 7));
    bool either = strcmp(o->day, "*") != 0 && strcmp(o->weekday, "*") != 0;
    return either ? by_day || by_week : by_day && by_week;
}

static const char *const samples[] = {
    "* * * * *",
    "*/1 * * * *",
    "0 * * * *",
    "*/7 * * * *",
    "59 23 31 12 *",
    "0 0 29 2 *",
    "15,45 8-17 * * 1-5",
    "0 0 1,15 * 3",
    "0 0 */2 * 1",
    "0 12 * */3 *",
    "5/20 3 * * *",
    "0 0 * * 7",
    "0 0 * * 0",
    "0 0 * * 5-7",
    "30 4 1-7/2 * */2",
    "1-59/2 22-23 * * *",
    "0 6 13 * 5",
    "10-20/5,50 1,3 31 * *",
    "*/15 0-6/3 28-31 2,4 *",
};

static void test_next_agrees_with_every_minute_of_a_year(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        mr_cron cron = parsed(samples[i]);
        oracle o = oracle_of(samples[i]);
        int64_t next = mr_cron_next(&cron, NULL, new_year_2026 - 1);
        for (int64_t time = new_year_2026; time < new_year_2026 + 366 * 86400; time += 60) {
            bool due = oracle_matches(&o, time);
            if (due != (next == time))
                fail_msg("%s: %lld: due %d, next %lld", samples[i], (long long)time, due, (long long)next);
            if (due)
                next = mr_cron_next(&cron, NULL, time);
        }
    }
}

static void test_latest_agrees_with_every_minute_of_a_spring(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        mr_cron cron = parsed(samples[i]);
        oracle o = oracle_of(samples[i]);
        int64_t after = new_year_2026 - 1, latest = -1;
        for (int64_t time = new_year_2026; time < new_year_2026 + 100 * 86400; time += 60) {
            if (oracle_matches(&o, time))
                latest = time;
            if (mr_cron_latest(&cron, NULL, after, time + 59) != latest)
                fail_msg("%s: until %lld: not %lld", samples[i], (long long)time, (long long)latest);
        }
    }
}

static void test_next_is_strictly_later(void **state)
{
    (void)state;
    mr_cron cron = parsed("0 * * * *");
    assert_int_equal(mr_cron_next(&cron, NULL, utc("2026-03-01 12:00:00")), utc("2026-03-01 13:00:00"));
    assert_int_equal(mr_cron_next(&cron, NULL, utc("2026-03-01 11:59:59")), utc("2026-03-01 12:00:00"));
}

static void test_latest_takes_its_end_and_not_its_start(void **state)
{
    (void)state;
    mr_cron cron = parsed("0 * * * *");
    int64_t noon = utc("2026-03-01 12:00:00");
    assert_int_equal(mr_cron_latest(&cron, NULL, noon - 1, noon), noon);
    assert_int_equal(mr_cron_latest(&cron, NULL, noon, noon + 3599), -1);
    assert_int_equal(mr_cron_latest(&cron, NULL, noon, noon + 3600), noon + 3600);
    assert_int_equal(mr_cron_latest(&cron, NULL, noon, noon), -1);
    assert_int_equal(mr_cron_latest(&cron, NULL, noon, noon - 7200), -1);
}

static void test_a_long_pause_is_caught_up_at_once(void **state)
{
    (void)state;
    mr_cron cron = parsed("30 2 29 2 *");
    assert_int_equal(mr_cron_latest(&cron, NULL, 0, utc("2027-12-31 23:59:00")), utc("2024-02-29 02:30:00"));
}

static void test_leap_days_are_found_over_a_century(void **state)
{
    (void)state;
    mr_cron cron = parsed("0 0 29 2 *");
    assert_int_equal(mr_cron_next(&cron, NULL, utc("2026-01-01 00:00:00")), utc("2028-02-29 00:00:00"));
    assert_int_equal(mr_cron_next(&cron, NULL, utc("2096-02-29 00:00:00")), utc("2104-02-29 00:00:00"));
}

static void test_a_day_that_never_comes_has_no_next(void **state)
{
    (void)state;
    mr_cron cron = parsed("0 0 30 2 *");
    assert_int_equal(mr_cron_next(&cron, NULL, new_year_2026), -1);
    assert_int_equal(mr_cron_latest(&cron, NULL, 0, new_year_2026), -1);
    cron = parsed("0 0 31 4,6,9,11 *");
    assert_int_equal(mr_cron_next(&cron, NULL, new_year_2026), -1);
}

static void test_times_before_1970_and_absurd_ones_are_safe(void **state)
{
    (void)state;
    mr_cron cron = parsed("0 0 1 1 *");
    assert_int_equal(mr_cron_next(&cron, NULL, -1), 0);
    assert_int_equal(mr_cron_next(&cron, NULL, -86400), 0);
    assert_int_equal(mr_cron_next(&cron, NULL, INT64_MAX), -1);
    assert_int_equal(mr_cron_next(&cron, NULL, INT64_MIN), -1);
    assert_int_equal(mr_cron_latest(&cron, NULL, INT64_MIN, INT64_MAX), -1);
    assert_int_equal(mr_cron_latest(&cron, NULL, INT64_MIN, 5), 0);
}

static void test_blanks_around_and_between_fields_do_not_matter(void **state)
{
    (void)state;
    mr_cron a = parsed("  0\t*  * * * "), b = parsed("0 * * * *");
    assert_int_equal(mr_cron_next(&a, NULL, 5), mr_cron_next(&b, NULL, 5));
}

static void test_names_and_macros_stand_for_their_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *numbers;
    } cases[] = {
        {"0 0 * JAN,jul-Sep *", "0 0 * 1,7-9 *"},
        {"0 0 * * mon-FRI", "0 0 * * 1-5"},
        {"0 0 * * Sun", "0 0 * * 7"},
        {"0 0 * * SUN-SAT/2", "0 0 * * 0-6/2"},
        {"0 0 * * tue/2", "0 0 * * 2-6/2"},
        {"0 0 ? * MON", "0 0 * * 1"},
        {"0 ? 1 ? ?", "0 * 1 * *"},
        {"@hourly", "0 * * * *"},
        {" @Daily ", "0 0 * * *"},
        {"@midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},
        {"@monthly", "0 0 1 * *"},
        {"@yearly", "0 0 1 1 *"},
        {"@ANNUALLY", "0 0 1 1 *"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_cron a = parsed(cases[i].text), b = parsed(cases[i].numbers);
        if (a.minutes != b.minutes || a.hours != b.hours || a.days != b.days || a.months != b.months ||
            a.weekdays != b.weekdays || a.either_day != b.either_day || a.wildcard != b.wildcard)
            fail_msg("%s is not %s", cases[i].text, cases[i].numbers);
    }
}

static void test_a_day_field_with_a_step_is_restricted(void **state)
{
    (void)state;
    assert_true(parsed("0 0 */2 * 1").either_day);
    assert_true(parsed("0 0 1-31 * 1").either_day);
    assert_false(parsed("0 0 */1 * 1").either_day);
    assert_false(parsed("0 0 5,* * 1").either_day);
    assert_false(parsed("0 0 5 * ?").either_day);
}

static void test_what_is_wrong_is_named_with_field_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"60 * * * *", "\"60 * * * *\", column 1, field minute: the value 60 is not within 0-59"},
        {"0 24 * * *", "column 3, field hour: the value 24"},
        {"0 0 0 * *", "column 5, field day of month: the value 0"},
        {"0 0 1 1-13 *", "column 9, field month: the value 13"},
        {"0 0 1 1 8", "column 9, field day of week: the value 8 is not within 0-7"},
        {"0 0 99999999999999999999 * *", "the value 99999999999999999999"},
        {"*/0 * * * *", "column 3, field minute: the step 0 is not within 1-60"},
        {"*/61 * * * *", "the step 61"},
        {"5-1 * * * *", "column 1, field minute: the range runs backwards"},
        {"1,,2 * * * *", "column 3, field minute: a number or * is expected"},
        {"1- * * * *", "column 3, field minute: a number or * is expected"},
        {"*/ * * * *", "column 3, field minute: a number or * is expected"},
        {"-1 * * * *", "column 1, field minute: a number or * is expected"},
        {"MON * * * *", "column 1, field minute: a number or * is expected"},
        {"** * * * *", "column 2, field minute: only digits"},
        {"1;2 * * * *", "column 2, field minute: only digits"},
        {"0 0 * JUM *", "column 7, field month: there is no name \"JUM\", did you mean JUN?"},
        {"0 0 * * MON-FRY", "column 13, field day of week: there is no name \"FRY\", did you mean FRI?"},
        {"0 0 * * monday", "column 9, field day of week: there is no name \"monday\""},
        {"0 0 * * FRI-SUN", "column 9, field day of week: the range runs backwards; write two"},
        {"0 0 * MON *", "column 7, field month: there is no name \"MON\""},
        {"0 0 * * /2", "column 9, field day of week: a number, a name (SUN-SAT) or * is expected"},
        {"0 0 * * */MON", "column 11, field day of week: a number, a name (SUN-SAT) or * is expected"},
        {"0 0 L * *", "column 5, field day of month: a number or * is expected"},
        {"0 0 * * 5#2", "column 10, field day of week: only digits"},
        {"0 * * *", "has fewer than five fields (4)"},
        {"0 0 * * * *", "has more than five fields (6)"},
        {"0 0 * * * *", "there is no field for seconds"},
        {"", "has fewer than five fields (0)"},
        {"@hourli", "column 1: there is no such macro, did you mean @hourly?"},
        {"  @reboot", "column 3: there is no such macro"},
        {"@hourly *", "column 1: there is no such macro"},
        {" @every 5m", "column 2: @every is not supported; write a step"},
        {"TZ=Europe/Berlin 0 * * * *", "a schedule holds no time zone"},
        {"0 0 * * *\n", "only digits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_cron cron;
        mr_error error = {.text = ""};
        assert_int_equal(mr_cron_parse(cases[i].text, &cron, &error), MR_EINVALID);
        if (strstr(error.text, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].text, error.text);
    }
}

static void test_a_text_without_end_is_refused(void **state)
{
    (void)state;
    mr_cron cron;
    char text[1000];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(mr_cron_parse(text, &cron, NULL), MR_ETOOLARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_agrees_with_every_minute_of_a_year),
        cmocka_unit_test(test_latest_agrees_with_every_minute_of_a_spring),
        cmocka_unit_test(test_next_is_strictly_later),
        cmocka_unit_test(test_latest_takes_its_end_and_not_its_start),
        cmocka_unit_test(test_a_long_pause_is_caught_up_at_once),
        cmocka_unit_test(test_leap_days_are_found_over_a_century),
        cmocka_unit_test(test_a_day_that_never_comes_has_no_next),
        cmocka_unit_test(test_times_before_1970_and_absurd_ones_are_safe),
        cmocka_unit_test(test_blanks_around_and_between_fields_do_not_matter),
        cmocka_unit_test(test_names_and_macros_stand_for_their_numbers),
        cmocka_unit_test(test_a_day_field_with_a_step_is_restricted),
        cmocka_unit_test(test_what_is_wrong_is_named_with_field_and_column),
        cmocka_unit_test(test_a_text_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
