/* run_test.c - the run machine and the scheduler, driven by invented reports and invented time. */
#include "coordinator/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEVER  "0 0 1 1 *"
#define MINUTE "* * * * *"

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

static void run_now(service_fixture *fixture, const char *tenant)
{
    json_t *answer = NULL;
    mr_error error = {0};
    if (mr_service_run_now(fixture->service, NULL, tenant, &answer, &error) != MR_OK)
        fail_msg("%s", error.text);
    json_decref(answer);
    fixture_pass(fixture, 1);
}

static json_t *newest_run(service_fixture *fixture, const char *tenant)
{
    json_t *runs = NULL, *run = NULL;
    mr_error error = {0};
    assert_int_equal(mr_service_list_runs(fixture->service, tenant, 1, &runs, &error), MR_OK);
    const char *uid = json_string_value(json_object_get(json_array_get(runs, 0), "run_uid"));
    if (mr_service_show_run(fixture->service, tenant, uid, &run, &error) != MR_OK)
        fail_msg("%s", error.text);
    json_decref(runs);
    return run;
}

static void newest_uid(service_fixture *fixture, const char *tenant, char out[64])
{
    json_t *run = newest_run(fixture, tenant);
    snprintf(out, 64, "%s", json_string_value(json_object_get(run, "run_uid")));
    json_decref(run);
}

static int64_t ledger(service_fixture *fixture, const char *tenant, const char *column)
{
    json_t *lines = NULL;
    assert_int_equal(mr_service_list_ledger(fixture->service, tenant, NULL, NULL, 1, &lines, NULL), MR_OK);
    int64_t value = json_integer_value(json_object_get(json_array_get(lines, 0), column));
    json_decref(lines);
    return value;
}

/* Up to the source task being assigned. */
static void to_source(service_fixture *fixture, const char *tenant)
{
    fixture_status status;
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, tenant, "rows.csv", NULL);
    run_now(fixture, tenant);
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
}

static void a_run_comes_to_its_end(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char uid[64];
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    assert_string_equal(fixture_run_state(fixture, "a"), "SOURCE");
    assert_null(fixture_assignment(fixture, "program"));
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 5, 2, 0);
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "DELIVERING");
    assert_null(fixture_assignment(fixture, "rows-source"));
    newest_uid(fixture, "a", uid);
    fixture_delivered(&status, fixture_assignment(fixture, "rows-store"), uid, 1, 7, 2);
    fixture_say(fixture, &status);
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED");
    assert_int_equal(ledger(fixture, "a", "delivered"), 2);
    assert_int_equal(ledger(fixture, "a", "in_flight"), 0);
    char path[200];
    snprintf(path, sizeof path, "tenants/a/done/%s/claimed/rows.csv", uid);
    assert_true(fixture_exists(fixture, path));
    snprintf(path, sizeof path, "runs/%s", uid);
    assert_false(fixture_exists(fixture, path));
}

static void a_source_waits_while_too_much_is_undelivered_and_says_so(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char uid[64];
    fixture->config.undelivered_max_bytes = 99;
    fixture_restart(fixture);
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    status.source.bytes = 100;
    assert_true(fixture_say(fixture, &status));
    to_source(fixture, "a");
    assert_null(fixture_assignment(fixture, "rows-source"));
    json_t *run = newest_run(fixture, "a");
    assert_non_null(strstr(json_string_value(json_object_get(run, "reason")), "100 bytes of earlier runs"));
    json_decref(run);
    fixture_delivered(&status, fixture_assignment(fixture, "rows-store"), uid, 1, 2, 2);
    fixture_say(fixture, &status);
    fixture_report(fixture, NULL, 0);
    assert_non_null(fixture_assignment(fixture, "rows-source"));
}

