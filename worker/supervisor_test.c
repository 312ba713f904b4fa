#include "worker/report.h"
#include "worker/supervisor.h"

#include "core/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STATE(name) MR__PROTO__TASK_STATE__##name
#define KIND(name)  MR__PROTO__TASK_KIND__##name

/* Processes that exist only here: what the supervisor asked for, to be looked at and answered by the test. */
typedef struct fixture {
    supervisor *supervisor;
    int64_t now_ms;
    int started, updated, stopped, killed;
    bool start_fails;
    char alive; /* its address stands for a process */
    supervised *last_started;
    supervised *last_killed;
} fixture;

static mr_err fake_start(void *arg, supervised *task, mr_error *ret_error)
{
    fixture *f = arg;
    if (f->start_fails)
        return mr_fail(ret_error, MR_ENOTFOUND, "task.binary is not there");
    task->process = &f->alive;
    task->pid = 4711;
    f->last_started = task;
    f->started++;
    return MR_OK;
}

static void fake_update(void *arg, supervised *task)
{
    (void)task;
    ((fixture *)arg)->updated++;
}

static void fake_stop(void *arg, supervised *task)
{
    (void)task;
    ((fixture *)arg)->stopped++;
}

static void fake_kill(void *arg, supervised *task)
{
    ((fixture *)arg)->last_killed = task;
    ((fixture *)arg)->killed++;
}

static const supervisor_ops fake_ops = {
    .start = fake_start, .update = fake_update, .stop = fake_stop, .kill = fake_kill};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->now_ms = 1000;
    mr_log_configure("logfmt", "error", NULL);
    *state = f;
    return supervisor_open(&fake_ops, f, 1, &f->supervisor) == MR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    supervisor_close(&f->supervisor);
    free(f);
    return 0;
}

/* One task in the assignments, or none (kind KIND_UNSPECIFIED). */
static void assign(fixture *f, Mr__Proto__TaskKind kind, int64_t epoch, uint64_t revision)
{
    Mr__Proto__Assignments all = MR__PROTO__ASSIGNMENTS__INIT;
    Mr__Proto__Assignment one = MR__PROTO__ASSIGNMENT__INIT;
    Mr__Proto__Assignment *list[] = {&one};
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    id.tenant = "client_a";
    id.connector = "speeds";
    one.id = &id;
    one.epoch = epoch;
    one.kind = kind;
    one.revision = revision;
    one.memory_limit_bytes = 128 << 20;
    all.assignments = list;
    all.n_assignments = kind == KIND(KIND_UNSPECIFIED) ? 0 : 1;
    assert_int_equal(supervisor_assign(f->supervisor, &all, f->now_ms), MR_OK);
}

static void say(fixture *f, Mr__Proto__TaskState what, const char *class, const char *text)
{
    Mr__Proto__TaskStatus status = MR__PROTO__TASK_STATUS__INIT, *copy;
    Mr__Proto__TaskError error = MR__PROTO__TASK_ERROR__INIT;
    status.id = f->last_started->assignment->id;
    status.epoch = f->last_started->assignment->epoch;
    status.kind = f->last_started->assignment->kind;
    status.state = what;
    error.code = "MR_EIO";
    error.class_ = (char *)class;
    error.text = (char *)text;
    status.stored_epoch = class != NULL && strcmp(class, "fenced") == 0 ? 9 : 0;
    status.error = class == NULL ? NULL : &error;
    assert_int_equal(mr_status_copy(&status, &copy), MR_OK);
    assert_int_equal(supervisor_said(f->supervisor, f->last_started, copy, f->now_ms, NULL), MR_OK);
}

static void say_delivered_up_to(fixture *f, int64_t offset)
{
    Mr__Proto__TaskStatus status = MR__PROTO__TASK_STATUS__INIT, *copy;
    Mr__Proto__SinkProgress sink = MR__PROTO__SINK_PROGRESS__INIT;
    Mr__Proto__SinkPartition partition = MR__PROTO__SINK_PARTITION__INIT;
    Mr__Proto__SinkPartition *partitions[] = {&partition};
    status.id = f->last_started->assignment->id;
    status.epoch = f->last_started->assignment->epoch;
    status.kind = f->last_started->assignment->kind;
    status.state = STATE(RUNNING);
    status.sink = &sink;
    sink.partitions = partitions;
    sink.n_partitions = 1;
    partition.offset = offset;
    assert_int_equal(mr_status_copy(&status, &copy), MR_OK);
    assert_int_equal(supervisor_said(f->supervisor, f->last_started, copy, f->now_ms, NULL), MR_OK);
}

