/* recovery_test.c - a process of its own is killed at a fault point; the next one finishes what it began,
 * with real folders. */
#include "coordinator/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Does `what` in a child that is killed at `point`, with the service closed here meanwhile. */
static void killed_at(service_fixture *fixture, const char *point, void (*what)(service_fixture *fixture))
{
    mr_service_close(&fixture->service);
    pid_t child = fork();
    if (child == 0) {
        setenv("MR_FAULT_KILL", point, 1);
        if (mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL) == MR_OK)
            what(fixture);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    mr_error error = {0};
    if (mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, &error) != MR_OK)
        fail_msg("%s", error.text);
    fixture_pass(fixture, 1);
}

static void claim(service_fixture *fixture)
{
    json_t *answer = NULL;
    mr_service_run_now(fixture->service, "once", "a", &answer, NULL);
    json_decref(answer);
    fixture_pass(fixture, 1);
}

static void upload(service_fixture *fixture)
{
    fixture_upload(fixture, "a", "third.csv", "key");
}

/* In a process of its own: how often a point was reached is counted per process, and inherited. */
static void each_in_its_process(const char *const *points, void (*scenario)(const char *point))
{
    for (; *points != NULL; points++) {
        pid_t child = fork();
        if (child == 0) {
            scenario(*points);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void claim_killed_at(const char *point)
{
    service_fixture fixture;
    json_t *runs = NULL;
    char path[200];
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "0 0 1 1 *", "");
    fixture_upload(&fixture, "a", "first.csv", NULL);
    fixture_upload(&fixture, "a", "second.csv", NULL);
    killed_at(&fixture, point, claim);
    assert_int_equal(fixture_run_count(&fixture, "a", "PROGRAM"), 1);
    assert_false(fixture_exists(&fixture, "tenants/a/in/first.csv"));
    assert_int_equal(mr_service_list_runs(fixture.service, "a", 10, &runs, NULL), MR_OK);
    assert_int_equal(json_array_size(runs), 1);
    const char *uid = json_string_value(json_object_get(json_array_get(runs, 0), "run_uid"));
    snprintf(path, sizeof path, "runs/%s/claimed/first.csv", uid);
    assert_true(fixture_exists(&fixture, path));
    snprintf(path, sizeof path, "runs/%s/claimed/second.csv", uid);
    assert_true(fixture_exists(&fixture, path));
    json_decref(runs);
    fixture_close(&fixture);
}

static void claiming_goes_on_where_it_was_killed(void **state)
{
    static const char *const points[] = {"claim_before_rename", "claim_renamed", "claim_renamed:2",
                                         "claim_done", NULL};
    (void)state;
    each_in_its_process(points, claim_killed_at);
}

/* The program's process is gone with its worker's report. */
static void replace(service_fixture *fixture)
{
    fixture_pass(fixture, 60000);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, 1);
}

static void replace_killed_at(const char *point)
{
    service_fixture fixture;
    json_t *runs = NULL;
    char path[200];
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "* * * * *", "\"concurrency_policy\": \"replace\",");
    fixture_report(&fixture, NULL, 0);
    fixture_upload(&fixture, "a", "first.csv", NULL);
    fixture_pass(&fixture, 30000);
    fixture_report(&fixture, NULL, 0);
    fixture_upload(&fixture, "a", "second.csv", NULL);
    killed_at(&fixture, point, replace);
    fixture.now_ms += 60000;
    fixture_pass(&fixture, 0);
    fixture_report(&fixture, NULL, 0);
    fixture_report(&fixture, NULL, 0);
    fixture_pass(&fixture, 1);
    assert_int_equal(fixture_run_count(&fixture, "a", "CANCELLED"), 1);
    assert_int_equal(fixture_run_count(&fixture, "a", "PROGRAM"), 1);
    assert_int_equal(mr_service_list_runs(fixture.service, "a", 10, &runs, NULL), MR_OK);
    assert_int_equal(json_array_size(runs), 2);
    const char *uid = json_string_value(json_object_get(json_array_get(runs, 0), "run_uid"));
    static const char *const names[] = {"first.csv", "second.csv"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "runs/%s/claimed/%s", uid, names[i]);
        assert_true(fixture_exists(&fixture, path));
        snprintf(path, sizeof path, "tenants/a/in/%s", names[i]);
        assert_false(fixture_exists(&fixture, path));
    }
    uid = json_string_value(json_object_get(json_array_get(runs, 1), "run_uid"));
    snprintf(path, sizeof path, "runs/%s", uid);
    assert_false(fixture_exists(&fixture, path));
    json_decref(runs);
    fixture_close(&fixture);
}

static void a_replacement_goes_on_where_it_was_killed(void **state)
{
    /* Some were reached once by the run that is replaced. */
    static const char *const points[] = {
        "schedule_advanced:2", "replace_handed_on",      "claim_noted:2", "claim_renamed:2",
        "claim_renamed:3",     "replace_before_discard", "claim_done:2",  NULL};
    (void)state;
    each_in_its_process(points, replace_killed_at);
}