static void a_sink_without_work_is_stopped(void **state)
{
    service_fixture *fixture = *state;
    a_run_comes_to_its_end(state);
    assert_non_null(fixture_assignment(fixture, "rows-store"));
    fixture_pass(fixture, 1);
    for (int i = 0; i < 5; i++) {
        fixture_pass(fixture, 1000);
        fixture_report(fixture, NULL, 0);
    }
    assert_null(fixture_assignment(fixture, "rows-store"));
}

static void a_sink_without_work_makes_room_for_others(void **state)
{
    service_fixture *fixture = *state;
    fixture->config.sink_cpu_millis = 3950; /* of the worker's 4,000 */
    fixture_restart(fixture);
    a_run_comes_to_its_end(state);
    assert_non_null(fixture_assignment(fixture, "rows-store"));
    fixture_apply(fixture, "b", NEVER, "");
    fixture_upload(fixture, "b", "rows.csv", NULL);
    run_now(fixture, "b");
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-store"));
    fixture_report(fixture, NULL, 0); /* it has stopped */
    assert_non_null(fixture_assignment(fixture, "program"));
}

static void a_difference_in_the_ledger_is_told(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char uid[64];
    json_t *view = NULL;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    fixture_say(fixture, &status);
    newest_uid(fixture, "a", uid);
    fixture_delivered(&status, fixture_assignment(fixture, "rows-store"), uid, 1, 2, 1);
    fixture_say(fixture, &status);
    assert_int_equal(ledger(fixture, "a", "in_flight"), 1);
    assert_int_equal(mr_service_status(fixture->service, &view, NULL), MR_OK);
    assert_false(json_boolean_value(json_object_get(view, "healthy")));
    json_decref(view);
}

static void a_run_goes_on_after_a_restart_in_every_state(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char uid[64];
    fixture_apply(fixture, "a", NEVER, "");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    run_now(fixture, "a");
    fixture_restart(fixture);
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
    fixture_report(fixture, NULL, 0);
    int64_t epoch = fixture_assignment(fixture, "program")->epoch;
    fixture_restart(fixture); /* the worker still has it: it is not given away again */
    fixture_report(fixture, NULL, 0);
    assert_int_equal(fixture_assignment(fixture, "program")->epoch, epoch);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
    fixture_restart(fixture);
    fixture_report(fixture, NULL, 0);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 1);
    assert_true(fixture_say(fixture, &status));
    fixture_restart(fixture);
    fixture_report(fixture, NULL, 0);
    newest_uid(fixture, "a", uid);
    fixture_delivered(&status, fixture_assignment(fixture, "rows-store"), uid, 1, 2, 2);
    fixture_say(fixture, &status);
    fixture_restart(fixture);
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED_WITH_REJECTS");
}

static void a_program_that_fails_is_tried_again_and_then_the_run_fails(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "\"attempts\": 2,");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    run_now(fixture, "a");
    fixture_report(fixture, NULL, 0);
    int64_t epoch = fixture_assignment(fixture, "program")->epoch;
    fixture_failed(&status, fixture_assignment(fixture, "program"), "bug", "exit status 1");
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
    assert_null(fixture_assignment(fixture, "program")); /* it waits first */
    fixture_pass(fixture, 2500);
    fixture_report(fixture, NULL, 0);
    assert_true(fixture_assignment(fixture, "program")->epoch > epoch);
    fixture_failed(&status, fixture_assignment(fixture, "program"), "bug", "exit status 1");
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "FAILED");
    json_t *run = newest_run(fixture, "a");
    assert_non_null(strstr(json_string_value(json_object_get(run, "reason")), "exit status 1"));
    json_decref(run);
}

