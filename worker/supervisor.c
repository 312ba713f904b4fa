#include "worker/supervisor.h"

#include "core/log.h"
#include "proto/ids.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#define STATE(name) MR__PROTO__TASK_STATE__##name
#define KIND(name)  MR__PROTO__TASK_KIND__##name

struct supervisor {
    const supervisor_ops *ops;
    void *arg;
    supervised *tasks;
    uint64_t random;
    bool leaving;
    supervisor_change change;
};

mr_err supervisor_open(const supervisor_ops *ops, void *arg, uint64_t seed, supervisor **ret_supervisor)
{
    supervisor *s = malloc(sizeof *s);
    if (s == NULL)
        return MR_ENOMEM;
    *s = (supervisor){.ops = ops, .arg = arg, .random = seed | 1};
    *ret_supervisor = s;
    return MR_OK;
}

static void free_task(supervised *task)
{
    mr_assignment_close(&task->assignment);
    mr_status_close(&task->last);
    free(task);
}

void supervisor_close(supervisor **s)
{
    if (*s == NULL)
        return;
    for (supervised *task = (*s)->tasks, *next; task != NULL; task = next) {
        next = task->next;
        free_task(task);
    }
    free(*s);
    *s = NULL;
}

static void remove_task(supervisor *s, supervised *task)
{
    supervised **link = &s->tasks;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    free_task(task);
}

static void note_change(supervisor *s, supervisor_change change)
{
    if (change > s->change)
        s->change = change;
}

/* xorshift64*: good enough to keep tasks that failed together from coming back together. */
static double next_chance(supervisor *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (double)((s->random * UINT64_C(0x2545f4914f6cdd1d)) >> 11) / 9007199254740992.0;
}

static void log_task(mr_log_level level, const char *event, const supervised *task)
{
    char key[MR_TASK_KEY_BYTES];
    mr_log(level, event, MR_STR("task", mr_task_key(task->assignment->id, key)),
           MR_INT("epoch", task->assignment->epoch), MR_STR("kind", mr_kind_name(task->assignment->kind)),
           MR_STR("state", mr_state_name(task->state)), MR_INT("pid", task->pid));
}

static void log_failed(mr_log_level level, const char *event, const supervised *task, int64_t wait_ms)
{
    char key[MR_TASK_KEY_BYTES];
    mr_log_failure(level, event, &task->failure, MR_STR("task", mr_task_key(task->assignment->id, key)),
                   MR_INT("epoch", task->assignment->epoch), MR_INT("wait_ms", wait_ms));
}

static void end_task(supervisor *s, supervised *task, Mr__Proto__TaskState state)
{
    task->phase = TASK_OVER;
    task->state = state;
    task->due_ms = INT64_MAX;
    task->frozen = false;
    task->blocked = false;
    note_change(s, CHANGE_STATE);
    if (state == STATE(FAILED))
        log_failed(MR_ERROR, "task failed", task, 0);
    else
        log_task(MR_INFO, "task ended", task);
    if (task->acked && !task->wanted)
        remove_task(s, task);
}

static void handle_failure(supervisor *s, supervised *task, int64_t now_ms)
{
    int64_t delay_ms = RESTART_NEVER;
    if (now_ms - task->up_since_ms >= RECOVERED_MS)
        restart_recovered(&task->policy);
    if (task->assignment->kind != KIND(PROGRAM) && task->wanted && !s->leaving)
        delay_ms = restart_delay(&task->policy, task->failure.class, now_ms, next_chance(s));
    if (delay_ms == RESTART_NEVER) {
        end_task(s, task, STATE(FAILED));
        return;
    }
    task->phase = TASK_WAITING;
    task->state = STATE(RESTARTING);
    task->restarts++;
    task->due_ms = now_ms + delay_ms;
    task->frozen = false;
    note_change(s, CHANGE_STATE);
    log_failed(MR_WARN, "task failed, it will be started again", task, delay_ms);
}

/* One process per task at a time, whatever the epochs: the newer one waits until the older is dead. */
static bool other_process_lives(const supervisor *s, const supervised *task)
{
    for (const supervised *other = s->tasks; other != NULL; other = other->next)
        if (other != task && other->process != NULL &&
            mr_task_id_equal(other->assignment->id, task->assignment->id))
            return true;
    return false;
}

static void start_task(supervisor *s, supervised *task, int64_t now_ms)
{
    mr_error error;
    task->phase = TASK_WAITING;
    task->due_ms = now_ms;
    task->acked = false;
    task->blocked = other_process_lives(s, task);
    if (task->blocked)
        return;
    task->said_last_word = false;
    task->kill_reason.code = MR_OK;
    task->memory_bytes = 0;
    task->up_since_ms = now_ms;
    if (s->ops->start(s->arg, task, &error) != MR_OK) {
        task->failure = error;
        handle_failure(s, task, now_ms);
        return;
    }
    task->phase = TASK_UP;
    task->state = STATE(STARTING);
    task->due_ms = INT64_MAX;
    note_change(s, CHANGE_STATE);
    log_task(MR_INFO, "task started", task);
}

