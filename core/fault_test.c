#include "core/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef MR_FAULTS
int main(void)
{
    puts("fault points are not compiled in: nothing to test");
    return 0;
}
#else

static char dir[] = "/tmp/fault-test-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    strcpy(strrchr(dir, '-'), "-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    setenv("MR_FAULT_DIR", dir, 1);
    unsetenv("MR_FAULT_KILL");
    unsetenv("MR_FAULT_STOP");
    unsetenv("MR_FAULT_FAIL");
    return 0;
}

static bool take_mark(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return unlink(path) == 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unsetenv("MR_FAULT_DIR");
    take_mark("one.reached");
    take_mark("two.reached");
    return rmdir(dir);
}

/* Status of a process that reaches "one" three times and "two" once between; it exits with the reach at which
 * "one" was made to fail. Stops are waited for and continued. */
static int run(bool *ret_stopped)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int failed_at = 0;
        for (int i = 1; i <= 3; i++) {
            if (MR_FAULT_FAILS("one"))
                failed_at = i;
            if (i == 2)
                MR_FAULT("two");
        }
        _exit(failed_at);
    }
    *ret_stopped = false;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        *ret_stopped = true;
        kill(pid, SIGCONT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    return status;
}

static void test_a_point_leaves_a_mark_and_does_nothing_else(void **state)
{
    (void)state;
    bool stopped;
    int status = run(&stopped);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && !stopped);
    assert_true(take_mark("one.reached"));
    assert_true(take_mark("two.reached"));
}

static void test_a_process_is_killed_once_at_the_point(void **state)
{
    (void)state;
    bool stopped;
    setenv("MR_FAULT_KILL", "three,two", 1);
    int status = run(&stopped);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = run(&stopped);
    assert_true(WIFEXITED(status));
    assert_true(take_mark("two.killed"));
}

static void test_a_kill_waits_for_its_reach(void **state)
{
    (void)state;
    bool stopped;
    setenv("MR_FAULT_KILL", "two:2", 1);
    int status = run(&stopped);
    assert_true(WIFEXITED(status));
    assert_false(take_mark("two.killed"));
}

static void test_a_process_is_stopped_at_the_point(void **state)
{
    (void)state;
    bool stopped;
    setenv("MR_FAULT_STOP", "two", 1);
    int status = run(&stopped);
    assert_true(stopped && WIFEXITED(status));
    assert_true(take_mark("two.stopped"));
}

static void test_a_step_fails_at_the_asked_reach_only(void **state)
{
    (void)state;
    bool stopped;
    setenv("MR_FAULT_FAIL", "one:2", 1);
    assert_int_equal(WEXITSTATUS(run(&stopped)), 2);
    assert_true(take_mark("one.failed"));
}

static void test_a_name_is_compared_as_a_whole(void **state)
{
    (void)state;
    bool stopped;
    setenv("MR_FAULT_FAIL", "on,one_more,onee:1", 1);
    assert_int_equal(WEXITSTATUS(run(&stopped)), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_point_leaves_a_mark_and_does_nothing_else),
        TEST(test_a_process_is_killed_once_at_the_point),
        TEST(test_a_kill_waits_for_its_reach),
        TEST(test_a_process_is_stopped_at_the_point),
        TEST(test_a_step_fails_at_the_asked_reach_only),
        TEST(test_a_name_is_compared_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