static void a_failed_run_is_retried_with_its_files(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    fixture_status status;
    a_program_that_fails_is_tried_again_and_then_the_run_fails(state);
    newest_uid(fixture, "a", uid);
    assert_int_equal(mr_service_retry_run(fixture->service, NULL, "a", uid, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
    newest_uid(fixture, "a", uid);
    char path[200];
    snprintf(path, sizeof path, "runs/%s/claimed/rows.csv", uid);
    assert_true(fixture_exists(fixture, path));
}

/* Or sinks would remember the counts of every run after it. */
static void a_run_that_failed_in_its_program_is_not_open_for_sinks(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    a_program_that_fails_is_tried_again_and_then_the_run_fails(state);
    fixture_upload(fixture, "a", "more.csv", NULL);
    run_now(fixture, "a");
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    fixture_say(fixture, &status);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    fixture_say(fixture, &status);
    assert_int_equal(fixture_assignment(fixture, "rows-store")->scope->oldest_open_run, 2);
}

static void a_cancelled_run_gives_its_files_back(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    /* The source has reported that it runs and has committed nothing. */
    fixture_status status;
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    status.source.ended = 0;
    status.status.state = MR__PROTO__TASK_STATE__RUNNING;
    fixture_say(fixture, &status);
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", uid, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    assert_string_equal(fixture_run_state(fixture, "a"), "CANCELLING");
    fixture_report(fixture, NULL, 0); /* it is gone */
    assert_string_equal(fixture_run_state(fixture, "a"), "CANCELLED");
    assert_true(fixture_exists(fixture, "tenants/a/in/rows.csv"));
    run_now(fixture, "a");
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
}

static void a_run_with_committed_rows_is_not_cancelled(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    mr_error error;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 1, 0);
    status.source.ended = 0;
    status.status.state = MR__PROTO__TASK_STATE__RUNNING;
    fixture_say(fixture, &status);
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", uid, &answer, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "abandon"));
}

/* Its source was lost before it told how far it had come: rows may be on the bus. */
static void a_run_whose_source_was_lost_is_not_cancelled(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    fixture_pass(fixture, 4000); /* the worker is silent */
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", uid, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    assert_string_equal(fixture_run_state(fixture, "a"), "SOURCE");
}

/* What it said last: it has stopped, and nothing was read. */
static void a_run_whose_source_had_read_nothing_is_cancelled(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    const Mr__Proto__Assignment *source = fixture_assignment(fixture, "rows-source");
    fixture_source_ended(&status, source, 0, 0, 0);
    status.source.ended = 0;
    status.status.state = MR__PROTO__TASK_STATE__STOPPED;
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", uid, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "CANCELLED");
}

static void an_abandoned_run_is_fenced_and_skipped(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char uid[64];
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    int64_t epoch = fixture_assignment(fixture, "rows-source")->epoch;
    assert_int_equal(mr_service_abandon_run(fixture->service, NULL, "a", uid, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_report(fixture, NULL, 0);
    const Mr__Proto__Assignment *fence = fixture_assignment(fixture, "rows-source");
    assert_int_equal(fence->kind, MR__PROTO__TASK_KIND__FENCE);
    assert_true(fence->epoch > epoch);
    fixture_source_ended(&status, fence, 0, 3, 0);
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "ABANDONED");
    assert_int_equal(ledger(fixture, "a", "abandoned"), 3);
    /* The next run's sink is told to pass the range over. */
    to_source(fixture, "a");
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 3, 2, 0);
    fixture_say(fixture, &status);
    const Mr__Proto__SinkScope *scope = fixture_assignment(fixture, "rows-store")->scope;
    assert_int_equal(scope->n_skips, 1);
    assert_int_equal(scope->skips[0]->first, 0);
    assert_int_equal(scope->skips[0]->end, 3);
}

static void a_replay_is_a_run_without_files_and_program(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    json_t *answer = NULL;
    fixture_apply(fixture, "a", NEVER,
                  "\"program\": {\"command\": [\"true\"]}, \"max_rejected_percent\": 10,");
    assert_int_equal(mr_service_replay(fixture->service, "k", "a", "other", NULL, false, &answer, NULL),
                     MR_ENOTFOUND);
    fixture_upload(fixture, "a", "waits.csv", NULL);
    assert_int_equal(mr_service_replay(fixture->service, "k", "a", NULL, NULL, true, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    fixture_report(fixture, NULL, 0);
    assert_string_equal(fixture_run_state(fixture, "a"), "SOURCE");
    const Mr__Proto__Assignment *source = fixture_assignment(fixture, "rows-source");
    assert_string_equal(mr_assignment_property(source, "connector.class"), "rejected");
    assert_string_equal(mr_assignment_property(source, "replay.force"), "true");
    assert_null(mr_assignment_property(source, "max.rejected.percent"));
    fixture_source_ended(&status, source, 0, 0, 3);
    assert_true(fixture_say(fixture, &status));
    fixture_pass(fixture, 1);
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED_WITH_REJECTS");
    assert_int_equal(ledger(fixture, "a", "rejected_source"), 3);
    assert_true(fixture_exists(fixture, "tenants/a/in/waits.csv"));
    fixture_pass(fixture, (int64_t)40 * 86400000);
    char uid[64], folder[128];
    newest_uid(fixture, "a", uid);
    snprintf(folder, sizeof folder, "tenants/a/done/%s", uid);
    assert_false(fixture_exists(fixture, folder));
}

static void too_many_rejected_rows_fail_the_run(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "\"max_rejected_percent\": 10,");
    to_source(fixture, "a");
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 8);
    status.source.over_rejected = 1;
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "FAILED");
    assert_null(fixture_assignment(fixture, "rows-store"));
    assert_int_equal(ledger(fixture, "a", "abandoned"), 2);
}

