/* Real workers with fake tasks, against a fake coordinator. */
#include "worker/fake_coordinator.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STATE(name) MR__PROTO__TASK_STATE__##name
#define KIND(name)  MR__PROTO__TASK_KIND__##name

enum { DEADLINE_MS = 10 * 1000 };

typedef struct fixture {
    char dir[64];
    char url[128];
    char pid_file[128];
    fake_coordinator *coordinator;
    int worker;
} fixture;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void start_worker(fixture *f)
{
    char state_dir[128], log[128];
    snprintf(state_dir, sizeof state_dir, "%s/state", f->dir);
    snprintf(log, sizeof log, "%s/log", f->dir);
    f->worker = fork();
    if (f->worker != 0)
        return;
    if (freopen(log, "a", stderr) == NULL)
        _exit(1);
    execl(WORKER_BINARY, WORKER_BINARY, "--name", "w1", "--coordinator", f->url, "--staging.dir", f->dir,
          "--state.dir", state_dir, "--task.binary", FAKE_TASK_BINARY, (char *)NULL);
    _exit(127);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/worker-test-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->url, sizeof f->url, "ipc://%s/rpc.sock", f->dir);
    snprintf(f->pid_file, sizeof f->pid_file, "%s/pid", f->dir);
    f->coordinator = fake_open(f->url);
    start_worker(f);
    *state = f;
    return 0;
}

