#include "worker/task_trees.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024, GROWN_MIB = 24 };

/* A child with a child of its own, which has touched GROWN_MIB; both wait to be killed. */
static int start_family(int *ret_grandchild)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    int child = fork();
    if (child == 0) {
        int grandchild = fork();
        if (grandchild == 0) {
            char *memory =
                mmap(NULL, GROWN_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memset(memory, 1, GROWN_MIB * MIB);
            int self = getpid();
            (void)!write(ready[1], &self, sizeof self);
        }
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], ret_grandchild, sizeof *ret_grandchild), sizeof *ret_grandchild);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end_family(int child, int grandchild)
{
    kill(grandchild, SIGKILL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void memory_of_a_tree_includes_grandchildren(void **state)
{
    (void)state;
    mr_process_table table = {0};
    int grandchild, child = start_family(&grandchild);
    task_tree trees[] = {{.pid = child}, {.pid = 1}};
    assert_int_equal(mr_process_table_read(&table, NULL), MR_OK);
    task_trees_measure(&table, getpid(), trees, 2);
    assert_int_equal(trees[1].pid, child); /* sorted */
    assert_true(trees[1].memory_bytes >= GROWN_MIB * MIB);
    assert_false(trees[1].frozen);
    end_family(child, grandchild);
    mr_process_table_fini(&table);
}

static void stopped_task_is_seen_as_frozen(void **state)
{
    (void)state;
    mr_process_table table = {0};
    siginfo_t info;
    int grandchild, child = start_family(&grandchild);
    task_tree tree = {.pid = child};
    kill(child, SIGSTOP);
    waitid(P_PID, (id_t)child, &info, WSTOPPED);
    assert_int_equal(mr_process_table_read(&table, NULL), MR_OK);
    task_trees_measure(&table, getpid(), &tree, 1);
    assert_true(tree.frozen);
    end_family(child, grandchild);
    mr_process_table_fini(&table);
}

static void only_what_belongs_to_no_task_is_killed(void **state)
{
    (void)state;
    mr_process_table table = {0};
    int kept_below, kept = start_family(&kept_below);
    int stray_below, stray = start_family(&stray_below);
    task_tree tree = {.pid = kept};
    assert_int_equal(mr_process_table_read(&table, NULL), MR_OK);
    assert_int_equal(task_trees_kill_strays(&table, &tree, 1), 2);
    assert_int_equal(waitpid(stray, NULL, 0), stray);
    assert_int_equal(waitpid(kept, NULL, WNOHANG), 0);
    end_family(kept, kept_below);
    mr_process_table_fini(&table);
}

static void own_process_is_found_with_its_session(void **state)
{
    (void)state;
    mr_process_table table = {0};
    assert_int_equal(mr_process_table_read(&table, NULL), MR_OK);
    const mr_process_info *self = mr_process_table_find(&table, getpid());
    assert_non_null(self);
    assert_int_equal(self->parent, getppid());
    assert_int_equal(self->session, getsid(0));
    assert_true(self->rss_bytes > 0);
    assert_null(mr_process_table_find(&table, 0x7ffffff0));
    mr_process_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_a_tree_includes_grandchildren),
        cmocka_unit_test(stopped_task_is_seen_as_frozen),
        cmocka_unit_test(only_what_belongs_to_no_task_is_killed),
        cmocka_unit_test(own_process_is_found_with_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
