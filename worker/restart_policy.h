/* restart_policy.h - when a failed task is tried again (R9). Pure: time and chance are arguments. */
#ifndef MR_WORKER_RESTART_POLICY_H
#define MR_WORKER_RESTART_POLICY_H

#include "core/error.h"

#include <stdint.h>

enum {
    RESTART_FIRST_MS = 200,
    RESTART_CAP_MS = 30 * 1000,
    RESTART_CONFIG_MS = 30 * 1000,
    RESTART_BUG_BUDGET = 5, /* restarts after a bug within RESTART_BUG_WINDOW_MS */
    RESTART_BUG_WINDOW_MS = 10 * 60 * 1000,
    RESTART_NEVER = -1,
};

/* {0} is a task that has not failed. */
typedef struct restart_policy {
    unsigned failures; /* in a row */
    unsigned bugs;
    int64_t bug_ms[RESTART_BUG_BUDGET]; /* times of the latest restarts after a bug */
} restart_policy;

/* Milliseconds from `now_ms` to the next try, or RESTART_NEVER. `chance` is from 0 to 1 and spreads the tries
 * of tasks that failed together. */
int64_t restart_delay(restart_policy *policy, mr_err_class class, int64_t now_ms, double chance);

/* The task has worked for a while: the next failure is the first again. The budget for bugs stays used. */
void restart_recovered(restart_policy *policy);

/* The task has committed something since its last failure: that one is overcome, its bug included. */
void restart_progressed(restart_policy *policy);

#endif