static void status_names_a_run_near_its_error_budget(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    json_t *view = NULL, *problem, *found = NULL;
    size_t i;
    fixture_apply(fixture, "a", NEVER, "\"max_rejected_rows\": 10,");
    to_source(fixture, "a");
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 90, 9);
    status.status.state = MR__PROTO__TASK_STATE__RUNNING;
    status.source.ended = 0;
    Mr__Proto__TaskStatus *statuses[] = {&status.status};
    fixture_report(fixture, statuses, 1);
    fixture_pass(fixture, 1000); /* progress is stored now and then */
    assert_int_equal(mr_service_status(fixture->service, &view, NULL), MR_OK);
    json_array_foreach(json_object_get(view, "problems"), i, problem)
    {
        if (strcmp(json_string_value(json_object_get(problem, "what")), "error budget") == 0)
            found = json_object_get(problem, "text");
    }
    assert_non_null(found);
    assert_string_equal(json_string_value(found),
                        "a: run manual-1, dataset rows: 9 of 99 rows were rejected, the agreement allows 10");
    json_decref(view);
}

static void a_lost_worker_gives_its_task_a_new_epoch(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    int64_t epoch = fixture_assignment(fixture, "rows-source")->epoch;
    fixture_pass(fixture, 4000); /* beyond the grace after the start: silence */
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, 1);
    fixture_report(fixture, NULL, 0);
    assert_true(fixture_assignment(fixture, "rows-source")->epoch > epoch);
}

static void a_new_incarnation_owns_nothing(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    int64_t epoch = fixture_assignment(fixture, "rows-source")->epoch;
    mr_service_disconnected(fixture->service, fixture->incarnation);
    snprintf(fixture->incarnation, sizeof fixture->incarnation, "second-life");
    fixture_report(fixture, NULL, 0); /* even within the grace after the start */
    assert_true(fixture_assignment(fixture, "rows-source")->epoch > epoch);
}

/* Nothing of it is taken, nothing acknowledged, and status says so. */
static void expect_refused(service_fixture *fixture, fixture_status *lie, const char *why)
{
    json_t *view = NULL;
    assert_false(fixture_say(fixture, lie));
    assert_int_equal(mr_service_status(fixture->service, &view, NULL), MR_OK);
    char *problems = json_dumps(json_object_get(view, "problems"), JSON_COMPACT);
    if (strstr(problems, why) == NULL)
        fail_msg("\"%s\" is not in %s", why, problems);
    free(problems);
    json_decref(view);
}