static void exit_task(fixture *f, supervised *task, int code, int signal)
{
    task->process = NULL;
    task->pid = 0;
    supervisor_exited(f->supervisor, task, (task_exit){.code = code, .signal = signal}, f->now_ms);
}

static void advance(fixture *f, int64_t ms)
{
    f->now_ms += ms;
    supervisor_tick(f->supervisor, f->now_ms);
}

/* The first task as a report shows it; count: how many. */
static Mr__Proto__TaskStatus *reported(fixture *f, size_t *ret_count)
{
    static Mr__Proto__TaskStatus *copy;
    worker_report report;
    Mr__Proto__Report facts = MR__PROTO__REPORT__INIT;
    mr_status_close(&copy);
    assert_int_equal(report_init(&report, &facts, f->supervisor, NULL), MR_OK);
    *ret_count = report.message.n_tasks;
    if (report.message.n_tasks > 0)
        assert_int_equal(mr_status_copy(report.message.tasks[0], &copy), MR_OK);
    report_fini(&report);
    return copy;
}

static void expect_report(fixture *f, Mr__Proto__TaskState wanted, const char *words)
{
    size_t count;
    const Mr__Proto__TaskStatus *status = reported(f, &count);
    assert_int_equal(count, 1);
    assert_string_equal(mr_state_name(status->state), mr_state_name(wanted));
    if (words == NULL)
        assert_null(status->error);
    else if (status->error == NULL || strstr(status->error->text, words) == NULL)
        fail_msg("\"%s\" is not \"%s\"", status->error == NULL ? "no error" : status->error->text, words);
}

static void expect_nothing_reported(fixture *f)
{
    size_t count;
    reported(f, &count);
    assert_int_equal(count, 0);
}

static void ack(fixture *f, int64_t epoch)
{
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    id.tenant = "client_a";
    id.connector = "speeds";
    supervisor_acked(f->supervisor, &id, epoch);
}

static void assigned_task_is_started_once(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    assign(f, KIND(SINK), 1, 1);
    assert_int_equal(f->started, 1);
    expect_report(f, STATE(STARTING), NULL);
    say(f, STATE(RUNNING), NULL, NULL);
    expect_report(f, STATE(RUNNING), NULL);
}

static void greater_revision_is_sent_to_the_running_task(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    assign(f, KIND(SINK), 1, 2);
    assign(f, KIND(SINK), 1, 1);
    assert_int_equal(f->updated, 1);
    assert_int_equal(f->started, 1);
}

static void task_that_is_taken_away_is_told_to_stop_then_killed(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    assign(f, KIND(KIND_UNSPECIFIED), 0, 0);
    assert_int_equal(f->stopped, 1);
    advance(f, STOP_PATIENCE_MS - 1);
    assert_int_equal(f->killed, 0);
    advance(f, 1);
    assert_int_equal(f->killed, 1);
    exit_task(f, f->last_started, 0, 9);
    expect_report(f, STATE(STOPPED), NULL);
}

static void end_is_reported_until_it_is_acknowledged(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SOURCE), 1, 1);
    say(f, STATE(ENDED), NULL, NULL);
    exit_task(f, f->last_started, 0, 0);
    expect_report(f, STATE(ENDED), NULL);
    assign(f, KIND(KIND_UNSPECIFIED), 0, 0);
    expect_report(f, STATE(ENDED), NULL);
    ack(f, 2); /* another epoch's */
    expect_report(f, STATE(ENDED), NULL);
    ack(f, 1);
    expect_nothing_reported(f);
    assert_null(supervisor_first(f->supervisor));
}

