/* schedule_test.c - what becomes of due times: missed, suspended, filled in later, and when the clock jumps.
 */
#include "coordinator/cron_words.h"
#include "coordinator/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE "* * * * *"
#define HOURLY "0 * * * *"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };

static int open_fixture(void **state)
{
    static service_fixture fixture;
    fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

/* run_ids of the tenant, oldest first, with a blank after each. */
static const char *run_ids(service_fixture *fixture, const char *tenant)
{
    static char text[8000];
    json_t *runs = NULL;
    assert_int_equal(mr_service_list_runs(fixture->service, tenant, 300, &runs, NULL), MR_OK);
    text[0] = '\0';
    for (size_t i = json_array_size(runs); i > 0; i--) {
        strcat(text, json_string_value(json_object_get(json_array_get(runs, i - 1), "run_id")));
        strcat(text, " ");
    }
    json_decref(runs);
    return text;
}

static size_t run_count(service_fixture *fixture, const char *tenant)
{
    json_t *runs = NULL;
    assert_int_equal(mr_service_list_runs(fixture->service, tenant, 1000, &runs, NULL), MR_OK);
    size_t count = json_array_size(runs);
    json_decref(runs);
    return count;
}

/* A field of the schedule's view, as text; "" for null. */
static const char *shown(service_fixture *fixture, const char *tenant, const char *field)
{
    static char text[1000];
    json_t *view = NULL;
    assert_int_equal(mr_service_show_schedule(fixture->service, tenant, 1, &view, NULL), MR_OK);
    const json_t *value = json_object_get(view, field);
    if (json_is_array(value))
        value = json_array_get(value, 0);
    snprintf(text, sizeof text, "%s", json_is_string(value) ? json_string_value(value) : "");
    json_decref(view);
    return text;
}

static void away(service_fixture *fixture, int64_t ms)
{
    mr_service_close(&fixture->service);
    fixture->now_ms += ms;
    assert_int_equal(mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL), MR_OK);
    fixture_pass(fixture, 0);
}

static json_t *suspend(service_fixture *fixture, const char *tenant, bool wanted)
{
    json_t *answer = NULL;
    assert_int_equal(mr_service_suspend_schedule(fixture->service, NULL, tenant, wanted, &answer, NULL),
                     MR_OK);
    fixture_pass(fixture, 1);
    return answer;
}

/* From PROGRAM to the end of SOURCE. */
static void leave_source(service_fixture *fixture)
{
    fixture_status status;
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    assert_true(fixture_say(fixture, &status));
    fixture_pass(fixture, 1);
}

/* --- zones --- */

static void a_schedule_follows_the_clock_of_its_zone(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", "0 15 * * *", "\"time_zone\": \"Europe/Helsinki\",");
    assert_string_equal(shown(fixture, "a", "next"), "2026-03-01T13:00:00.000Z");
    assert_string_equal(shown(fixture, "a", "words"), "at 15:00 every day, Europe/Helsinki");
    fixture_pass(fixture, HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z ");
    /* Another zone: other times from now on. */
    fixture_apply(fixture, "a", "0 15 * * *", "\"time_zone\": \"Asia/Kolkata\",");
    assert_string_equal(shown(fixture, "a", "next"), "2026-03-02T09:30:00.000Z");
}

static void the_day_the_clock_goes_forward_has_its_run(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", "30 3 * * *", "\"time_zone\": \"Europe/Helsinki\",");
    fixture_pass(fixture, INT64_C(28) * 24 * HOUR_MS - 12 * HOUR_MS); /* 2026-03-29T00:00:30Z */
    assert_string_equal(shown(fixture, "a", "next"), "2026-03-29T01:00:00.000Z");
    fixture_pass(fixture, HOUR_MS);
    assert_non_null(strstr(run_ids(fixture, "a"), "20260329T010000Z"));
}

/* What `status` tells. */
static bool stands_still(service_fixture *fixture)
{
    json_t *view = NULL, *problem;
    size_t i;
    bool found = false;
    assert_int_equal(mr_service_status(fixture->service, &view, NULL), MR_OK);
    json_array_foreach(json_object_get(view, "problems"), i, problem) found =
        found || strcmp(json_string_value(json_object_get(problem, "what")), "schedule") == 0;
    json_decref(view);
    return found;
}