static void what_a_source_cannot_have_read_is_not_taken(void **state)
{
    service_fixture *fixture = *state;
    fixture_status lie;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    lie.source.read = 3;
    expect_refused(fixture, &lie, "read is not filtered + rejected + produced");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    lie.source.read = lie.source.produced = UINT64_MAX;
    expect_refused(fixture, &lie, "a count that no file has rows for");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    lie.source.run_uid = "another";
    expect_refused(fixture, &lie, "it reads another run");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    lie.status.kind = MR__PROTO__TASK_KIND__FENCE;
    expect_refused(fixture, &lie, "it is of another kind");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    lie.status.state = MR__PROTO__TASK_STATE__RUNNING;
    fixture_say(fixture, &lie);
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 1, 1);
    expect_refused(fixture, &lie, "its counts shrink");
    fixture_source_ended(&lie, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    assert_true(fixture_say(fixture, &lie));
    assert_string_equal(fixture_run_state(fixture, "a"), "DELIVERING");
}

static void what_a_sink_cannot_have_delivered_is_not_taken(void **state)
{
    service_fixture *fixture = *state;
    fixture_status lie;
    char uid[64], other[64];
    fixture_apply(fixture, "b", NEVER, "");
    to_source(fixture, "b");
    newest_uid(fixture, "b", other);
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    newest_uid(fixture, "a", uid);
    for (size_t i = 0; i < fixture->desired->assignments->n_assignments; i++) {
        const Mr__Proto__Assignment *one = fixture->desired->assignments->assignments[i];
        if (strcmp(one->id->tenant, "a") == 0 && strcmp(one->id->connector, "rows-source") == 0)
            fixture_source_ended(&lie, one, 0, 2, 0);
    }
    fixture_say(fixture, &lie);
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), uid, 2, 2, 2);
    lie.partition.end = 1;
    expect_refused(fixture, &lie, "its position lies behind the end of the log");
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), uid, 2, 2, 3);
    expect_refused(fixture, &lie, "it counts more than lies below its position");
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), uid, 2, 10, 3);
    expect_refused(fixture, &lie, "it delivers more than its run produced");
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), other, 2, 2, 2);
    expect_refused(fixture, &lie, "it delivers a run of another tenant");
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), uid, 2, 10, 1);
    fixture_say(fixture, &lie);
    assert_int_equal(ledger(fixture, "a", "delivered"), 1);
    fixture_delivered(&lie, fixture_assignment(fixture, "rows-store"), uid, 2, 10, 0);
    expect_refused(fixture, &lie, "its counts shrink");
    assert_int_equal(ledger(fixture, "a", "delivered"), 1);
}

static void a_program_seals_nothing_but_its_own_attempt(void **state)
{
    service_fixture *fixture = *state;
    fixture_status lie;
    fixture_apply(fixture, "a", NEVER, "");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    run_now(fixture, "a");
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&lie, fixture_assignment(fixture, "program"));
    lie.program.sealed_dir = "runs/another/sealed-1";
    expect_refused(fixture, &lie, "its sealed folder is not the one of its attempt");
    fixture_sealed(&lie, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &lie));
}

static void a_living_worker_is_not_replaced(void **state)
{
    service_fixture *fixture = *state;
    Mr__Proto__Report report = MR__PROTO__REPORT__INIT;
    mr_ack ack;
    mr_error error;
    bool new_one;
    fixture_report(fixture, NULL, 0);
    report.worker = "w1";
    report.incarnation = "impostor";
    report.host = "elsewhere";
    assert_int_equal(mr_service_report(fixture->service, &report, &ack, &new_one, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "w1 is alive already"));
    fixture_pass(fixture, 4000); /* silent */
    assert_int_equal(mr_service_report(fixture->service, &report, &ack, &new_one, &error), MR_OK);
    assert_true(new_one);
}