static void upload_killed_at(const char *point)
{
    service_fixture fixture;
    json_t *files = NULL;
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "0 0 1 1 *", "");
    killed_at(&fixture, point, upload);
    upload(&fixture);
    assert_int_equal(mr_service_list_uploads(fixture.service, "a", "ready", 10, &files, NULL), MR_OK);
    assert_int_equal(json_array_size(files), 1);
    assert_true(fixture_exists(&fixture, "tenants/a/in/third.csv"));
    json_decref(files);
    fixture_close(&fixture);
}

/* Not acknowledged: it may be there or not, but the repeated request makes it exactly one file. */
static void a_killed_upload_is_there_once_after_it_is_repeated(void **state)
{
    static const char *const points[] = {"upload_stored_unrecorded", "upload_recorded", "upload_renamed",
                                         NULL};
    (void)state;
    each_in_its_process(points, upload_killed_at);
}

/* --- what a plain run does not reach --- */

static void due(service_fixture *fixture)
{
    fixture_pass(fixture, 60 * 1000);
}

static void schedule_killed_at(const char *point)
{
    service_fixture fixture;
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "* * * * *", "");
    killed_at(&fixture, point, due);
    fixture_pass(&fixture, 60 * 1000);
    assert_int_equal(fixture_run_count(&fixture, "a", "SKIPPED"), 1); /* the same time is not handled twice */
    fixture_close(&fixture);
}

static void cancel(service_fixture *fixture)
{
    json_t *answer = NULL;
    mr_service_cancel_run(fixture->service, NULL, "a", "manual-1", &answer, NULL);
    json_decref(answer);
    fixture_pass(fixture, 1);
}

static void cancel_killed_at(const char *point)
{
    service_fixture fixture;
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "0 0 1 1 *", "");
    fixture_upload(&fixture, "a", "first.csv", NULL);
    claim(&fixture);
    killed_at(&fixture, point, cancel);
    assert_string_equal(fixture_run_state(&fixture, "a"), "CANCELLED");
    assert_true(fixture_exists(&fixture, "tenants/a/in/first.csv"));
    fixture_close(&fixture);
}

static void purge(service_fixture *fixture)
{
    json_t *answer = NULL;
    mr_service_delete_tenant(fixture->service, NULL, "a", true, &answer, NULL);
    json_decref(answer);
    fixture_pass(fixture, 1);
}

static void purge_killed_at(const char *point)
{
    service_fixture fixture;
    json_t *view = NULL;
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "0 0 1 1 *", "");
    fixture_upload(&fixture, "a", "first.csv", NULL);
    killed_at(&fixture, point, purge);
    assert_int_equal(mr_service_show_tenant(fixture.service, "a", &view, NULL), MR_ENOTFOUND);
    assert_false(fixture_exists(&fixture, "tenants/a"));
    fixture_close(&fixture);
}

static void wait_three_days(service_fixture *fixture)
{
    fixture_pass(fixture, (int64_t)3 * 86400 * 1000);
}

static void retention_killed_at(const char *point)
{
    service_fixture fixture;
    fixture_status status;
    char path[200];
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", "0 0 1 1 *", "\"attempts\": 1,");
    fixture_report(&fixture, NULL, 0);
    fixture_upload(&fixture, "a", "first.csv", NULL);
    claim(&fixture);
    fixture_report(&fixture, NULL, 0);
    fixture_failed(&status, fixture_assignment(&fixture, "program"), "bug", "exit status 1");
    fixture_say(&fixture, &status);
    assert_string_equal(fixture_run_state(&fixture, "a"), "FAILED");
    snprintf(path, sizeof path, "tenants/a/failed/%s", status.run_uid);
    assert_true(fixture_exists(&fixture, path));
    killed_at(&fixture, point, wait_three_days);
    wait_three_days(&fixture);
    assert_false(fixture_exists(&fixture, path));
    assert_string_equal(fixture_run_state(&fixture, "a"), "FAILED");
    fixture_close(&fixture);
}

static void a_schedule_is_advanced_once(void **state)
{
    static const char *const points[] = {"schedule_advanced", NULL};
    (void)state;
    each_in_its_process(points, schedule_killed_at);
}

static void cancelling_goes_on_where_it_was_killed(void **state)
{
    static const char *const points[] = {"cancel_renamed", NULL};
    (void)state;
    each_in_its_process(points, cancel_killed_at);
}

static void deleting_goes_on_where_it_was_killed(void **state)
{
    static const char *const points[] = {"tenant_discarded", NULL};
    (void)state;
    each_in_its_process(points, purge_killed_at);
}

static void retention_goes_on_where_it_was_killed(void **state)
{
    static const char *const points[] = {"retention_discarded", NULL};
    (void)state;
    each_in_its_process(points, retention_killed_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replacement_goes_on_where_it_was_killed),
        cmocka_unit_test(claiming_goes_on_where_it_was_killed),
        cmocka_unit_test(a_killed_upload_is_there_once_after_it_is_repeated),
        cmocka_unit_test(a_schedule_is_advanced_once),
        cmocka_unit_test(cancelling_goes_on_where_it_was_killed),
        cmocka_unit_test(deleting_goes_on_where_it_was_killed),
        cmocka_unit_test(retention_goes_on_where_it_was_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