static void a_zone_that_is_gone_is_told_and_waited_for(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"time_zone\": \"Europe/Helsinki\",");
    setenv("TZDIR", "/nowhere", 1);
    fixture_restart(fixture);
    fixture_pass(fixture, HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z "); /* that time was known */
    assert_non_null(
        strstr(shown(fixture, "a", "note"), "the next time is not known: time zone Europe/Helsinki"));
    assert_true(stands_still(fixture));
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(run_count(fixture, "a"), 1);
    unsetenv("TZDIR");
    fixture_pass(fixture, HOUR_MS);
    assert_false(stands_still(fixture));
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(run_count(fixture, "a"), 2);
}

/* --- missed times --- */

static void of_three_missed_periods_the_latest_is_caught_up(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "");
    away(fixture, 3 * HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T150000Z ");
    assert_string_equal(shown(fixture, "a", "note"),
                        "2 due times before 20260301T150000Z passed over: catchup is latest");
    assert_string_equal(shown(fixture, "a", "next"), "2026-03-01T16:00:00.000Z");
}

static void with_catchup_all_every_missed_time_becomes_a_run(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"catchup\": \"all\",");
    away(fixture, 3 * HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z 20260301T140000Z 20260301T150000Z ");
    assert_string_equal(shown(fixture, "a", "note"), "");
}

static void with_catchup_all_they_wait_for_each_other(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"catchup\": \"all\",");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    fixture_pass(fixture, 3 * HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z ");
    leave_source(fixture);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z 20260301T140000Z 20260301T150000Z ");
}

static void with_catchup_all_the_last_hundred_are_kept(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", MINUTE, "\"catchup\": \"all\",");
    away(fixture, 105 * MINUTE_MS); /* 12:01 to 13:45 */
    assert_int_equal(run_count(fixture, "a"), 100);
    assert_ptr_equal(strstr(run_ids(fixture, "a"), "20260301T120600Z"), run_ids(fixture, "a"));
    assert_string_equal(shown(fixture, "a", "note"),
                        "5 due times before 20260301T120600Z passed over: more than 100 were missed");
}

static void with_catchup_none_a_missed_time_is_gone(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"catchup\": \"none\",");
    away(fixture, 3 * HOUR_MS + 30 * SECOND_MS + MINUTE_MS);
    assert_int_equal(run_count(fixture, "a"), 0);
    assert_non_null(strstr(shown(fixture, "a", "note"), "3 due times before 20260301T15"));
    assert_non_null(strstr(shown(fixture, "a", "note"), "catchup is none"));
    fixture_pass(fixture, HOUR_MS - MINUTE_MS); /* within its minute it is not missed */
    assert_string_equal(run_ids(fixture, "a"), "20260301T160000Z ");
}

static void a_time_past_its_starting_deadline_does_not_start(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"starting_deadline_seconds\": 600,");
    away(fixture, HOUR_MS + 15 * MINUTE_MS); /* 13:15:30 */
    assert_int_equal(run_count(fixture, "a"), 0);
    assert_non_null(strstr(shown(fixture, "a", "note"), "starting_deadline_seconds is 600"));
    away(fixture, 54 * MINUTE_MS); /* 14:09:30 */
    assert_string_equal(run_ids(fixture, "a"), "20260301T140000Z ");
    /* With `all` those within the deadline start. */
    fixture_apply(fixture, "b", MINUTE, "\"starting_deadline_seconds\": 130, \"catchup\": \"all\",");
    away(fixture, HOUR_MS); /* 15:09:30 */
    assert_string_equal(run_ids(fixture, "b"), "20260301T150800Z 20260301T150900Z ");
}

static void a_run_longer_than_its_period_holds_the_next_back(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", MINUTE, "");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    for (int i = 0; i < 4; i++) {
        fixture_pass(fixture, MINUTE_MS);
        fixture_report(fixture, NULL, 0);
    }
    assert_string_equal(run_ids(fixture, "a"), "20260301T120100Z ");
    leave_source(fixture);
    assert_string_equal(run_ids(fixture, "a"), "20260301T120100Z 20260301T120400Z ");
}

/* --- a run longer than its period --- */