static void a_stored_epoch_is_jumped_over(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    fixture_failed(&status, fixture_assignment(fixture, "rows-source"), "fenced", "a newer epoch");
    status.status.stored_epoch = 41;
    assert_true(fixture_say(fixture, &status));
    assert_int_equal(fixture_assignment(fixture, "rows-source")->epoch, 42);
}

static void a_fenced_task_that_still_owns_its_assignment_is_told_so(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, "");
    to_source(fixture, "a");
    const Mr__Proto__Assignment *before = fixture_assignment(fixture, "rows-source");
    int64_t epoch = before->epoch;
    uint64_t revision = before->revision;
    fixture_failed(&status, before, "fenced", "somebody committed as this task");
    status.status.state = MR__PROTO__TASK_STATE__RESTARTING;
    status.status.revision = revision;
    fixture_say(fixture, &status);
    assert_int_equal(fixture_assignment(fixture, "rows-source")->epoch, epoch);
    assert_true(fixture_assignment(fixture, "rows-source")->revision > revision);
    status.status.stored_epoch = epoch + 7;
    status.status.id = fixture_assignment(fixture, "rows-source")->id;
    fixture_say(fixture, &status);
    assert_int_equal(fixture_assignment(fixture, "rows-source")->epoch, epoch + 8);
}

/* --- schedules --- */

static void a_due_time_without_files_is_skipped_without_a_task(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", MINUTE, "");
    fixture_report(fixture, NULL, 0);
    fixture_pass(fixture, 30 * 1000);
    assert_string_equal(fixture_run_state(fixture, "a"), "SKIPPED");
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "program"));
}

static void of_missed_times_only_the_latest_is_caught_up(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", MINUTE, "");
    mr_service_close(&fixture->service); /* away for an hour */
    fixture->now_ms += 3600 * 1000;
    assert_int_equal(mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL), MR_OK);
    fixture_pass(fixture, 0);
    assert_int_equal(fixture_run_count(fixture, "a", "SKIPPED"), 1);
    json_t *run = newest_run(fixture, "a");
    assert_string_equal(json_string_value(json_object_get(run, "run_id")), "20260301T130000Z");
    json_decref(run);
}

