#include "worker/children.h"

#include "core/fault.h"
#include "core/holder.h"
#include "core/log.h"
#include "proto/ids.h"
#include "worker/task_process.h"
#include "worker/task_trees.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLE_MS = 500 };

/* The process of one supervised task. */
typedef struct child {
    task_children *owner;
    supervised *task;
    task_process *process;
    uint64_t start_time;
    bool fresh; /* has not been given its assignment */
} child;

struct task_children {
    uv_loop_t *loop;
    uv_signal_t ended;
    uv_timer_t due;
    uv_timer_t sample;
    const char *task_binary;
    const char *program_user;
    orphans *record;
    supervisor *supervisor;
    children_changed changed;
    void *arg;
    mr_process_table table;
    int open_handles;
    bool stale_record;   /* the recorded processes are not those that run */
    bool record_failing; /* told once */
};

static int64_t now_ms(const task_children *c)
{
    uv_update_time(c->loop);
    return (int64_t)uv_now(c->loop);
}

static void log_child(const char *event, const child *one, const mr_error *error)
{
    char key[MR_TASK_KEY_BYTES];
    mr_log_failure(MR_ERROR, event, error, MR_STR("task", mr_task_key(one->task->assignment->id, key)),
                   MR_INT("epoch", one->task->assignment->epoch), MR_INT("pid", one->task->pid));
}

static void on_said(void *arg, Mr__Proto__TaskToWorker *packet)
{
    child *one = arg;
    mr_error error;
    Mr__Proto__TaskStatus *status = packet->status;
    packet->status = NULL;
    mr_from_task_close(&packet);
    if (supervisor_said(one->owner->supervisor, one->task, status, now_ms(one->owner), &error) != MR_OK)
        log_child("task does not keep to the protocol", one, &error);
    children_settle(one->owner);
}

static void on_broken(void *arg, const mr_error *error)
{
    child *one = arg;
    log_child("task does not keep to the protocol", one, error);
    supervisor_punish(one->owner->supervisor, one->task, error);
    children_settle(one->owner);
}

static void on_hung_up(void *arg)
{
    child *one = arg;
    supervisor_hung_up(one->owner->supervisor, one->task, now_ms(one->owner));
    children_settle(one->owner);
}

static const task_process_events process_events = {
    .said = on_said, .broken = on_broken, .hung_up = on_hung_up};