/* The state of a run, and its reason. */
static const char *state_of(service_fixture *fixture, const char *run_id, char reason[600])
{
    static char text[40];
    json_t *run = NULL;
    assert_int_equal(mr_service_show_run(fixture->service, "a", run_id, &run, NULL), MR_OK);
    const char *why = json_string_value(json_object_get(run, "reason"));
    snprintf(text, sizeof text, "%s", json_string_value(json_object_get(run, "state")));
    if (reason != NULL)
        snprintf(reason, 600, "%s", why != NULL ? why : "");
    json_decref(run);
    return text;
}

static bool claimed(service_fixture *fixture, const char *run_id, const char *name)
{
    char path[300];
    json_t *run = NULL;
    assert_int_equal(mr_service_show_run(fixture->service, "a", run_id, &run, NULL), MR_OK);
    snprintf(path, sizeof path, "runs/%s/claimed/%s", json_string_value(json_object_get(run, "run_uid")),
             name);
    json_decref(run);
    return fixture_exists(fixture, path);
}

static void when_overlap_is_allowed_programs_overlap_and_rows_keep_their_order(void **state)
{
    service_fixture *fixture = *state;
    fixture_status first, second;
    char reason[600];
    fixture_apply(fixture, "a", MINUTE, "\"concurrency_policy\": \"allow\",");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "one.csv", NULL);
    fixture_pass(fixture, MINUTE_MS);
    fixture_upload(fixture, "a", "two.csv", NULL);
    fixture_pass(fixture, MINUTE_MS);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    assert_string_equal(state_of(fixture, "20260301T120100Z", NULL), "PROGRAM");
    assert_string_equal(state_of(fixture, "20260301T120200Z", NULL), "PROGRAM");
    const Mr__Proto__Assignment *one = fixture_assignment(fixture, "program");
    const Mr__Proto__Assignment *two = fixture_assignment(fixture, "program.2");
    assert_non_null(one);
    assert_non_null(two);
    assert_int_not_equal(one->epoch, two->epoch);
    fixture_sealed(&first, one);
    fixture_sealed(&second, two);
    assert_true(fixture_say(fixture, &second));
    assert_string_equal(state_of(fixture, "20260301T120200Z", reason), "SOURCE");
    assert_string_equal(reason, "reading waits for run 20260301T120100Z, which was claimed earlier");
    assert_null(fixture_assignment(fixture, "rows-source"));
    fixture_restart(fixture);
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-source"));
    fixture_sealed(&first, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &first));
    fixture_source_ended(&first, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    assert_true(fixture_say(fixture, &first));
    assert_string_not_equal(state_of(fixture, "20260301T120100Z", NULL), "SOURCE");
    fixture_source_ended(&second, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    assert_true(fixture_say(fixture, &second));
    assert_string_not_equal(state_of(fixture, "20260301T120200Z", NULL), "SOURCE");
}

static void overlap_is_bounded(void **state)
{
    service_fixture *fixture = *state;
    char name[40];
    fixture_apply(fixture, "a", MINUTE, "\"concurrency_policy\": \"allow\",");
    fixture_report(fixture, NULL, 0);
    for (int i = 0; i < 13; i++) {
        snprintf(name, sizeof name, "file-%d.csv", i);
        fixture_upload(fixture, "a", name, NULL);
        fixture_pass(fixture, MINUTE_MS);
        fixture_report(fixture, NULL, 0);
    }
    assert_int_equal(fixture_run_count(fixture, "a", "PROGRAM"), 10);
    assert_int_equal(run_count(fixture, "a"), 10);
}

/* Up to the second before the next minute, with a worker that reports. */
static void until_the_minute(service_fixture *fixture)
{
    while (fixture->now_ms % MINUTE_MS < MINUTE_MS - SECOND_MS) {
        fixture_pass(fixture, SECOND_MS);
        fixture_report(fixture, NULL, 0);
    }
}

static void a_run_that_is_replaced_hands_its_files_on(void **state)
{
    service_fixture *fixture = *state;
    char reason[600];
    fixture_apply(fixture, "a", MINUTE, "\"concurrency_policy\": \"replace\",");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "one.csv", NULL);
    fixture_pass(fixture, MINUTE_MS);
    fixture_report(fixture, NULL, 0);
    assert_string_equal(state_of(fixture, "20260301T120100Z", NULL), "PROGRAM");
    fixture_upload(fixture, "a", "two.csv", NULL);
    until_the_minute(fixture);
    fixture_pass(fixture, SECOND_MS);
    /* Its program still runs: nothing is moved. */
    assert_string_equal(state_of(fixture, "20260301T120100Z", NULL), "CANCELLING");
    assert_string_equal(state_of(fixture, "20260301T120200Z", NULL), "QUEUED");
    assert_true(claimed(fixture, "20260301T120100Z", "one.csv"));
    fixture_restart(fixture);
    fixture_report(fixture, NULL, 0); /* it is gone */
    fixture_pass(fixture, 1);
    assert_string_equal(state_of(fixture, "20260301T120100Z", reason), "CANCELLED");
    assert_string_equal(reason, "replaced by run 20260301T120200Z, which was due");
    assert_string_equal(state_of(fixture, "20260301T120200Z", NULL), "PROGRAM");
    assert_true(claimed(fixture, "20260301T120200Z", "one.csv"));
    assert_true(claimed(fixture, "20260301T120200Z", "two.csv"));
    assert_false(fixture_exists(fixture, "tenants/a/in/one.csv"));
    assert_false(claimed(fixture, "20260301T120100Z", "one.csv"));
    leave_source(fixture);
    assert_int_equal(run_count(fixture, "a"), 2);
}

