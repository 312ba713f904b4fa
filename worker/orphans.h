/* orphans.h - tasks that a former life of this worker left behind.
 *
 * A task dies with its worker by itself; this is for what does not: a task frozen at that moment, and
 * processes of a program that slipped out of its tree. Each task is the leader of a session of its own, so
 * all it started is found by that session, unless it left that as well. The folder belongs to one worker at a
 * time.
 *
 * FILE `tasks` of the state folder: the boot id, then a line `pid start_time` per task. It is replaced as a
 * whole. It is not flushed to disk: it says nothing that matters after a crash of the machine.
 */
#ifndef MR_WORKER_ORPHANS_H
#define MR_WORKER_ORPHANS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct task_record {
    int pid;
    uint64_t start_time; /* clock ticks since boot */
} task_record;

typedef struct orphans orphans;

/* Creates the folder when missing and locks it. MR_EREFUSED: another worker uses it. */
mr_err orphans_open(const char *state_dir, orphans **ret_orphans, mr_error *ret_error);
void orphans_close(orphans **o);

/* Kills what is left of the recorded tasks and waits until it is gone, at most 5 s (MR_ETIMEDOUT). Blocks. */
mr_err orphans_kill(orphans *o, size_t *ret_killed, mr_error *ret_error);

/* Records the tasks that run now. A task must not be given its work before it is recorded. */
mr_err orphans_record(orphans *o, const task_record *tasks, size_t count, mr_error *ret_error);

#endif
