#include "coordinator/time_zone.h"

#include "coordinator/calendar.h"
#include "coordinator/zone_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const zones[] = {
    "Europe/Helsinki",   "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia",
    "Africa/Casablanca", "Asia/Kolkata",     "Europe/Dublin",     "America/Nuuk",        "Etc/GMT+5",
};

static mr_time_zone *opened(const char *name)
{
    mr_time_zone *zone;
    mr_error error = {.text = ""};
    if (mr_time_zone_open(name, &zone, &error) != MR_OK)
        fail_msg("%s: %s", name, error.text);
    return zone;
}

/* The oracle is the C library. */
static void agrees(const mr_time_zone *zone, int64_t at)
{
    time_t when = at;
    struct tm tm;
    localtime_r(&when, &tm);
    mr_zone_period period = mr_time_zone_period(zone, at);
    assert_true(period.start <= at && at < period.end);
    if (tm.tm_gmtoff != period.offset_seconds)
        fail_msg("%s: at %lld: %d, not %ld", mr_time_zone_name(zone), (long long)at, period.offset_seconds,
                 tm.tm_gmtoff);
}

/* Each change, and each day between. */
static void offsets_agree_with_the_c_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        mr_time_zone *zone = opened(zones[i]);
        setenv("TZ", zones[i], 1);
        tzset();
        int64_t at = mr_day_of(1902, 1, 1) * MR_DAY_SECONDS, end = mr_day_of(2090, 1, 1) * MR_DAY_SECONDS;
        for (int64_t day = at; day < end; day += MR_DAY_SECONDS)
            agrees(zone, day + day / MR_DAY_SECONDS % 24 * 3600);
        for (mr_zone_period period = mr_time_zone_period(zone, at); period.end < end;) {
            int32_t former = period.offset_seconds;
            int64_t begin = period.end;
            agrees(zone, begin - 1);
            agrees(zone, begin);
            period = mr_time_zone_period(zone, begin);
            assert_int_equal(period.start, begin);
            assert_int_equal(period.former_seconds, former);
        }
        mr_time_zone_close(&zone);
    }
    unsetenv("TZ");
    tzset();
}

static void without_a_zone_it_is_utc(void **state)
{
    (void)state;
    mr_zone_period period = mr_time_zone_period(NULL, 5);
    assert_int_equal(period.start, INT64_MIN);
    assert_int_equal(period.end, INT64_MAX);
    assert_int_equal(period.offset_seconds, 0);
}

static void what_is_no_zone_is_refused_with_the_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"Europe/Helsinky", "there is no time zone \"Europe/Helsinky\", did you mean Europe/Helsinki?"},
        {"europe/paris", "did you mean Europe/Paris?"},
        {"Europe", "there is no time zone \"Europe\""},
        {"", "there is no time zone \"\"; write a name such as Europe/Helsinki"},
        {"../../etc/passwd", "there is no time zone"},
        {"Europe/../Europe/Paris", "there is no time zone"},
        {"/etc/localtime", "there is no time zone"},
        {"Europe/", "there is no time zone"},
        {"Europe//Paris", "there is no time zone"},
        {"tzdata.zi", "there is no time zone"},
        {"right/Europe/Paris", ""},
        {"UTC+3", "there is no time zone"},
        {"Local", "there is no time zone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_time_zone *zone = NULL;
        mr_error error = {.text = ""};
        assert_int_not_equal(mr_time_zone_open(cases[i].name, &zone, &error), MR_OK);
        assert_null(zone);
        if (strstr(error.text, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].name, error.text);
    }
    char name[300];
    memset(name, 'A', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mr_time_zone *zone;
    assert_int_equal(mr_time_zone_open(name, &zone, NULL), MR_EINVALID);
}

/* --- files that only pretend --- */

enum { MAX_BYTES = 1000 };

typedef struct file {
    char bytes[MAX_BYTES];
    size_t size;
} file;

static void put(file *f, const void *bytes, size_t size)
{
    assert_true(f->size + size <= MAX_BYTES);
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static void put_number(file *f, uint64_t value, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        char byte = (char)(value >> (i - 1) * 8);
        put(f, &byte, 1);
    }
}

static void put_header(file *f, char version, uint32_t times, uint32_t types, uint32_t names)
{
    char reserved[15] = {0};
    put(f, "TZif", 4);
    put(f, &version, 1);
    put(f, reserved, sizeof reserved);
    const uint32_t counts[] = {0, 0, 0, times, types, names};
    for (size_t i = 0; i < 6; i++)
        put_number(f, counts[i], 4);
}