static void nothing_is_due_while_a_run_is_active(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", MINUTE, "");
    fixture_report(fixture, NULL, 0);
    fixture_upload(fixture, "a", "rows.csv", NULL);
    run_now(fixture, "a");
    for (int i = 0; i < 300; i++) {
        fixture_pass(fixture, 1000);
        fixture_report(fixture, NULL, 0);
    }
    assert_int_equal(fixture_run_count(fixture, "a", "SKIPPED"), 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    fixture_say(fixture, &status);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    fixture_say(fixture, &status); /* SOURCE is left: the latest missed time is caught up */
    fixture_pass(fixture, 1);
    assert_int_equal(fixture_run_count(fixture, "a", "SKIPPED"), 1);
    assert_int_equal(fixture_run_count(fixture, "a", "DELIVERING"), 1);
}

/* --- removed sinks --- */

#define TWO_SINKS                                                                                            \
    "\"sinks\": [{\"name\": \"store\", \"class\": \"sqlite\"},"                                              \
    " {\"name\": \"second\", \"class\": \"sqlite\", \"table\": \"copy\"}],"

/* A run of two rows, of which the second sink has delivered one; it is in `status`. */
static void deliver_half(service_fixture *fixture, fixture_status *status)
{
    char uid[64];
    fixture_apply(fixture, "a", NEVER, TWO_SINKS);
    to_source(fixture, "a");
    fixture_source_ended(status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    assert_true(fixture_say(fixture, status));
    newest_uid(fixture, "a", uid);
    fixture_delivered(status, fixture_assignment(fixture, "rows-store"), uid, 1, 2, 2);
    fixture_say(fixture, status);
    fixture_delivered(status, fixture_assignment(fixture, "rows-second"), uid, 1, 1, 1);
    fixture_say(fixture, status);
    assert_string_equal(fixture_run_state(fixture, "a"), "DELIVERING");
}

static const Mr__Proto__Assignment *release_of_second(service_fixture *fixture)
{
    fixture_report(fixture, NULL, 0); /* the sink's task is gone */
    fixture_report(fixture, NULL, 0);
    const Mr__Proto__Assignment *release = fixture_assignment(fixture, "rows-second");
    assert_non_null(release);
    assert_int_equal(release->kind, MR__PROTO__TASK_KIND__RELEASE);
    return release;
}

static void a_removed_sink_is_released_once_its_task_is_gone(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    deliver_half(fixture, &status);
    int64_t epoch = fixture_assignment(fixture, "rows-second")->epoch;
    fixture_apply(fixture, "a", NEVER, "");
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED");
    fixture_restart(fixture);
    const Mr__Proto__Assignment *release = release_of_second(fixture);
    assert_true(release->epoch > epoch);
    assert_null(mr_assignment_property(release, "retention.ms"));
    fixture_ended(&status, release);
    assert_true(fixture_say(fixture, &status));
    assert_null(fixture_assignment(fixture, "rows-second"));
    fixture_restart(fixture);
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-second")); /* not again */
    json_t *lines = NULL;
    assert_int_equal(mr_service_list_ledger(fixture->service, "a", NULL, NULL, 9, &lines, NULL), MR_OK);
    int64_t delivered = 0, abandoned = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        delivered += json_integer_value(json_object_get(json_array_get(lines, i), "delivered"));
        abandoned += json_integer_value(json_object_get(json_array_get(lines, i), "abandoned"));
    }
    json_decref(lines);
    assert_int_equal(delivered, 3); /* what the removed one had delivered stays delivered */
    assert_int_equal(abandoned, 1);
}

static void a_sink_that_comes_back_is_not_released(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    deliver_half(fixture, &status);
    fixture_apply(fixture, "a", NEVER, "");
    (void)release_of_second(fixture);
    fixture_apply(fixture, "a", NEVER, TWO_SINKS);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-second"));
    to_source(fixture, "a"); /* and gets the rows of the next run */
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 2, 2, 0);
    fixture_say(fixture, &status);
    assert_int_equal(fixture_assignment(fixture, "rows-second")->kind, MR__PROTO__TASK_KIND__SINK);
}

static void a_sink_removed_while_rows_are_read_is_released_afterwards(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    fixture_apply(fixture, "a", NEVER, TWO_SINKS);
    to_source(fixture, "a");
    fixture_apply(fixture, "a", NEVER, "");
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-second"));
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 2, 0);
    assert_true(fixture_say(fixture, &status));
    fixture_ended(&status, release_of_second(fixture));
    assert_true(fixture_say(fixture, &status));
    assert_int_equal(ledger(fixture, "a", "abandoned"), 2);
}

static void a_removed_dataset_takes_its_topic_along_when_it_is_old(void **state)
{
    service_fixture *fixture = *state;
    a_run_comes_to_its_end(state);
    fixture_apply_dataset(fixture, "a", NEVER, "", "other");
    fixture_pass(fixture, (int64_t)86400000);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    assert_null(fixture_assignment(fixture, "rows-store"));
    fixture_pass(fixture, (int64_t)86400000 + 1);
    fixture_report(fixture, NULL, 0);
    fixture_report(fixture, NULL, 0);
    const Mr__Proto__Assignment *release = fixture_assignment(fixture, "rows-store");
    assert_non_null(release);
    assert_int_equal(release->kind, MR__PROTO__TASK_KIND__RELEASE);
    assert_string_equal(mr_assignment_property(release, "retention.ms"), "0");
}

/* --- uploads, tenants --- */

