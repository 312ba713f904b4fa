/* task_trees.h - the processes below each task: what they take, and which below the worker belong to no task.
 */
#ifndef MR_WORKER_TASK_TREES_H
#define MR_WORKER_TASK_TREES_H

#include "core/process_table.h"

typedef struct task_tree {
    int pid;               /* of the task */
    uint64_t memory_bytes; /* resident, of the task and all below it; shared pages count for each */
    bool frozen;           /* the task itself is stopped by a signal */
    void *task;            /* the caller's */
} task_tree;

/* Sorts `trees` by pid and fills in what they take. `parent` is the worker, the parent of all tasks. */
void task_trees_measure(const mr_process_table *table, int parent, task_tree *trees, size_t count);

/* Kills what is below this process and below none of `trees`, which are sorted by pid: what a task left
 * behind came to the worker, its subreaper. `table` is read anew where there is something to kill. Returns
 * how many. */
size_t task_trees_kill_strays(mr_process_table *table, const task_tree *trees, size_t count);

#endif