/* The code with which the worker exits within the deadline; -1: killed by a signal. */
static int wait_worker(fixture *f)
{
    int status, pidfd = (int)syscall(SYS_pidfd_open, f->worker, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (poll(&ended, 1, 2 * DEADLINE_MS) != 1)
        kill(f->worker, SIGKILL);
    close(pidfd);
    waitpid(f->worker, &status, 0);
    f->worker = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void print_log(const fixture *f)
{
    char line[4096];
    snprintf(line, sizeof line, "%s/log", f->dir);
    FILE *log = fopen(line, "r");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        fputs(line, stderr);
    if (log != NULL)
        fclose(log);
}

static int teardown(void **state)
{
    static const char *const files[] = {"state/lock", "state/tasks", "state", "log", "pid", "rpc.sock", ""};
    fixture *f = *state;
    char path[128];
    int code = 0;
    if (f->worker != 0) {
        kill(f->worker, SIGTERM);
        code = wait_worker(f);
    }
    fake_close(&f->coordinator);
    if (code != 0)
        print_log(f);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
        remove(path);
    }
    free(f);
    return code;
}

static Mr__Proto__TaskStatus *expect_state(fixture *f, const char *connector, Mr__Proto__TaskState wanted)
{
    Mr__Proto__TaskStatus *status = fake_wait(f->coordinator, connector, wanted);
    if (status == NULL) {
        print_log(f);
        fail_msg("%s does not become %s", connector, mr_state_name(wanted));
    }
    return status;
}

/* The pid of the task. */
static int expect_running(fixture *f, const char *connector)
{
    Mr__Proto__TaskStatus *status = expect_state(f, connector, STATE(RUNNING));
    int pid = (int)status->pid;
    mr_status_close(&status);
    assert_true(pid > 1);
    return pid;
}

static void expect_error(fixture *f, const char *connector, Mr__Proto__TaskState wanted, const char *words)
{
    Mr__Proto__TaskStatus *status = expect_state(f, connector, wanted);
    if (status->error == NULL || strstr(status->error->text, words) == NULL)
        fail_msg("\"%s\" is not \"%s\"", status->error == NULL ? "no error" : status->error->text, words);
    mr_status_close(&status);
}

/* A process that is no child of ours is gone, or a zombie of somebody else's. */
static bool is_dead(int pid)
{
    char path[64], text[256], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    if (fgets(text, sizeof text, file) != NULL)
        sscanf(strrchr(text, ')'), ") %c", &state);
    fclose(file);
    return state == 'Z';
}

static void expect_dead_within(int pid, int64_t limit_ms)
{
    int64_t until = now_ms() + limit_ms;
    while (!is_dead(pid)) {
        if (now_ms() > until)
            fail_msg("process %d is alive after %lld ms", pid, (long long)limit_ms);
        poll(NULL, 0, 5);
    }
}

static void assign(fixture *f, const char *connector, Mr__Proto__TaskKind kind, const char *behave)
{
    fake_assign(f->coordinator, connector, kind, 1, 1, behave, f->pid_file, 0);
}

static void task_runs_ends_and_is_reported_until_acknowledged(void **state)
{
    fixture *f = *state;
    assign(f, "source", KIND(SOURCE), "end");
    Mr__Proto__TaskStatus *status = expect_state(f, "source", STATE(ENDED));
    mr_status_close(&status);
    fake_unassign(f->coordinator, "source");
    assert_true(fake_wait_reports(f->coordinator, 2));
    status = expect_state(f, "source", STATE(ENDED));
    mr_status_close(&status);
    fake_acknowledge(f->coordinator, true);
    assert_true(fake_wait_gone(f->coordinator, "source"));
}

static void task_that_is_taken_away_stops(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    fake_unassign(f->coordinator, "sink");
    Mr__Proto__TaskStatus *status = expect_state(f, "sink", STATE(STOPPED));
    mr_status_close(&status);
    expect_dead_within(pid, DEADLINE_MS);
}

static void new_revision_reaches_the_running_task(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    fake_assign(f->coordinator, "sink", KIND(SINK), 1, 2, "run", f->pid_file, 0);
    uint64_t revision = 0;
    for (int64_t until = now_ms() + DEADLINE_MS; revision != 2 && now_ms() < until;) {
        Mr__Proto__TaskStatus *status = expect_state(f, "sink", STATE(RUNNING));
        revision = status->revision;
        assert_int_equal(status->pid, pid);
        mr_status_close(&status);
        assert_true(fake_wait_reports(f->coordinator, 1));
    }
    assert_int_equal(revision, 2);
}

static void killed_task_is_restarted_and_the_reason_told(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    kill(pid, SIGKILL);
    expect_error(f, "sink", STATE(RESTARTING), "killed by signal 9");
    assert_int_not_equal(expect_running(f, "sink"), pid);
}

static void program_that_dies_without_a_word_has_failed(void **state)
{
    fixture *f = *state;
    assign(f, "program", KIND(PROGRAM), "exit");
    expect_error(f, "program", STATE(FAILED), "exited with code 3 without a last word");
}

static void fenced_task_tells_the_stored_epoch(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "fence");
    Mr__Proto__TaskStatus *status = expect_state(f, "sink", STATE(FAILED));
    assert_int_equal(status->stored_epoch, 9);
    assert_string_equal(status->error->class_, "fenced");
    mr_status_close(&status);
}

static void task_over_its_memory_limit_is_killed(void **state)
{
    fixture *f = *state;
    fake_assign(f->coordinator, "program", KIND(PROGRAM), 1, 1, "grow", f->pid_file, 32 << 20);
    expect_error(f, "program", STATE(FAILED), "memory limit 32 MiB exceeded");
}

static void task_that_babbles_is_ended(void **state)
{
    fixture *f = *state;
    assign(f, "program", KIND(PROGRAM), "babble");
    expect_error(f, "program", STATE(FAILED), "from the task");
}

static void frozen_task_is_stalled_until_it_goes_on(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    kill(pid, SIGSTOP);
    Mr__Proto__TaskStatus *status = expect_state(f, "sink", STATE(STALLED));
    mr_status_close(&status);
    kill(pid, SIGCONT);
    assert_int_equal(expect_running(f, "sink"), pid);
}

