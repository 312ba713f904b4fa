#include "core/process_end.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_child(void *arg, const mr_process_table *table, const mr_process_info *process)
{
    (void)table;
    return process->parent == *(const pid_t *)arg && process->state != 'Z';
}

enum { FORKS = 1000 }; /* more than come about, but an end should the test be wrong */

/* Each process forks without end. */
static pid_t start_bomb(atomic_int *forks)
{
    pid_t bomb = fork();
    if (bomb != 0)
        return bomb;
    setsid();
    while (atomic_fetch_add(forks, 1) < FORKS)
        if (fork() == 0)
            setsid();
    for (;;)
        pause();
}

static void end_children(void)
{
    mr_process_table table = {0};
    pid_t self = getpid();
    for (int round = 0; round < 100; round++) {
        size_t left = mr_process_trees_kill(&table, is_child, &self);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (left == 0 && waitpid(-1, NULL, WNOHANG) < 0)
            break;
        usleep(2000);
    }
    mr_process_table_fini(&table);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void processes_that_fork_without_end_are_ended(void **state)
{
    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    atomic_int *forks = mmap(NULL, sizeof *forks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(forks != MAP_FAILED);
    for (int i = 0; i < 3; i++)
        assert_true(start_bomb(forks) > 0);
    while (atomic_load(forks) < 100)
        usleep(100);
    end_children();
    munmap(forks, sizeof *forks);
}

static void one_that_is_stopped_is_ended(void **state)
{
    (void)state;
    mr_process_table table = {0};
    siginfo_t info;
    pid_t self = getpid(), child = fork();
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
    assert_int_equal(mr_process_trees_kill(&table, is_child, &self), 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(mr_process_trees_kill(&table, is_child, &self), 0);
    mr_process_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_stopped_is_ended),
        cmocka_unit_test(processes_that_fork_without_end_are_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