static void kill_task(supervisor *s, supervised *task)
{
    task->due_ms = INT64_MAX;
    s->ops->kill(s->arg, task);
}

static void stop_task(supervisor *s, supervised *task, int64_t now_ms)
{
    if (task->phase == TASK_UP) {
        task->phase = TASK_STOPPING;
        task->due_ms = now_ms + STOP_PATIENCE_MS;
        s->ops->stop(s->arg, task);
    } else if (task->phase == TASK_WAITING) {
        end_task(s, task, STATE(STOPPED));
    } else if (task->phase == TASK_OVER && task->acked) {
        remove_task(s, task);
    }
}

static supervised *find_epoch(const supervisor *s, const Mr__Proto__TaskId *id, int64_t epoch)
{
    for (supervised *task = s->tasks; task != NULL; task = task->next)
        if (!task->abandoned && task->assignment->epoch == epoch &&
            mr_task_id_equal(task->assignment->id, id))
            return task;
    return NULL;
}

static bool has_newer_epoch(const supervisor *s, const Mr__Proto__TaskId *id, int64_t epoch)
{
    for (const supervised *task = s->tasks; task != NULL; task = task->next)
        if (!task->abandoned && task->assignment->epoch > epoch && mr_task_id_equal(task->assignment->id, id))
            return true;
    return false;
}

static mr_err add_task(supervisor *s, const Mr__Proto__Assignment *assignment)
{
    supervised *task = calloc(1, sizeof *task);
    if (task == NULL || mr_assignment_copy(assignment, &task->assignment) != MR_OK) {
        free(task);
        return MR_ENOMEM;
    }
    task->phase = TASK_WAITING;
    task->state = STATE(STARTING);
    task->wanted = true;
    task->next = s->tasks;
    s->tasks = task;
    return MR_OK;
}

/* A change of configuration is a reason to try at once, and anew. */
static mr_err revise_task(supervisor *s, supervised *task, const Mr__Proto__Assignment *assignment,
                          int64_t now_ms)
{
    Mr__Proto__Assignment *copy;
    if (mr_assignment_copy(assignment, &copy) != MR_OK)
        return MR_ENOMEM;
    mr_assignment_close(&task->assignment);
    task->assignment = copy;
    if (task->phase == TASK_UP) {
        s->ops->update(s->arg, task);
    } else if (task->phase == TASK_WAITING) {
        task->due_ms = now_ms;
    } else if (task->phase == TASK_OVER && task->state == STATE(FAILED) && task->failure.class != MR_FENCED &&
               task->assignment->kind != KIND(PROGRAM)) {
        task->policy = (restart_policy){0};
        start_task(s, task, now_ms);
    }
    return MR_OK;
}

/* It was taken away and given back within the same epoch. */
static bool came_back(const supervised *task)
{
    return task->phase == TASK_OVER && task->state == STATE(STOPPED) &&
           task->assignment->kind != KIND(PROGRAM);
}

static mr_err want(supervisor *s, const Mr__Proto__Assignment *assignment, int64_t now_ms)
{
    supervised *task = find_epoch(s, assignment->id, assignment->epoch);
    if (task == NULL)
        return has_newer_epoch(s, assignment->id, assignment->epoch) ? MR_OK : add_task(s, assignment);
    task->wanted = true;
    if (assignment->revision > task->assignment->revision &&
        revise_task(s, task, assignment, now_ms) != MR_OK)
        return MR_ENOMEM;
    if (came_back(task))
        start_task(s, task, now_ms);
    return MR_OK;
}

static void drop(supervisor *s, supervised *task, int64_t now_ms)
{
    if (task->process != NULL && has_newer_epoch(s, task->assignment->id, task->assignment->epoch)) {
        task->phase = TASK_STOPPING; /* nothing it could still commit would count */
        kill_task(s, task);
    } else {
        stop_task(s, task, now_ms);
    }
}

mr_err supervisor_assign(supervisor *s, const Mr__Proto__Assignments *assignments, int64_t now_ms)
{
    if (s->leaving)
        return MR_OK;
    for (supervised *task = s->tasks; task != NULL; task = task->next)
        task->wanted = false;
    mr_err err = MR_OK;
    for (size_t i = 0; i < assignments->n_assignments; i++)
        if (want(s, assignments->assignments[i], now_ms) != MR_OK)
            err = MR_ENOMEM;
    for (supervised *task = s->tasks, *next; task != NULL; task = next) {
        next = task->next;
        if (!task->wanted && !task->abandoned)
            drop(s, task, now_ms);
    }
    supervisor_tick(s, now_ms);
    return err;
}