static void what_a_task_leaves_behind_is_killed(void **state)
{
    fixture *f = *state;
    int pid = 0;
    assign(f, "program", KIND(PROGRAM), "scatter");
    Mr__Proto__TaskStatus *status = expect_state(f, "program", STATE(ENDED));
    mr_status_close(&status);
    FILE *file = fopen(f->pid_file, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    expect_dead_within(pid, 1000);
}

static void tasks_die_with_a_killed_worker(void **state)
{
    fixture *f = *state;
    assign(f, "one", KIND(SINK), "run");
    assign(f, "two", KIND(SINK), "deaf");
    int one = expect_running(f, "one"), two = expect_running(f, "two");
    kill(f->worker, SIGKILL);
    assert_int_equal(wait_worker(f), -1);
    expect_dead_within(one, 1000);
    expect_dead_within(two, 1000);
}

static void next_life_of_a_worker_owns_nothing_and_works(void **state)
{
    fixture *f = *state;
    char incarnation[64] = "";
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    assert_true(fake_wait_incarnation(f->coordinator, incarnation));
    kill(f->worker, SIGKILL);
    assert_int_equal(wait_worker(f), -1);
    start_worker(f);
    assert_true(fake_wait_incarnation(f->coordinator, incarnation));
    assert_int_not_equal(expect_running(f, "sink"), pid);
}

static void replaced_worker_kills_its_tasks_and_goes_on_as_another(void **state)
{
    fixture *f = *state;
    char incarnation[64] = "";
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    assert_true(fake_wait_incarnation(f->coordinator, incarnation));
    fake_refuse_once(f->coordinator, MR_REFUSED_REPLACED " by another");
    assert_true(fake_wait_incarnation(f->coordinator, incarnation));
    expect_dead_within(pid, DEADLINE_MS);
    assert_int_not_equal(expect_running(f, "sink"), pid);
}

static int count_in_log(const fixture *f, const char *words)
{
    char line[4096];
    int count = 0;
    snprintf(line, sizeof line, "%s/log", f->dir);
    FILE *log = fopen(line, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log) != NULL)
        count += strstr(line, words) != NULL;
    fclose(log);
    return count;
}

static void answers_that_are_none_change_nothing(void **state)
{
    static const mr_slice odd[] = {
        {"", 0},
        {"\xff\xff\xff", 3},
        {"\x08\x07", 2},                         /* of protocol 7 */
        {"\x08\x01\x1a\x04\x08\x05\x12\x00", 8}, /* gives out a task without an id */
        {"\x08\x01\x12\x02\x10\x05", 6},         /* acknowledges an epoch of no task */
    };
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        fake_answer_once(f->coordinator, odd[i]);
        assert_true(fake_wait_reports(f->coordinator, 2));
        assert_int_equal(expect_running(f, "sink"), pid);
        assert_int_equal(count_in_log(f, "the coordinator's answer is of no use"), (int)i + 1);
    }
    assign(f, "second", KIND(SINK), "run");
    assert_int_not_equal(expect_running(f, "second"), pid);
}

static void tasks_run_on_while_the_coordinator_is_away(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    fake_close(&f->coordinator);
    f->coordinator = fake_open(f->url);
    assign(f, "sink", KIND(SINK), "run");
    assert_int_equal(expect_running(f, "sink"), pid);
}

static void leaving_worker_stops_its_tasks_and_exits_with_success(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "run");
    int pid = expect_running(f, "sink");
    kill(f->worker, SIGTERM);
    assert_true(fake_wait_leaving(f->coordinator));
    Mr__Proto__TaskStatus *status = expect_state(f, "sink", STATE(STOPPED));
    mr_status_close(&status);
    assert_int_equal(wait_worker(f), 0);
    assert_true(is_dead(pid));
}

static void second_signal_ends_a_leaving_worker_at_once(void **state)
{
    fixture *f = *state;
    assign(f, "sink", KIND(SINK), "deaf");
    int pid = expect_running(f, "sink");
    kill(f->worker, SIGTERM);
    assert_true(fake_wait_leaving(f->coordinator));
    kill(f->worker, SIGTERM);
    assert_int_equal(wait_worker(f), 0);
    assert_true(is_dead(pid));
}