static void a_repeated_upload_is_the_same_upload(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", NEVER, "");
    int64_t first = fixture_upload(fixture, "a", "rows.csv", "key");
    assert_int_equal(fixture_upload(fixture, "a", "rows.csv", "key"), first);
    assert_int_not_equal(fixture_upload(fixture, "a", "rows.csv", NULL), first);
    assert_true(fixture_exists(fixture, "tenants/a/in/rows.csv"));
    assert_true(fixture_exists(fixture, "tenants/a/in/rows-2.csv"));
}

static void a_tenant_with_files_is_deleted_only_by_purge(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    fixture_apply(fixture, "a", NEVER, "");
    fixture_upload(fixture, "a", "rows.csv", NULL);
    assert_int_equal(mr_service_delete_tenant(fixture->service, NULL, "a", false, &answer, NULL),
                     MR_EREFUSED);
    assert_int_equal(mr_service_delete_tenant(fixture->service, NULL, "a", true, &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    assert_false(fixture_exists(fixture, "tenants/a"));
    assert_int_equal(mr_service_show_tenant(fixture->service, "a", &answer, NULL), MR_ENOTFOUND);
    fixture_apply(fixture, "a", NEVER, "");
}

static void files_of_finished_runs_are_removed_after_their_days(void **state)
{
    service_fixture *fixture = *state;
    char uid[64], path[200];
    a_run_comes_to_its_end(state);
    newest_uid(fixture, "a", uid);
    snprintf(path, sizeof path, "tenants/a/done/%s", uid);
    fixture_pass(fixture, 86400000);
    assert_true(fixture_exists(fixture, path));
    fixture_pass(fixture, 86400000 + 120000);
    assert_false(fixture_exists(fixture, path));
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_comes_to_its_end),
        TEST(a_source_waits_while_too_much_is_undelivered_and_says_so),
        TEST(a_sink_without_work_is_stopped),
        TEST(a_sink_without_work_makes_room_for_others),
        TEST(a_difference_in_the_ledger_is_told),
        TEST(a_run_goes_on_after_a_restart_in_every_state),
        TEST(a_program_that_fails_is_tried_again_and_then_the_run_fails),
        TEST(a_failed_run_is_retried_with_its_files),
        TEST(a_run_that_failed_in_its_program_is_not_open_for_sinks),
        TEST(a_cancelled_run_gives_its_files_back),
        TEST(a_run_with_committed_rows_is_not_cancelled),
        TEST(a_run_whose_source_was_lost_is_not_cancelled),
        TEST(a_run_whose_source_had_read_nothing_is_cancelled),
        TEST(an_abandoned_run_is_fenced_and_skipped),
        TEST(a_replay_is_a_run_without_files_and_program),
        TEST(too_many_rejected_rows_fail_the_run),
        TEST(status_names_a_run_near_its_error_budget),
        TEST(a_lost_worker_gives_its_task_a_new_epoch),
        TEST(a_new_incarnation_owns_nothing),
        TEST(what_a_source_cannot_have_read_is_not_taken),
        TEST(what_a_sink_cannot_have_delivered_is_not_taken),
        TEST(a_program_seals_nothing_but_its_own_attempt),
        TEST(a_living_worker_is_not_replaced),
        TEST(a_stored_epoch_is_jumped_over),
        TEST(a_fenced_task_that_still_owns_its_assignment_is_told_so),
        TEST(a_due_time_without_files_is_skipped_without_a_task),
        TEST(of_missed_times_only_the_latest_is_caught_up),
        TEST(nothing_is_due_while_a_run_is_active),
        TEST(a_removed_sink_is_released_once_its_task_is_gone),
        TEST(a_sink_that_comes_back_is_not_released),
        TEST(a_sink_removed_while_rows_are_read_is_released_afterwards),
        TEST(a_removed_dataset_takes_its_topic_along_when_it_is_old),
        TEST(a_repeated_upload_is_the_same_upload),
        TEST(a_tenant_with_files_is_deleted_only_by_purge),
        TEST(files_of_finished_runs_are_removed_after_their_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