static void a_run_whose_rows_are_read_is_not_replaced(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", MINUTE, "\"concurrency_policy\": \"replace\",");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "one.csv", NULL);
    fixture_pass(fixture, MINUTE_MS);
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
    fixture_pass(fixture, 3 * MINUTE_MS);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    assert_string_equal(run_ids(fixture, "a"), "20260301T120100Z ");
    assert_string_equal(state_of(fixture, "20260301T120100Z", NULL), "SOURCE");
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    assert_true(fixture_say(fixture, &status));
    fixture_pass(fixture, 1);
    assert_string_equal(run_ids(fixture, "a"), "20260301T120100Z 20260301T120400Z ");
}

static void a_successor_that_is_cancelled_leaves_the_files_waiting(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    fixture_apply(fixture, "a", HOURLY, "\"concurrency_policy\": \"replace\",");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "one.csv", NULL);
    fixture_pass(fixture, HOUR_MS);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", "20260301T140000Z", &answer, NULL),
                     MR_OK);
    json_decref(answer);
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, 1);
    assert_string_equal(state_of(fixture, "20260301T130000Z", NULL), "CANCELLED");
    assert_string_equal(state_of(fixture, "20260301T140000Z", NULL), "CANCELLED");
    assert_true(fixture_exists(fixture, "tenants/a/in/one.csv"));
}

/* --- suspend --- */

static void a_suspended_schedule_makes_no_run_and_is_caught_up(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "");
    json_decref(suspend(fixture, "a", true));
    assert_string_equal(shown(fixture, "a", "next"), "");
    fixture_pass(fixture, 3 * HOUR_MS);
    fixture_restart(fixture);
    assert_int_equal(run_count(fixture, "a"), 0);
    json_t *answer = suspend(fixture, "a", false);
    assert_int_equal(json_integer_value(json_object_get(answer, "missed")), 3);
    json_decref(answer);
    assert_string_equal(run_ids(fixture, "a"), "20260301T150000Z ");
}

static void an_agreement_that_says_suspend_wins_when_it_is_applied(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"suspend\": true,");
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(run_count(fixture, "a"), 0);
    json_decref(suspend(fixture, "a", false));
    assert_int_equal(run_count(fixture, "a"), 1);
    json_decref(suspend(fixture, "a", true));
    fixture_apply(fixture, "a", HOURLY, ""); /* says nothing: as it was */
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(run_count(fixture, "a"), 1);
    fixture_apply(fixture, "a", HOURLY, "\"suspend\": false,");
    fixture_pass(fixture, HOUR_MS);
    assert_int_equal(run_count(fixture, "a"), 3);
}

/* --- backfill --- */

static json_t *backfill(service_fixture *fixture, int64_t from_ms, int64_t to_ms, bool dry_run)
{
    json_t *answer = NULL;
    mr_error error = {.text = ""};
    if (mr_service_backfill(fixture->service, NULL, "a", from_ms, to_ms, dry_run, &answer, &error) != MR_OK)
        fail_msg("%s", error.text);
    json_t *runs = json_incref(json_object_get(answer, "runs"));
    json_decref(answer);
    return runs;
}