static void ended_task_is_not_started_again_while_it_is_still_assigned(void **state)
{
    fixture *f = *state;
    assign(f, KIND(PROGRAM), 1, 1);
    say(f, STATE(ENDED), NULL, NULL);
    exit_task(f, f->last_started, 0, 0);
    ack(f, 1);
    assign(f, KIND(PROGRAM), 1, 1);
    advance(f, 3600 * 1000);
    assert_int_equal(f->started, 1);
    expect_nothing_reported(f);
}

static void end_counts_only_when_the_process_is_gone(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SOURCE), 1, 1);
    say(f, STATE(RUNNING), NULL, NULL);
    say(f, STATE(ENDED), NULL, NULL);
    expect_report(f, STATE(RUNNING), NULL);
    advance(f, STOP_PATIENCE_MS);
    assert_int_equal(f->killed, 1);
    exit_task(f, f->last_started, 0, 9);
    expect_report(f, STATE(ENDED), NULL);
}

static void crashed_sink_is_started_again_in_the_same_epoch(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 3, 1);
    exit_task(f, f->last_started, 0, 11);
    expect_report(f, STATE(RESTARTING), "killed by signal 11");
    advance(f, RESTART_FIRST_MS);
    assert_int_equal(f->started, 2);
    say(f, STATE(RUNNING), NULL, NULL);
    expect_report(f, STATE(RUNNING), NULL);
}

static void crashing_task_fails_for_good_when_its_budget_is_used_up(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 3, 1);
    for (int i = 0; i < RESTART_BUG_BUDGET; i++) {
        exit_task(f, f->last_started, 3, 0);
        advance(f, RESTART_CAP_MS);
    }
    assert_int_equal(f->started, RESTART_BUG_BUDGET + 1);
    exit_task(f, f->last_started, 3, 0);
    expect_report(f, STATE(FAILED), "exited with code 3");
    advance(f, RESTART_BUG_WINDOW_MS);
    assert_int_equal(f->started, RESTART_BUG_BUDGET + 1);
    assign(f, KIND(SINK), 3, 2);
    assert_int_equal(f->started, RESTART_BUG_BUDGET + 2);
}

static void transient_failures_are_retried_for_ever(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 3, 1);
    for (int i = 0; i < 100; i++) {
        say(f, STATE(FAILED), "transient", "disk full");
        exit_task(f, f->last_started, 1, 0);
        expect_report(f, STATE(RESTARTING), "disk full");
        advance(f, RESTART_CAP_MS);
        assert_int_equal(f->started, i + 2);
    }
}

static void config_failure_is_retried_at_once_after_a_change(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 3, 1);
    say(f, STATE(FAILED), "config", "no such table");
    exit_task(f, f->last_started, 1, 0);
    advance(f, RESTART_CONFIG_MS - 1);
    assert_int_equal(f->started, 1);
    assign(f, KIND(SINK), 3, 2);
    assert_int_equal(f->started, 2);
}

static void program_is_never_started_again(void **state)
{
    fixture *f = *state;
    assign(f, KIND(PROGRAM), 1, 1);
    exit_task(f, f->last_started, 0, 9);
    expect_report(f, STATE(FAILED), "killed by signal 9 (Killed): by the program itself");
    assign(f, KIND(PROGRAM), 1, 2);
    advance(f, 3600 * 1000);
    assert_int_equal(f->started, 1);
}

static void fenced_task_waits_for_a_new_epoch(void **state)
{
    fixture *f = *state;
    size_t count;
    assign(f, KIND(SINK), 3, 1);
    say(f, STATE(FAILED), "fenced", "epoch 9 owns this");
    exit_task(f, f->last_started, 4, 0);
    expect_report(f, STATE(FAILED), "epoch 9 owns this");
    assert_int_equal(reported(f, &count)->stored_epoch, 9);
    assign(f, KIND(SINK), 3, 2);
    assert_int_equal(f->started, 1);
    ack(f, 3);
    assign(f, KIND(SINK), 10, 3);
    assert_int_equal(f->started, 2);
    expect_report(f, STATE(STARTING), NULL);
}

