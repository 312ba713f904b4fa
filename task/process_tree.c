#include "task/process_tree.h"

#include "core/process_end.h"
#include "task/clock.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

mr_err process_tree_adopt(mr_error *ret_error)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return mr_fail_errno(ret_error, errno, "subreaper");
    return MR_OK;
}

static bool is_child(void *arg, const mr_process_table *table, const mr_process_info *process)
{
    (void)table;
    return process->parent == *(const pid_t *)arg && process->state != 'Z';
}

int process_tree_count(void)
{
    mr_process_table table = {0};
    int count = 0;
    if (mr_process_table_read(&table, NULL) == MR_OK)
        for (size_t i = 0; i < table.count; i++)
            count += table.items[i].state != 'Z' &&
                     mr_process_table_branch(&table, &table.items[i], getpid()) != NULL;
    mr_process_table_fini(&table);
    return count;
}

int process_tree_kill(void)
{
    mr_process_table table = {0};
    pid_t self = getpid();
    size_t killed = mr_process_trees_kill(&table, is_child, &self);
    mr_process_table_fini(&table);
    return (int)killed;
}

mr_err process_tree_end(int timeout_ms, int *ret_killed, mr_error *ret_error)
{
    int64_t until = clock_ms() + timeout_ms;
    for (int killed = 0;;) {
        int left = process_tree_kill();
        killed = left > killed ? left : killed;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (left == 0 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) {
            *ret_killed = killed;
            return MR_OK;
        }
        if (clock_ms() >= until)
            return mr_fail(ret_error, MR_ETIMEDOUT, "%d processes of the program do not end", left);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}
