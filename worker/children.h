/* children.h - the processes of the supervisor's tasks: starting, waiting for, measuring and ending them. */
#ifndef MR_WORKER_CHILDREN_H
#define MR_WORKER_CHILDREN_H

#include "worker/orphans.h"
#include "worker/supervisor.h"

#include <uv.h>

typedef struct task_children task_children;

/* Something that a report shows has changed. */
typedef void (*children_changed)(void *arg, supervisor_change change);

/* Borrows all. `program_user`: whom programs run as, or NULL. `seed` as for supervisor_open. */
mr_err children_open(uv_loop_t *loop, const char *task_binary, const char *program_user, orphans *record,
                     uint64_t seed, children_changed changed, void *arg, task_children **ret_children,
                     mr_error *ret_error);
/* Kills what still runs and waits for it. Memory is given back once the loop has run again. */
void children_close(task_children **c);

supervisor *children_supervisor(const task_children *c);

/* After every call that changes the supervisor: records new processes, then gives them their work; sets the
 * timer for what is due next; tells what has changed. */
void children_settle(task_children *c);

#endif