static void newer_epoch_starts_when_the_older_process_is_dead(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 3, 1);
    supervised *older = f->last_started;
    assign(f, KIND(SINK), 4, 1);
    assert_int_equal(f->killed, 1);
    assert_ptr_equal(f->last_killed, older);
    assert_int_equal(f->started, 1);
    assert_int_equal(supervisor_next_due_ms(f->supervisor), INT64_MAX);
    exit_task(f, older, 0, 9);
    assert_int_equal(f->started, 2);
    assert_int_equal(f->last_started->assignment->epoch, 4);
}

static void older_epoch_is_not_started(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 4, 1);
    assign(f, KIND(SINK), 3, 1);
    assert_int_equal(f->started, 1);
}

static void task_that_comes_back_while_it_stops_is_started_again(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    assign(f, KIND(KIND_UNSPECIFIED), 0, 0);
    assign(f, KIND(SINK), 1, 1);
    say(f, STATE(STOPPED), NULL, NULL);
    exit_task(f, f->last_started, 0, 0);
    assert_int_equal(f->started, 2);
}

static void memory_over_the_limit_kills_and_says_so(void **state)
{
    fixture *f = *state;
    assign(f, KIND(PROGRAM), 1, 1);
    supervisor_sampled(f->supervisor, f->last_started, 128 << 20, false);
    assert_int_equal(f->killed, 0);
    supervisor_sampled(f->supervisor, f->last_started, (128 << 20) + 1, false);
    supervisor_sampled(f->supervisor, f->last_started, 256 << 20, false);
    assert_int_equal(f->killed, 1);
    exit_task(f, f->last_started, 0, 9);
    expect_report(f, STATE(FAILED), "memory limit 128 MiB exceeded");
}

static void frozen_task_is_reported_as_stalled(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    say(f, STATE(RUNNING), NULL, NULL);
    supervisor_sampled(f->supervisor, f->last_started, 1, true);
    expect_report(f, STATE(STALLED), NULL);
    supervisor_sampled(f->supervisor, f->last_started, 1, false);
    expect_report(f, STATE(RUNNING), NULL);
}

static void process_that_cannot_be_started_is_a_failure_of_the_task(void **state)
{
    fixture *f = *state;
    f->start_fails = true;
    assign(f, KIND(SINK), 1, 1);
    expect_report(f, STATE(RESTARTING), "task.binary is not there");
    f->start_fails = false;
    advance(f, RESTART_CONFIG_MS);
    assert_int_equal(f->started, 1);
}

static void leaving_stops_all_and_starts_nothing(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    supervisor_leave(f->supervisor, f->now_ms);
    assert_int_equal(f->stopped, 1);
    assign(f, KIND(SINK), 2, 1);
    say(f, STATE(STOPPED), NULL, NULL);
    exit_task(f, f->last_started, 0, 0);
    advance(f, 3600 * 1000);
    assert_int_equal(f->started, 1);
    assert_int_equal(supervisor_process_count(f->supervisor), 0);
    expect_report(f, STATE(STOPPED), NULL);
}

static void abandoned_tasks_die_unreported_and_make_room(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    supervised *older = f->last_started;
    supervisor_abandon(f->supervisor);
    assert_int_equal(f->killed, 1);
    expect_nothing_reported(f);
    assign(f, KIND(SINK), 1, 1);
    assert_int_equal(f->started, 1);
    exit_task(f, older, 0, 9);
    assert_int_equal(f->started, 2);
}

static void status_of_another_task_is_punished(void **state)
{
    fixture *f = *state;
    Mr__Proto__TaskStatus status = MR__PROTO__TASK_STATUS__INIT, *copy;
    mr_error error;
    assign(f, KIND(SINK), 2, 1);
    status.id = f->last_started->assignment->id;
    status.epoch = 1;
    status.kind = KIND(SINK);
    assert_int_equal(mr_status_copy(&status, &copy), MR_OK);
    assert_int_equal(supervisor_said(f->supervisor, f->last_started, copy, f->now_ms, &error), MR_EPROTOCOL);
    assert_int_equal(f->killed, 1);
}