void supervisor_punish(supervisor *s, supervised *task, const mr_error *reason)
{
    if (task->process == NULL || task->kill_reason.code != MR_OK)
        return;
    task->kill_reason = *reason;
    kill_task(s, task);
}

/* An error as a task words it. */
static mr_error error_of(const Mr__Proto__TaskError *said)
{
    mr_error error;
    mr_fail(&error, MR_EBUG, "%s", said == NULL ? "failed without saying why" : said->text);
    if (said == NULL)
        return error;
    for (int code = MR_ENOMEM; code <= MR_EBUG; code++)
        if (strcmp(mr_err_name((mr_err)code), said->code) == 0)
            error.code = (mr_err)code;
    for (int class = MR_TRANSIENT; class <= MR_FENCED; class ++)
        if (strcmp(mr_err_class_name((mr_err_class) class), said->class_) == 0)
            error.class = (mr_err_class) class;
    return error;
}

/* A number that is another one when the task has committed something; 0: it has not said how far it is. */
static uint64_t committed_of(const Mr__Proto__TaskStatus *status)
{
    uint64_t sum = 1;
    if (status->source != NULL)
        return sum + status->source->read + status->source->bytes + (status->source->ended ? 1 : 0);
    if (status->sink == NULL)
        return 0;
    for (size_t i = 0; i < status->sink->n_partitions; i++)
        sum += (uint64_t)status->sink->partitions[i]->offset;
    return sum;
}

/* The first word of a process may tell what the one before it committed: that counts, too. */
static void note_committed(supervised *task, const Mr__Proto__TaskStatus *status)
{
    uint64_t committed = committed_of(status);
    if (committed == 0)
        return;
    if (task->committed != 0 && committed != task->committed)
        restart_progressed(&task->policy);
    task->committed = committed;
}

mr_err supervisor_said(supervisor *s, supervised *task, Mr__Proto__TaskStatus *status, int64_t now_ms,
                       mr_error *ret_error)
{
    const Mr__Proto__Assignment *assignment = task->assignment;
    if (!mr_task_id_equal(status->id, assignment->id) || status->epoch != assignment->epoch ||
        status->kind != assignment->kind) {
        mr_error reason;
        mr_status_close(&status);
        mr_fail(&reason, MR_EPROTOCOL, "the task reported another task's status");
        mr_classify(&reason, reason.code, MR_BUG);
        supervisor_punish(s, task, &reason);
        return mr_fail(ret_error, MR_EPROTOCOL, "the task reported another task's status");
    }
    if (task->said_last_word) {
        mr_status_close(&status);
        return MR_OK;
    }
    note_change(s, task->state != status->state || status->error != NULL ? CHANGE_STATE : CHANGE_PROGRESS);
    note_committed(task, status);
    mr_status_close(&task->last);
    task->last = status;
    if (mr_state_final(status->state)) {
        task->said_last_word = true;
        task->due_ms = now_ms + STOP_PATIENCE_MS;
        return MR_OK; /* the state changes when the process is gone */
    }
    task->state = status->state == STATE(UNASSIGNED) ? STATE(STARTING) : status->state;
    if (status->state == STATE(RUNNING) && status->error == NULL)
        task->failure.code = MR_OK;
    return MR_OK;
}

void supervisor_hung_up(supervisor *s, supervised *task, int64_t now_ms)
{
    (void)s;
    if (task->due_ms > now_ms + STOP_PATIENCE_MS && task->kill_reason.code == MR_OK)
        task->due_ms = now_ms + STOP_PATIENCE_MS;
}

static void describe_exit(const supervised *task, task_exit exit, mr_error *ret_error)
{
    if (task->said_last_word)
        mr_fail(ret_error, MR_EBUG, "stopped without being told to");
    else if (exit.signal == SIGKILL && task->assignment->kind == KIND(PROGRAM))
        mr_fail(ret_error,
                MR_EBUG, /* counts as an attempt: a program that kills its task would be tried for ever */
                "its task was killed by signal %d (%s): by the program itself, by people, or by a machine "
                "short of "
                "memory",
                exit.signal, strsignal(exit.signal));
    else if (exit.signal ==
             SIGKILL) /* from outside: people, or the kernel short of memory; a crash has other signals */
        mr_fail(ret_error, MR_EUNAVAILABLE, "killed by signal %d (%s)", exit.signal, strsignal(exit.signal));
    else if (exit.signal != 0)
        mr_fail(ret_error, MR_EBUG, "killed by signal %d (%s)", exit.signal, strsignal(exit.signal));
    else
        mr_fail(ret_error, MR_EBUG, "exited with code %d without a last word", exit.code);
}

