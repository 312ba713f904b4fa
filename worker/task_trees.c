#include "worker/task_trees.h"

#include "core/process_end.h"

#include <stdlib.h>
#include <unistd.h>

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

void task_trees_measure(const mr_process_table *table, int parent, task_tree *trees, size_t count)
{
    if (count == 0)
        return;
    qsort(trees, count, sizeof *trees, by_pid);
    for (size_t i = 0; i < count; i++) {
        trees[i].memory_bytes = 0;
        trees[i].frozen = false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const mr_process_info *process = &table->items[i];
        const mr_process_info *branch = mr_process_table_branch(table, process, parent);
        task_tree *tree = branch == NULL ? NULL : find(trees, count, branch->pid);
        if (tree == NULL)
            continue;
        tree->memory_bytes += process->rss_bytes;
        if (process->pid == tree->pid)
            tree->frozen = process->state == 'T';
    }
}

typedef struct known_trees {
    const task_tree *trees;
    size_t count;
    int parent;
} known_trees;

static bool is_stray(void *arg, const mr_process_table *table, const mr_process_info *process)
{
    const known_trees *known = arg;
    (void)table;
    return process->parent == known->parent && process->state != 'Z' &&
           find(known->trees, known->count, process->pid) == NULL;
}

size_t task_trees_kill_strays(mr_process_table *table, const task_tree *trees, size_t count)
{
    known_trees known = {trees, count, getpid()};
    for (size_t i = 0; i < table->count; i++)
        if (is_stray(&known, table, &table->items[i]))
            return mr_process_trees_kill(table, is_stray, &known);
    return 0;
}