static void a_backfill_runs_what_has_no_run_in_order(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "\"program\": {\"command\": [\"true\"]},");
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, HOUR_MS); /* 13:00 is SKIPPED */
    fixture_upload(fixture, "a", "rows.csv", NULL);
    const int64_t from_ms = fixture->now_ms - 3 * HOUR_MS, to_ms = fixture->now_ms + 5 * HOUR_MS;
    json_t *runs = backfill(fixture, from_ms, to_ms, true);
    assert_int_equal(json_array_size(runs), 2);
    json_decref(runs);
    assert_int_equal(run_count(fixture, "a"), 1);
    runs = backfill(fixture, from_ms, to_ms, false);
    assert_int_equal(json_array_size(runs), 2);
    json_decref(runs);
    runs = backfill(fixture, from_ms, to_ms, false); /* they are there */
    assert_int_equal(json_array_size(runs), 0);
    json_decref(runs);
    fixture_pass(fixture, 1);
    fixture_report(fixture, NULL, 0);
    /* The first has the file, and its program learns the time that it stands for. */
    const Mr__Proto__Assignment *program = fixture_assignment(fixture, "program");
    bool told = false;
    for (size_t i = 0; i < program->n_config; i++)
        told = told || strstr(program->config[i]->value, "\"DUE_TIME\":\"2026-03-01T11:00:00.000Z\"") != NULL;
    assert_true(told);
    leave_source(fixture);
    assert_int_equal(fixture_run_count(fixture, "a", "SKIPPED"), 2);
    assert_int_equal(fixture_run_count(fixture, "a", "QUEUED"), 0);
}

static void a_backfill_is_bounded(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    mr_error error;
    fixture_apply(fixture, "a", MINUTE, "");
    assert_int_equal(mr_service_backfill(fixture->service, NULL, "a", fixture->now_ms - 101 * MINUTE_MS,
                                         fixture->now_ms, false, &answer, &error),
                     MR_EINVALID);
    assert_non_null(strstr(error.text, "more than 100 due times have no run: choose a shorter range"));
    assert_int_equal(run_count(fixture, "a"), 0);
    assert_int_equal(mr_service_backfill(fixture->service, NULL, "a", 2, 1, false, &answer, &error),
                     MR_EINVALID);
}

/* --- the clock --- */

static void a_clock_set_forward_misses_times_as_an_absence_does(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "");
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, 5 * HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T170000Z ");
}

static void a_clock_set_back_runs_nothing_twice_and_stalls_nothing(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", HOURLY, "");
    for (int i = 0; i < 3; i++)
        fixture_pass(fixture, HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z 20260301T140000Z 20260301T150000Z ");
    fixture_pass(fixture, -2 * HOUR_MS); /* 13:00:30 again */
    for (int i = 0; i < 3; i++)
        fixture_pass(fixture, HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"),
                        "20260301T130000Z 20260301T140000Z 20260301T150000Z 20260301T160000Z ");
}

static void a_clock_that_was_a_year_ahead_does_not_stall_the_schedule(void **state)
{
    service_fixture *fixture = *state;
    fixture->now_ms += INT64_C(8760) * HOUR_MS;
    mr_service_set_now(fixture->service, fixture->now_ms);
    fixture_apply(fixture, "a", HOURLY, "");
    away(fixture, INT64_C(-8760) * HOUR_MS); /* noticed at the start */
    fixture_pass(fixture, HOUR_MS);
    assert_string_equal(run_ids(fixture, "a"), "20260301T130000Z ");
}

static void a_run_goes_on_when_the_clock_is_set_back(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", HOURLY, "\"attempts\": 3,");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    fixture_pass(fixture, HOUR_MS);
    fixture_report(fixture, NULL, 0);
    fixture_failed(&status, fixture_assignment(fixture, "program"), "bug", "exit status 1");
    assert_true(fixture_say(fixture, &status));
    fixture_pass(fixture, -10 * HOUR_MS); /* the next attempt was to wait for two seconds */
    for (int i = 0; i < 4; i++) {
        fixture_pass(fixture, SECOND_MS);
        fixture_report(fixture, NULL, 0);
    }
    assert_non_null(fixture_assignment(fixture, "program"));
    leave_source(fixture);
}

/* --- in words --- */

