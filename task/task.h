/* task.h - one task process: its assignment, and the attempts to fulfil it.
 *
 * An attempt opens everything, works, and closes everything; what it fails with decides when the next one
 * starts (R3, R5, R9). All state that counts is on the bus or in the store, so an attempt can end anywhere.
 */
#ifndef MR_TASK_TASK_H
#define MR_TASK_TASK_H

#include "core/backoff.h"
#include "task/assignment.h"
#include "task/control.h"
#include "task/status.h"

typedef struct task_context {
    control *control;
    status *status;
    mr_props *raw;                  /* of the assignment in force, secrets unresolved */
    Mr__Proto__Assignment *message; /* the same as the worker sent it, or NULL by hand */
    assignment *assignment;         /* opened anew for each attempt */
    mr_backoff backoff;             /* an attempt that made progress resets it */
} task_context;

typedef enum task_outcome {
    TASK_ENDED,    /* the work is done */
    TASK_STOPPED,  /* told to stop */
    TASK_AGAIN,    /* the assignment changed: start over at once */
    TASK_GIVES_UP, /* with an error: trying again by itself would do harm, whatever the error's class */
} task_outcome;

/* *ret_stored_epoch is set where MR_EFENCED is returned and the newer epoch is known. */
typedef mr_err (*task_attempt)(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                               mr_error *ret_error);

mr_err source_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                      mr_error *ret_error);
mr_err sink_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                    mr_error *ret_error);
mr_err program_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                       mr_error *ret_error);
mr_err fence_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                     mr_error *ret_error);
mr_err release_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                       mr_error *ret_error);

/* What the worker wants by now, asked between two steps. */
typedef enum task_news {
    NEWS_NONE,
    NEWS_SCOPE,   /* task->message has a new scope and nothing else */
    NEWS_STOP,    /* the attempt is to end with TASK_STOPPED */
    NEWS_RESTART, /* the attempt is to end with TASK_AGAIN */
} task_news;
task_news task_look(task_context *task);

/* Exit codes of millrace-task by hand. */
enum { EXIT_ENDED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_FENCED = 4 };

/* Tries until the work is done, told to stop, or failed for good; returns the exit code. */
int task_run(task_context *task);

#endif