/* One hour from 1,000,000 on, then a rule. */
static file sound_file(const char *footer)
{
    file f = {.size = 0};
    put_header(&f, '2', 0, 1, 4);
    put(&f, "\0\0\0\0\0\0UTC", 10);
    put_header(&f, '2', 1, 2, 4);
    put_number(&f, 1000000, 8);
    put_number(&f, 1, 1);
    put(&f, "\0\0\0\0\0\0", 6);
    put_number(&f, 3600, 4);
    put(&f, "\1\0", 2);
    put(&f, "UTC", 4);
    put(&f, footer, strlen(footer));
    return f;
}

static mr_err parse(const file *f, mr_time_zone **ret_zone)
{
    /* A block of its own: the sanitizer sees every byte read beyond it. */
    char *bytes = malloc(f->size + 1);
    memcpy(bytes, f->bytes, f->size);
    mr_error error = {.text = ""};
    mr_err err = mr_time_zone_parse("test", (mr_slice){bytes, f->size}, ret_zone, &error);
    free(bytes);
    return err;
}

static void a_small_file_is_read(void **state)
{
    (void)state;
    file f = sound_file("\n\n");
    mr_time_zone *zone;
    assert_int_equal(parse(&f, &zone), MR_OK);
    assert_string_equal(mr_time_zone_name(zone), "test");
    assert_int_equal(mr_time_zone_period(zone, 999999).offset_seconds, 0);
    assert_int_equal(mr_time_zone_period(zone, 999999).end, 1000000);
    assert_int_equal(mr_time_zone_period(zone, 1000000).offset_seconds, 3600);
    assert_int_equal(mr_time_zone_period(zone, 1000000).former_seconds, 0);
    assert_int_equal(mr_time_zone_period(zone, 1000000).end, INT64_MAX);
    mr_time_zone_close(&zone);
}

static void a_file_that_is_cut_short_or_changed_is_never_trusted(void **state)
{
    (void)state;
    file whole = sound_file("\nAAA-1BBB,M3.5.0/3,M10.5.0/4\n");
    for (size_t size = 0; size < whole.size; size++) {
        file cut = whole;
        mr_time_zone *zone = NULL;
        cut.size = size;
        assert_int_equal(parse(&cut, &zone), MR_EIO);
        assert_null(zone);
    }
    for (size_t at = 0; at < whole.size; at++) {
        for (int bit = 0; bit < 8; bit++) { /* whatever comes of it, the sanitizer has nothing to say */
            file changed = whole;
            mr_time_zone *zone = NULL;
            changed.bytes[at] = (char)(changed.bytes[at] ^ (1 << bit));
            if (parse(&changed, &zone) == MR_OK)
                (void)mr_time_zone_period(zone, 2000000000);
            mr_time_zone_close(&zone);
        }
    }
}

static void rules_are_read_as_posix_says(void **state)
{
    (void)state;
    static const char *const good[] = {
        "UTC0",
        "EST5EDT,M3.2.0,M11.1.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "IST-5:30",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "XXX3YYY,J60/2,300/167:59:59",
        "AAA+24",
    };
    static const char *const bad[] = {
        "",
        "E5",
        "EST",
        "EST25",
        "EST5EDT",
        "EST5EDT,M3.2.0",
        "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J365",
        "EST5EDT,J1,366",
        "EST5EDT,M3.2.0/168,M11.1.0",
        "EST5EDT,M3.2.0,M11.1.0,",
        "<-02",
        "EST5:60",
        "EST5 ",
    };
    mr_zone_rule rule;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!mr_zone_rule_parse(mr_slice_of(good[i]), &rule))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (mr_zone_rule_parse(mr_slice_of(bad[i]), &rule))
            fail_msg("%s is taken", bad[i]);
    mr_zone_change changes[2];
    assert_true(mr_zone_rule_parse(mr_slice_of("XXX3YYY,J60/2,59/2"), &rule));
    mr_zone_rule_year(&rule, 2024, changes); /* day 59 is February 29, J60 is March 1 */
    assert_int_equal(changes[0].at, mr_day_of(2024, 2, 29) * MR_DAY_SECONDS + 4 * 3600);
    assert_int_equal(changes[1].at, mr_day_of(2024, 3, 1) * MR_DAY_SECONDS + 5 * 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_agree_with_the_c_library),
        cmocka_unit_test(without_a_zone_it_is_utc),
        cmocka_unit_test(what_is_no_zone_is_refused_with_the_nearest_name),
        cmocka_unit_test(a_small_file_is_read),
        cmocka_unit_test(a_file_that_is_cut_short_or_changed_is_never_trusted),
        cmocka_unit_test(rules_are_read_as_posix_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