static void schedules_are_said_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *words;
    } cases[] = {
        {"* * * * *", "every minute, UTC"},
        {"*/15 * * * *", "every 15 minutes, UTC"},
        {"*/15 8-17 * * 1-5", "every 15 minutes from 8:00 to 17:59, Monday to Friday, UTC"},
        {"@hourly", "every hour, UTC"},
        {"12 * * * *", "every hour at minute 12, UTC"},
        {"0 */2 * * *", "every 2 hours, UTC"},
        {"0 8-17 * * *", "every hour from 8:00 to 17:00, UTC"},
        {"30 2 * * *", "at 2:30 every day, UTC"},
        {"0 8,12,18 * * MON,WED,FRI", "at 8:00, 12:00 and 18:00, Monday, Wednesday and Friday, UTC"},
        {"0 0 13 * 5", "at 0:00, on day 13 of the month or on Friday, UTC"},
        {"0 0 1,15 JAN-MAR *", "at 0:00, on days 1 and 15 of the month, in January to March, UTC"},
        {"5,7,20 * * * *", "at minutes 5, 7 and 20, UTC"},
        {"*/10 1,5-8 * * *", "every 10 minutes of the hours 1 and 5 to 8, UTC"},
        {"* 8 * * *", "every minute from 8:00 to 8:59, UTC"},
        {"@weekly", "at 0:00, Sunday, UTC"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_cron cron;
        char words[MR_CRON_WORDS_BYTES];
        assert_int_equal(mr_cron_parse(cases[i].schedule, &cron, NULL), MR_OK);
        mr_cron_words(&cron, "UTC", words);
        assert_string_equal(words, cases[i].words);
    }
}

static void any_schedule_can_be_looked_at(void **state)
{
    service_fixture *fixture = *state;
    json_t *view = NULL;
    mr_error error;
    assert_int_equal(mr_service_preview_schedule(fixture->service, "30 3 * * *", "Europe/Helsinki",
                                                 INT64_C(1774656000000), 2, &view, NULL),
                     MR_OK); /* from 2026-03-28 */
    const json_t *next = json_object_get(view, "next");
    assert_string_equal(json_string_value(json_array_get(next, 0)), "2026-03-28T01:30:00.000Z");
    assert_string_equal(json_string_value(json_array_get(next, 1)), "2026-03-29T01:00:00.000Z");
    json_decref(view);
    assert_int_equal(mr_service_preview_schedule(fixture->service, "0 * * *", "UTC", 0, 2, &view, &error),
                     MR_EINVALID);
    assert_int_equal(
        mr_service_preview_schedule(fixture->service, "0 * * * *", "Mars/Base", 0, 2, &view, &error),
        MR_EINVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_schedule_follows_the_clock_of_its_zone),
        TEST(the_day_the_clock_goes_forward_has_its_run),
        TEST(a_zone_that_is_gone_is_told_and_waited_for),
        TEST(of_three_missed_periods_the_latest_is_caught_up),
        TEST(with_catchup_all_every_missed_time_becomes_a_run),
        TEST(with_catchup_all_they_wait_for_each_other),
        TEST(with_catchup_all_the_last_hundred_are_kept),
        TEST(with_catchup_none_a_missed_time_is_gone),
        TEST(a_time_past_its_starting_deadline_does_not_start),
        TEST(a_run_longer_than_its_period_holds_the_next_back),
        TEST(when_overlap_is_allowed_programs_overlap_and_rows_keep_their_order),
        TEST(overlap_is_bounded),
        TEST(a_run_that_is_replaced_hands_its_files_on),
        TEST(a_run_whose_rows_are_read_is_not_replaced),
        TEST(a_successor_that_is_cancelled_leaves_the_files_waiting),
        TEST(a_suspended_schedule_makes_no_run_and_is_caught_up),
        TEST(an_agreement_that_says_suspend_wins_when_it_is_applied),
        TEST(a_backfill_runs_what_has_no_run_in_order),
        TEST(a_backfill_is_bounded),
        TEST(a_clock_set_forward_misses_times_as_an_absence_does),
        TEST(a_clock_set_back_runs_nothing_twice_and_stalls_nothing),
        TEST(a_clock_that_was_a_year_ahead_does_not_stall_the_schedule),
        TEST(a_run_goes_on_when_the_clock_is_set_back),
        cmocka_unit_test(schedules_are_said_in_words),
        TEST(any_schedule_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