/* Entries that waited for this task's process; and room for a newer epoch of it. */
static void unblock(supervisor *s, const Mr__Proto__TaskId *id)
{
    for (supervised *task = s->tasks; task != NULL; task = task->next)
        if (task->blocked && mr_task_id_equal(task->assignment->id, id))
            task->blocked = false;
}

static void conclude(supervisor *s, supervised *task, task_exit exit, int64_t now_ms)
{
    Mr__Proto__TaskState last_word = task->said_last_word ? task->last->state : STATE(UNASSIGNED);
    bool told = task->phase == TASK_STOPPING;
    if (task->abandoned) {
        remove_task(s, task);
    } else if (last_word == STATE(ENDED)) {
        task->failure.code = MR_OK;
        end_task(s, task, STATE(ENDED));
    } else if (last_word == STATE(FAILED)) {
        task->failure = error_of(task->last->error);
        handle_failure(s, task, now_ms);
    } else if (told && task->wanted && !s->leaving && task->assignment->kind != KIND(PROGRAM)) {
        start_task(s, task, now_ms);
    } else if (told) {
        end_task(s, task, STATE(STOPPED));
    } else {
        if (task->kill_reason.code != MR_OK)
            task->failure = task->kill_reason;
        else
            describe_exit(task, exit, &task->failure);
        handle_failure(s, task, now_ms);
    }
}

void supervisor_exited(supervisor *s, supervised *task, task_exit exit, int64_t now_ms)
{
    task->memory_bytes = 0;
    unblock(s, task->assignment->id);
    conclude(s, task, exit, now_ms);
    supervisor_tick(s, now_ms);
}

void supervisor_sampled(supervisor *s, supervised *task, uint64_t memory_bytes, bool frozen)
{
    uint64_t limit = task->assignment->memory_limit_bytes;
    task->memory_bytes = memory_bytes;
    if (task->frozen != frozen)
        note_change(s, CHANGE_STATE);
    task->frozen = frozen;
    if (limit == 0 || memory_bytes <= limit)
        return;
    mr_error reason;
    mr_fail(&reason, MR_ETOOLARGE, "memory limit %" PRIu64 " MiB exceeded", limit >> 20);
    supervisor_punish(s, task, &reason);
}

void supervisor_acked(supervisor *s, const Mr__Proto__TaskId *id, int64_t epoch)
{
    supervised *task = find_epoch(s, id, epoch);
    if (task == NULL || task->phase != TASK_OVER)
        return;
    task->acked = true;
    if (!task->wanted)
        remove_task(s, task);
}

void supervisor_tick(supervisor *s, int64_t now_ms)
{
    for (supervised *task = s->tasks; task != NULL; task = task->next) {
        if (task->due_ms > now_ms || task->blocked)
            continue;
        if (task->phase == TASK_WAITING) {
            start_task(s, task, now_ms);
        } else if (task->phase != TASK_OVER) {
            log_task(MR_WARN, "task did not end in time, it is killed", task);
            kill_task(s, task);
        }
    }
}

int64_t supervisor_next_due_ms(const supervisor *s)
{
    int64_t due_ms = INT64_MAX;
    for (const supervised *task = s->tasks; task != NULL; task = task->next)
        if (task->due_ms < due_ms && !task->blocked)
            due_ms = task->due_ms;
    return due_ms;
}

void supervisor_leave(supervisor *s, int64_t now_ms)
{
    s->leaving = true;
    for (supervised *task = s->tasks, *next; task != NULL; task = next) {
        next = task->next;
        stop_task(s, task, now_ms);
    }
    note_change(s, CHANGE_STATE);
}

void supervisor_kill_all(supervisor *s)
{
    for (supervised *task = s->tasks; task != NULL; task = task->next)
        if (task->process != NULL)
            kill_task(s, task);
}

void supervisor_abandon(supervisor *s)
{
    supervisor_kill_all(s);
    for (supervised *task = s->tasks, *next; task != NULL; task = next) {
        next = task->next;
        task->abandoned = true;
        task->wanted = false;
        if (task->process == NULL)
            remove_task(s, task);
    }
    note_change(s, CHANGE_STATE);
}

supervised *supervisor_first(const supervisor *s)
{
    return s->tasks;
}

size_t supervisor_process_count(const supervisor *s)
{
    size_t count = 0;
    for (const supervised *task = s->tasks; task != NULL; task = task->next)
        count += task->process != NULL;
    return count;
}

supervisor_change supervisor_take_change(supervisor *s)
{
    supervisor_change change = s->change;
    s->change = CHANGE_NONE;
    return change;
}