static void report_too_large_for_a_message_leaves_progress_out(void **state)
{
    fixture *f = *state;
    enum { RUNS = 30000 };
    worker_report report;
    Mr__Proto__Report facts = MR__PROTO__REPORT__INIT;
    Mr__Proto__SinkPartition partition = MR__PROTO__SINK_PARTITION__INIT, *partitions[] = {&partition};
    Mr__Proto__SinkProgress sink = MR__PROTO__SINK_PROGRESS__INIT;
    Mr__Proto__SinkRun run = MR__PROTO__SINK_RUN__INIT;
    Mr__Proto__SinkRun **runs = calloc(RUNS, sizeof *runs);
    Mr__Proto__TaskStatus status = MR__PROTO__TASK_STATUS__INIT, *copy;
    run.run_uid = "0123456789abcdef0123456789abcdef";
    for (size_t i = 0; i < RUNS; i++)
        runs[i] = &run;
    partition.runs = runs;
    partition.n_runs = RUNS;
    sink.partitions = partitions;
    sink.n_partitions = 1;
    assign(f, KIND(SINK), 1, 1);
    status.id = f->last_started->assignment->id;
    status.epoch = 1;
    status.kind = KIND(SINK);
    status.state = STATE(RUNNING);
    status.sink = &sink;
    assert_int_equal(mr_status_copy(&status, &copy), MR_OK);
    assert_int_equal(supervisor_said(f->supervisor, f->last_started, copy, f->now_ms, NULL), MR_OK);
    assert_int_equal(report_init(&report, &facts, f->supervisor, NULL), MR_OK);
    assert_true(protobuf_c_message_get_packed_size(&report.request.base) <= MR_RPC_MAX_BYTES);
    assert_int_equal(report.message.tasks[0]->state, STATE(RUNNING));
    assert_null(report.message.tasks[0]->sink);
    report_fini(&report);
    free(runs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void task_that_crashes_between_commits_goes_on(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    for (int i = 0; i < 4 * RESTART_BUG_BUDGET; i++) {
        say_delivered_up_to(f, 10 * i);
        exit_task(f, f->last_started, 0, SIGSEGV);
        expect_report(f, STATE(RESTARTING), "signal 11");
        advance(f, 2 * RESTART_FIRST_MS);
    }
    assert_int_equal(f->started, 1 + 4 * RESTART_BUG_BUDGET);
}

static void task_that_crashes_without_a_commit_fails_in_the_end(void **state)
{
    fixture *f = *state;
    assign(f, KIND(SINK), 1, 1);
    for (int i = 0; i <= RESTART_BUG_BUDGET; i++) {
        say_delivered_up_to(f, 10);
        exit_task(f, f->last_started, 0, SIGSEGV);
        advance(f, RESTART_CAP_MS);
    }
    expect_report(f, STATE(FAILED), "signal 11");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(task_that_crashes_between_commits_goes_on),
        TEST(task_that_crashes_without_a_commit_fails_in_the_end),
        TEST(assigned_task_is_started_once),
        TEST(greater_revision_is_sent_to_the_running_task),
        TEST(task_that_is_taken_away_is_told_to_stop_then_killed),
        TEST(end_is_reported_until_it_is_acknowledged),
        TEST(ended_task_is_not_started_again_while_it_is_still_assigned),
        TEST(end_counts_only_when_the_process_is_gone),
        TEST(crashed_sink_is_started_again_in_the_same_epoch),
        TEST(crashing_task_fails_for_good_when_its_budget_is_used_up),
        TEST(transient_failures_are_retried_for_ever),
        TEST(config_failure_is_retried_at_once_after_a_change),
        TEST(program_is_never_started_again),
        TEST(fenced_task_waits_for_a_new_epoch),
        TEST(newer_epoch_starts_when_the_older_process_is_dead),
        TEST(older_epoch_is_not_started),
        TEST(task_that_comes_back_while_it_stops_is_started_again),
        TEST(memory_over_the_limit_kills_and_says_so),
        TEST(frozen_task_is_reported_as_stalled),
        TEST(process_that_cannot_be_started_is_a_failure_of_the_task),
        TEST(leaving_stops_all_and_starts_nothing),
        TEST(abandoned_tasks_die_unreported_and_make_room),
        TEST(status_of_another_task_is_punished),
        TEST(report_too_large_for_a_message_leaves_progress_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