static mr_err start_child(void *arg, supervised *task, mr_error *ret_error)
{
    task_children *c = arg;
    child *one = calloc(1, sizeof *one);
    if (one == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a task");
    mr_err err = task_process_open(c->loop, c->task_binary, &process_events, one, &one->process, ret_error);
    if (err != MR_OK) {
        free(one);
        return err;
    }
    one->owner = c;
    one->task = task;
    one->fresh = true;
    task->process = one;
    task->pid = task_process_pid(one->process);
    one->start_time = mr_process_start_time(task->pid);
    c->stale_record = true;
    MR_FAULT("worker_task_spawned");
    return MR_OK;
}

/* What only this worker knows is added: whom a program runs as. */
static mr_err assign(const task_children *c, const child *one, mr_error *ret_error)
{
    Mr__Proto__Assignment with = *one->task->assignment;
    if (c->program_user == NULL || with.kind != MR__PROTO__TASK_KIND__PROGRAM)
        return task_process_assign(one->process, &with, ret_error);
    Mr__Proto__Property user = MR__PROTO__PROPERTY__INIT,
                        **config = calloc(with.n_config + 1, sizeof *config);
    if (config == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a task");
    if (with.n_config > 0)
        memcpy(config, with.config, with.n_config * sizeof *config);
    user.key = (char *)"program.user";
    user.value = (char *)c->program_user;
    config[with.n_config++] = &user;
    with.config = config;
    mr_err err = task_process_assign(one->process, &with, ret_error);
    free(config);
    return err;
}

static void update_child(void *arg, supervised *task)
{
    task_children *c = arg;
    child *one = task->process;
    mr_error error;
    if (one->fresh) /* gets the latest when it has been recorded */
        return;
    if (assign(c, one, &error) != MR_OK)
        supervisor_punish(c->supervisor, task, &error);
}

static void stop_child(void *arg, supervised *task)
{
    (void)arg;
    child *one = task->process;
    task_process_stop(one->process);
    MR_FAULT("worker_stop_sent");
}

static void kill_child(void *arg, supervised *task)
{
    (void)arg;
    child *one = task->process;
    task_process_kill(one->process);
}

static const supervisor_ops ops = {
    .start = start_child, .update = update_child, .stop = stop_child, .kill = kill_child};

static void close_child(task_children *c, supervised *task)
{
    child *one = task->process;
    task_process_close(&one->process);
    free(one);
    task->process = NULL;
    task->pid = 0;
    c->stale_record = true;
}

static supervised *find_pid(const task_children *c, int pid)
{
    for (supervised *task = supervisor_first(c->supervisor); task != NULL; task = task->next)
        if (task->process != NULL && task->pid == pid)
            return task;
    return NULL;
}

static void conclude_child(task_children *c, supervised *task, const siginfo_t *info)
{
    task_exit exit = {0};
    if (info->si_code == CLD_EXITED)
        exit.code = info->si_status;
    else
        exit.signal = info->si_status;
    close_child(c, task);
    supervisor_exited(c->supervisor, task, exit, now_ms(c));
    MR_FAULT("worker_task_ended");
}

/* The trees of all tasks that run; *ret_count of them, NULL when there are none or memory is short. */
static task_tree *list_trees(const task_children *c, size_t *ret_count)
{
    size_t count = 0, capacity = supervisor_process_count(c->supervisor);
    task_tree *trees = capacity == 0 ? NULL : calloc(capacity, sizeof *trees);
    for (supervised *task = supervisor_first(c->supervisor); trees != NULL && task != NULL; task = task->next)
        if (task->process != NULL)
            trees[count++] = (task_tree){.pid = task->pid, .task = task};
    *ret_count = count;
    return trees;
}

/* A look at all processes: ends strays, and with `measure` tells the supervisor what the tasks take. */
static void survey(task_children *c, bool measure)
{
    size_t count;
    mr_error error;
    if (mr_process_table_read(&c->table, &error) != MR_OK) {
        mr_log_failure(MR_WARN, "processes cannot be measured", &error);
        return;
    }
    task_tree *trees = list_trees(c, &count);
    if (trees == NULL && supervisor_process_count(c->supervisor) > 0)
        return;
    task_trees_measure(&c->table, getpid(), trees, count);
    size_t killed = task_trees_kill_strays(&c->table, trees, count);
    if (killed > 0)
        mr_log(MR_WARN, "processes that tasks left behind are killed", MR_INT("processes", killed));
    for (size_t i = 0; measure && i < count; i++)
        supervisor_sampled(c->supervisor, trees[i].task, trees[i].memory_bytes, trees[i].frozen);
    free(trees);
}

/* Waits for all that ended: tasks, and what they left to us. A task's last word may still be in its socket.
 */
static bool reap(task_children *c)
{
    bool reaped = false;
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return reaped;
        supervised *task = find_pid(c, info.si_pid);
        if (task != NULL)
            task_process_drain(((child *)task->process)->process);
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
        if (task != NULL)
            conclude_child(c, task, &info);
        reaped = true;
    }
}

static void on_ended(uv_signal_t *signal, int number)
{
    task_children *c = signal->data;
    (void)number;
    if (reap(c)) {
        survey(c, false);
        children_settle(c);
    }
}

static void on_due(uv_timer_t *timer)
{
    task_children *c = timer->data;
    supervisor_tick(c->supervisor, now_ms(c));
    children_settle(c);
}

static void on_sample(uv_timer_t *timer)
{
    task_children *c = timer->data;
    survey(c, true);
    children_settle(c);
}

static void record_children(task_children *c)
{
    size_t count = 0, capacity = supervisor_process_count(c->supervisor);
    mr_error error;
    task_record *records = calloc(capacity + 1, sizeof *records);
    if (records == NULL)
        return;
    for (const supervised *task = supervisor_first(c->supervisor); task != NULL; task = task->next) {
        const child *one = task->process;
        if (one != NULL)
            records[count++] = (task_record){.pid = task->pid, .start_time = one->start_time};
    }
    c->stale_record =
        orphans_record(c->record, records, count, &error) != MR_OK; /* tried again with the next sample */
    if (c->stale_record && !c->record_failing)
        mr_log_failure(MR_ERROR,
                       "running tasks cannot be recorded: should this worker be killed, they may be missed",
                       &error);
    c->record_failing = c->stale_record;
    free(records);
}

static void assign_fresh_children(task_children *c)
{
    mr_error error;
    for (supervised *task = supervisor_first(c->supervisor); task != NULL; task = task->next) {
        child *one = task->process;
        if (one == NULL || !one->fresh)
            continue;
        one->fresh = false;
        if (assign(c, one, &error) != MR_OK)
            supervisor_punish(c->supervisor, task, &error);
        MR_FAULT("worker_assignment_sent");
    }
}

static void arm_timers(task_children *c)
{
    int64_t due_ms = supervisor_next_due_ms(c->supervisor), now = now_ms(c);
    if (due_ms == INT64_MAX)
        uv_timer_stop(&c->due);
    else
        uv_timer_start(&c->due, on_due, due_ms > now ? (uint64_t)(due_ms - now) : 0, 0);
    if (supervisor_process_count(c->supervisor) == 0)
        uv_timer_stop(&c->sample);
    else if (!uv_is_active((uv_handle_t *)&c->sample))
        uv_timer_start(&c->sample, on_sample, SAMPLE_MS, SAMPLE_MS);
}

void children_settle(task_children *c)
{
    if (c->stale_record)
        record_children(c);
    assign_fresh_children(c);
    arm_timers(c);
    supervisor_change change = supervisor_take_change(c->supervisor);
    if (change != CHANGE_NONE)
        c->changed(c->arg, change);
}

supervisor *children_supervisor(const task_children *c)
{
    return c->supervisor;
}

mr_err children_open(uv_loop_t *loop, const char *task_binary, const char *program_user, orphans *record,
                     uint64_t seed, children_changed changed, void *arg, task_children **ret_children,
                     mr_error *ret_error)
{
    task_children *c = calloc(1, sizeof *c);
    if (c == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    *c = (task_children){.loop = loop,
                         .task_binary = task_binary,
                         .program_user = program_user,
                         .record = record,
                         .changed = changed,
                         .arg = arg,
                         .open_handles = 3};
    if (supervisor_open(&ops, c, seed, &c->supervisor) != MR_OK) {
        free(c);
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    }
    uv_timer_init(loop, &c->due);
    uv_timer_init(loop, &c->sample);
    uv_signal_init(loop, &c->ended);
    c->due.data = c->sample.data = c->ended.data = c;
    uv_signal_start(&c->ended, on_ended, SIGCHLD);
    *ret_children = c;
    return MR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    task_children *c = handle->data;
    if (--c->open_handles == 0)
        free(c);
}

/* Everything below us is killed: at the end no task is left, so all that remains are strays. */
static void end_all(task_children *c)
{
    mr_error error;
    for (supervised *task = supervisor_first(c->supervisor); task != NULL; task = task->next) {
        if (task->process == NULL)
            continue;
        kill_child(c, task);
        close_child(c, task);
    }
    while (mr_process_table_read(&c->table, &error) == MR_OK &&
           task_trees_kill_strays(&c->table, NULL, 0) > 0)
        while (waitpid(-1, NULL, 0) > 0)
            ;
    record_children(c);
}

void children_close(task_children **children_handle)
{
    task_children *c = *children_handle;
    if (c == NULL)
        return;
    end_all(c);
    supervisor_close(&c->supervisor);
    mr_process_table_fini(&c->table);
    uv_close((uv_handle_t *)&c->due, on_closed);
    uv_close((uv_handle_t *)&c->sample, on_closed);
    uv_close((uv_handle_t *)&c->ended, on_closed);
    *children_handle = NULL;
}
