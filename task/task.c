#include "task/task.h"

#include "core/log.h"

#include <stdlib.h>
#include <string.h>

/* Waits before the next attempt that are no times: for ever (R3), or there is no next attempt. */
enum { CONFIG_RETRY_MS = 30000, UNTIL_TOLD = -1, NEVER = -2 };

static bool same_config(const Mr__Proto__Assignment *a, const Mr__Proto__Assignment *b)
{
    if (a == NULL || a->epoch != b->epoch || a->n_config != b->n_config)
        return false;
    for (size_t i = 0; i < a->n_config; i++)
        if (strcmp(a->config[i]->key, b->config[i]->key) != 0 ||
            strcmp(a->config[i]->value, b->config[i]->value) != 0)
            return false;
    return true;
}

static bool older(const Mr__Proto__Assignment *next, const Mr__Proto__Assignment *last)
{
    return last != NULL &&
           (next->epoch < last->epoch || (next->epoch == last->epoch && next->revision < last->revision));
}

/* Puts a newer assignment in force; an older one, late in the socket, is dropped. */
static task_news adopt(task_context *task, Mr__Proto__Assignment *message)
{
    mr_props *raw = NULL;
    mr_error error;
    if (older(message, task->message)) {
        mr_assignment_close(&message);
        return NEWS_NONE;
    }
    task_news news = same_config(task->message, message) ? NEWS_SCOPE : NEWS_RESTART;
    if (assignment_props(message, &raw, &error) != MR_OK) {
        mr_log_failure(MR_ERROR, "the assignment cannot be taken", &error);
        mr_assignment_close(&message);
        return NEWS_NONE;
    }
    mr_props_close(&task->raw);
    mr_assignment_close(&task->message);
    task->raw = raw;
    task->message = message;
    status_identify(task->status, message->kind, message->id->tenant, message->id->connector,
                    message->id->task, message->epoch, message->revision);
    return news;
}

task_news task_look(task_context *task)
{
    if (control_stopping(task->control))
        return NEWS_STOP;
    Mr__Proto__Assignment *message = control_take(task->control);
    return message == NULL ? NEWS_NONE : adopt(task, message);
}

static task_attempt attempt_of(task_kind kind)
{
    switch (kind) {
    case TASK_SOURCE:
        return source_attempt;
    case TASK_SINK:
        return sink_attempt;
    case TASK_PROGRAM:
        return program_attempt;
    case TASK_FENCE:
        return fence_attempt;
    case TASK_RELEASE:
        return release_attempt;
    }
    return NULL;
}

static mr_err attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                      mr_error *ret_error)
{
    mr_err err = assignment_open(task->raw, &task->assignment, ret_error);
    if (err != MR_OK)
        return err;
    if (task->message == NULL) {
        const mr_bus_identity *id = &task->assignment->identity;
        status_identify(task->status, (Mr__Proto__TaskKind)(task->assignment->kind + 1), id->tenant,
                        id->connector, id->task, id->epoch, 0);
    }
    status_stall_after(task->status, task->assignment->kind == TASK_PROGRAM
                                         ? 0
                                         : assignment_integer(task->assignment, "stall.ms"));
    err = attempt_of(task->assignment->kind)(task, ret_outcome, ret_stored_epoch, ret_error);
    assignment_close(&task->assignment);
    return err;
}

static int end(task_context *task, Mr__Proto__TaskState state, int exit_code)
{
    status_work(task->status, false);
    status_state(task->status, state);
    return exit_code;
}

/* How long to wait before the next attempt. */
static int wait_after(task_context *task, mr_err err, const mr_error *error)
{
    int backoff_ms;
    switch (error->class) {
    case MR_TRANSIENT:
        backoff_ms = mr_backoff_next_ms(&task->backoff);
        if (err == MR_EUNKNOWN && task->backoff.failures == 1)
            backoff_ms = 0; /* R5: fencing again and reading the position is the answer, not patience */
        return backoff_ms;
    case MR_CONFIG:
        return control_by_hand(task->control) ? NEVER : CONFIG_RETRY_MS;
    case MR_FENCED:
        return control_by_hand(task->control) ? NEVER : UNTIL_TOLD;
    case MR_BUG:
    case MR_DATA:
        return NEVER;
    }
    return NEVER;
}

static void log_failure(const mr_error *error, int wait_ms)
{
    if (wait_ms == NEVER)
        mr_log_failure(MR_ERROR, "task failed", error);
    else if (wait_ms == UNTIL_TOLD)
        mr_log_failure(MR_WARN, "fenced: nothing is written until a newer assignment comes", error);
    else
        mr_log_failure(MR_WARN, "attempt failed, another follows", error, MR_INT("wait_ms", wait_ms));
}

int task_run(task_context *task)
{
    for (;;) {
        mr_error error;
        task_outcome outcome = TASK_AGAIN;
        int64_t stored_epoch = 0;
        mr_err err = attempt(task, &outcome, &stored_epoch, &error);
        if (err == MR_OK && outcome == TASK_ENDED)
            status_failure(task->status, NULL);
        if (err == MR_OK && outcome == TASK_ENDED)
            return end(task, MR__PROTO__TASK_STATE__ENDED, EXIT_ENDED);
        if ((err == MR_OK && outcome == TASK_STOPPED) || control_stopping(task->control))
            return end(task, MR__PROTO__TASK_STATE__STOPPED, EXIT_ENDED);
        if (err == MR_OK) {
            status_state(task->status, MR__PROTO__TASK_STATE__STARTING);
            continue;
        }
        int wait = outcome == TASK_GIVES_UP ? NEVER : wait_after(task, err, &error);
        log_failure(&error, wait);
        status_stored_epoch(task->status, stored_epoch);
        status_failure(task->status, &error);
        if (wait == NEVER)
            return end(task, MR__PROTO__TASK_STATE__FAILED,
                       error.class == MR_FENCED ? EXIT_FENCED : EXIT_FAILED);
        status_work(task->status, false);
        status_state(task->status, MR__PROTO__TASK_STATE__RESTARTING);
        control_wait(task->control, wait);
        if (task_look(task) == NEWS_STOP)
            return end(task, MR__PROTO__TASK_STATE__STOPPED, EXIT_ENDED);
    }
}