#ifdef MR_FAULTS
typedef struct fault_point {
    const char *name;
    int reach;      /* the how manieth kills */
    bool at_a_stop; /* only reached once a task is taken away */
} fault_point;

/* Killed there once and started again, the worker still brings a task to its acknowledged end. */
static void survive_kill_at(fixture *f, const fault_point *point)
{
    char where[96], mark[160];
    snprintf(where, sizeof where, "%s:%d", point->name, point->reach);
    setenv("MR_FAULT_DIR", f->dir, 1);
    setenv("MR_FAULT_KILL", where, 1);
    start_worker(f);
    assign(f, "sink", KIND(SINK), "run");
    assign(f, "source", KIND(SOURCE), "end");
    if (point->at_a_stop) {
        expect_running(f, "sink");
        fake_unassign(f->coordinator, "sink");
    }
    if (wait_worker(f) != -1)
        fail_msg("%s is not reached", where);
    fake_unassign(f->coordinator, "sink");
    start_worker(f);
    Mr__Proto__TaskStatus *status = expect_state(f, "source", STATE(ENDED));
    mr_status_close(&status);
    fake_unassign(f->coordinator, "source");
    assert_true(fake_wait_gone(f->coordinator, "source"));
    kill(f->worker, SIGTERM);
    assert_int_equal(wait_worker(f), 0);
    unsetenv("MR_FAULT_KILL");
    unsetenv("MR_FAULT_DIR");
    snprintf(mark, sizeof mark, "%s/%s.killed", f->dir, point->name);
    assert_int_equal(unlink(mark), 0);
}

static void remove_marks(const fixture *f)
{
    struct dirent *entry;
    DIR *dir = opendir(f->dir);
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, ".reached") != NULL)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static void worker_killed_at_any_fault_point_goes_on_in_its_next_life(void **state)
{
    static const fault_point points[] = {
        {"worker_task_spawned", 1, false},    {"worker_orphans_recorded", 1, false},
        {"worker_assignment_sent", 1, false}, {"worker_task_ended", 1, false},
        {"worker_before_report", 2, false},   {"worker_assignments_received", 1, false},
        {"worker_stop_sent", 1, true},        {"worker_after_ack", 1, false},
    };
    fixture *f = *state;
    assert_true(fake_wait_reports(f->coordinator, 1));
    kill(f->worker, SIGTERM);
    assert_int_equal(wait_worker(f), 0);
    fake_acknowledge(f->coordinator, true);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        survive_kill_at(f, &points[i]);
    remove_marks(f);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(task_runs_ends_and_is_reported_until_acknowledged),
        TEST(task_that_is_taken_away_stops),
        TEST(new_revision_reaches_the_running_task),
        TEST(killed_task_is_restarted_and_the_reason_told),
        TEST(program_that_dies_without_a_word_has_failed),
        TEST(fenced_task_tells_the_stored_epoch),
        TEST(task_over_its_memory_limit_is_killed),
        TEST(task_that_babbles_is_ended),
        TEST(frozen_task_is_stalled_until_it_goes_on),
        TEST(what_a_task_leaves_behind_is_killed),
        TEST(tasks_die_with_a_killed_worker),
        TEST(next_life_of_a_worker_owns_nothing_and_works),
        TEST(replaced_worker_kills_its_tasks_and_goes_on_as_another),
        TEST(answers_that_are_none_change_nothing),
        TEST(tasks_run_on_while_the_coordinator_is_away),
        TEST(leaving_worker_stops_its_tasks_and_exits_with_success),
        TEST(second_signal_ends_a_leaving_worker_at_once),
#ifdef MR_FAULTS
        TEST(worker_killed_at_any_fault_point_goes_on_in_its_next_life),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
