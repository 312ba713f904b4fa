#include "worker/orphans.h"

#include "core/holder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char dir[64];
    orphans *orphans;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/orphans-test-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) != NULL && orphans_open(f->dir, &f->orphans, NULL) == MR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char path[128];
    orphans_close(&f->orphans);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, i == 0 ? "lock" : "tasks");
        unlink(path);
    }
    int left = rmdir(f->dir);
    free(f);
    return left;
}

/* A session leader with a member in a process group of its own; both wait to be killed. */
static int start_session(int *ret_member)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    int leader = fork();
    if (leader == 0) {
        setsid();
        int member = fork();
        if (member == 0) {
            setpgid(0, 0);
            int self = getpid();
            (void)!write(ready[1], &self, sizeof self);
        }
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], ret_member, sizeof *ret_member), sizeof *ret_member);
    close(ready[0]);
    close(ready[1]);
    return leader;
}

static task_record record_of(int pid)
{
    return (task_record){.pid = pid, .start_time = mr_process_start_time(pid)};
}

static void expect_killed(int pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void recorded_task_is_killed_with_its_session(void **state)
{
    fixture *f = *state;
    size_t killed;
    int member, leader = start_session(&member);
    task_record record = record_of(leader);
    assert_int_equal(orphans_record(f->orphans, &record, 1, NULL), MR_OK);
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 2);
    expect_killed(leader);
    expect_killed(member); /* it came to this process, its subreaper */
}

static void member_is_killed_although_its_leader_is_gone(void **state)
{
    fixture *f = *state;
    size_t killed;
    int member, leader = start_session(&member);
    task_record record = record_of(leader);
    kill(leader, SIGKILL);
    expect_killed(leader);
    assert_int_equal(orphans_record(f->orphans, &record, 1, NULL), MR_OK);
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 1);
    expect_killed(member);
}

static void another_process_with_the_pid_of_a_task_is_left_alone(void **state)
{
    fixture *f = *state;
    size_t killed;
    int member, leader = start_session(&member);
    task_record before = record_of(leader), after = before;
    before.start_time--;
    after.start_time++;
    assert_int_equal(orphans_record(f->orphans, &before, 1, NULL), MR_OK);
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 0);
    assert_int_equal(orphans_record(f->orphans, &after, 1, NULL), MR_OK);
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 0);
    kill(leader, SIGKILL);
    kill(member, SIGKILL);
    expect_killed(leader);
    expect_killed(member);
}

static void write_tasks(const fixture *f, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/tasks", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void records_of_another_boot_are_passed_over(void **state)
{
    fixture *f = *state;
    size_t killed;
    char text[256];
    int member, leader = start_session(&member);
    snprintf(text, sizeof text, "00000000-0000-0000-0000-000000000000\n%d %llu\n", leader,
             (unsigned long long)mr_process_start_time(leader));
    write_tasks(f, text);
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 0);
    kill(leader, SIGKILL);
    kill(member, SIGKILL);
    expect_killed(leader);
    expect_killed(member);
}

static void damaged_file_kills_nobody(void **state)
{
    fixture *f = *state;
    size_t killed;
    write_tasks(f, "\x01\xff garbage\n-1 0\n0 0\n1 0\n");
    assert_int_equal(orphans_kill(f->orphans, &killed, NULL), MR_OK);
    assert_int_equal(killed, 0);
}

static void folder_in_use_is_refused(void **state)
{
    fixture *f = *state;
    orphans *second = NULL;
    mr_error error;
    assert_int_equal(orphans_open(f->dir, &second, &error), MR_EREFUSED);
    assert_null(second);
    assert_non_null(strstr(error.text, "used by another worker"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const struct CMUnitTest tests[] = {
        TEST(recorded_task_is_killed_with_its_session),
        TEST(member_is_killed_although_its_leader_is_gone),
        TEST(another_process_with_the_pid_of_a_task_is_left_alone),
        TEST(records_of_another_boot_are_passed_over),
        TEST(damaged_file_kills_nobody),
        TEST(folder_in_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
