/* supervisor.h - what should run here against what does run: starts, updates, stops and restarts tasks.
 *
 * It decides and knows no process, socket or clock: the time comes with each call (milliseconds, monotonic),
 * and what is to be done goes to supervisor_ops. Thread: the loop's.
 */
#ifndef MR_WORKER_SUPERVISOR_H
#define MR_WORKER_SUPERVISOR_H

#include "proto/messages.h"
#include "worker/restart_policy.h"

enum {
    STOP_PATIENCE_MS = 5000,  /* between `stop`, or a last word, and SIGKILL */
    RECOVERED_MS = 60 * 1000, /* a task that was up this long begins its back-off anew */
};

typedef enum task_phase {
    TASK_WAITING,  /* no process; one is started at due_ms */
    TASK_UP,       /* a process works */
    TASK_STOPPING, /* a process was told to stop */
    TASK_OVER,     /* no process, and none will be started unless the assignment changes */
} task_phase;

/* One assignment of one epoch, from its arrival until its end is acknowledged. Fields are the supervisor's to
 * write, except `process`. */
typedef struct supervised {
    struct supervised *next;
    Mr__Proto__Assignment *assignment;
    Mr__Proto__TaskStatus *last; /* what the task said last, or NULL; progress outlives its process */
    task_phase phase;
    Mr__Proto__TaskState state;
    mr_error failure;     /* of the last process; MR_OK: none, or it works again */
    mr_error kill_reason; /* why the process is being killed; MR_OK: it is not */
    bool wanted;          /* in the assignments that came last */
    bool blocked;         /* waits for the process of another epoch of this task to end */
    bool abandoned;       /* of a former incarnation: dies unreported */
    bool acked;           /* its end is recorded */
    bool said_last_word;
    bool frozen;    /* stopped by a signal */
    int64_t due_ms; /* WAITING: start; else when to kill; INT64_MAX: never */
    int64_t up_since_ms;
    uint64_t memory_bytes;
    uint64_t restarts;
    restart_policy policy;
    uint64_t committed; /* what it last said of how far it is; see committed_of */
    void *process;      /* set by `start`, cleared before supervisor_exited */
    int pid;            /* the same */
} supervised;

typedef struct supervisor_ops {
    /* Starts a process; it is given `task->assignment` in its first packet. Sets process and pid. A failure
     * is treated as one of the task. */
    mr_err (*start)(void *arg, supervised *task, mr_error *ret_error);
    void (*update)(void *arg, supervised *task); /* sends the assignment again */
    void (*stop)(void *arg, supervised *task);   /* sends `stop` */
    void (*kill)(void *arg, supervised *task);   /* SIGKILL; the exit is told later, as any exit */
} supervisor_ops;

typedef struct task_exit {
    int code; /* when signal is 0 */
    int signal;
} task_exit;

/* How much of what a report shows has changed. */
typedef enum supervisor_change { CHANGE_NONE, CHANGE_PROGRESS, CHANGE_STATE } supervisor_change;

typedef struct supervisor supervisor;

/* `seed` spreads back-offs. Borrows ops. MR_ENOMEM. */
mr_err supervisor_open(const supervisor_ops *ops, void *arg, uint64_t seed, supervisor **ret_supervisor);
void supervisor_close(supervisor **s); /* forgets all tasks; their processes are the caller's to end */

/* All that should run here now. MR_ENOMEM: nothing or a part was done; assigning again does the rest. */
mr_err supervisor_assign(supervisor *s, const Mr__Proto__Assignments *assignments, int64_t now_ms);
/* A task spoke; takes the status. MR_EPROTOCOL when it is not the task's own; the task is killed then. */
mr_err supervisor_said(supervisor *s, supervised *task, Mr__Proto__TaskStatus *status, int64_t now_ms,
                       mr_error *ret_error);
/* The task closed its end: it is on its way out, and is helped along when it takes too long. */
void supervisor_hung_up(supervisor *s, supervised *task, int64_t now_ms);
/* The task broke the protocol or a limit: it is killed, and `reason` is how it failed. */
void supervisor_punish(supervisor *s, supervised *task, const mr_error *reason);
/* The process is gone. `task` may be gone after the call. */
void supervisor_exited(supervisor *s, supervised *task, task_exit exit, int64_t now_ms);
/* What the process tree of the task was seen to take; kills it over its limit. */
void supervisor_sampled(supervisor *s, supervised *task, uint64_t memory_bytes, bool frozen);
/* The end of this epoch is recorded: it need not be reported again. */
void supervisor_acked(supervisor *s, const Mr__Proto__TaskId *id, int64_t epoch);

/* Does what is due. */
void supervisor_tick(supervisor *s, int64_t now_ms);
int64_t supervisor_next_due_ms(const supervisor *s); /* INT64_MAX: nothing */

/* Planned leave: stops all, starts nothing any more. */
void supervisor_leave(supervisor *s, int64_t now_ms);
/* This incarnation owns nothing any more: kills all and forgets it. */
void supervisor_abandon(supervisor *s);
void supervisor_kill_all(supervisor *s);

supervised *supervisor_first(const supervisor *s); /* then ->next */
size_t supervisor_process_count(const supervisor *s);
/* What has changed since the last call. */
supervisor_change supervisor_take_change(supervisor *s);

#endif
