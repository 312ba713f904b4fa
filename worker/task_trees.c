#include "worker/task_trees.h"

#include <signal.h>
#include <stdlib.h>

static int by_pid(const void *a, const void *b)
{
    const task_tree *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static task_tree *find(const task_tree *trees, size_t count, int pid)
{
    task_tree wanted = {.pid = pid};
    return count == 0 ? NULL : bsearch(&wanted, trees, count, sizeof *trees, by_pid);
}

void task_trees_measure(const process_table *table, int parent, task_tree *trees, size_t count)
{
    if (count == 0)
        return;
    qsort(trees, count, sizeof *trees, by_pid);
    for (size_t i = 0; i < count; i++) {
        trees[i].memory_bytes = 0;
        trees[i].frozen = false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const process_info *process = &table->items[i];
        const process_info *branch = process_table_branch(table, process, parent);
        task_tree *tree = branch == NULL ? NULL : find(trees, count, branch->pid);
        if (tree == NULL)
            continue;
        tree->memory_bytes += process->rss_bytes;
        if (process->pid == tree->pid)
            tree->frozen = process->state == 'T';
    }
}

size_t task_trees_kill_strays(const process_table *table, int parent, const task_tree *trees, size_t count)
{
    size_t killed = 0;
    for (size_t i = 0; i < table->count; i++) {
        const process_info *process = &table->items[i];
        const process_info *branch = process_table_branch(table, process, parent);
        if (branch == NULL || process->state == 'Z' || find(trees, count, branch->pid) != NULL)
            continue;
        if (kill(process->pid, SIGKILL) == 0)
            killed++;
    }
    return killed;
}
