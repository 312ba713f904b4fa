/* workers.c - who is there (R8). A broken connection is not a death, silence is; a new incarnation owns
 * nothing. */
#include "coordinator/drive.h"
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 1000 };

enum { RECONNECT_MS = 300, SILENCE_MS = 3000, FORGET_MS = 24 * 3600 * 1000 };

static const char *const state_names[] = {"alive", "silent", "lost", "leaving"};

mr_worker *mr_worker_find(mr_service *service, const char *incarnation)
{
    return mr_name_map_get(&service->incarnations, incarnation);
}

static void set_state(mr_service *service, mr_worker *worker, mr_worker_state state)
{
    if (worker->state == state)
        return;
    mr_log(state == WORKER_LOST || state == WORKER_SILENT ? MR_WARN : MR_INFO, "worker state changed",
           MR_STR("worker", worker->name), MR_STR("state", state_names[state]),
           MR_STR("incarnation", worker->incarnation));
    worker->state = state;
    worker->since_ms = service->now_ms;
    service->place = true;
    service->events++;
}

/* --- what happens to a worker --- */

static mr_err begin_life(mr_service *service, mr_worker *worker, const char *incarnation, mr_error *ret_error)
{
    if (mr_worker_find(service, incarnation) != NULL)
        return mr_fail(ret_error, MR_EREFUSED, "incarnation %s is another worker's", incarnation);
    if (worker->incarnation[0] != '\0')
        mr_name_map_remove(&service->incarnations, worker->incarnation);
    memcpy(worker->former, worker->incarnation, sizeof worker->former);
    snprintf(worker->incarnation, sizeof worker->incarnation, "%s", incarnation);
    if (mr_name_map_put(&service->incarnations, worker->incarnation, worker) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "workers: out of memory");
    return MR_OK;
}

/* A worker that started before the staging folder was there finds it later. */
static void note_capacity(mr_service *service, mr_worker *worker, const Mr__Proto__Report *report)
{
    if (strcmp(worker->staging_id, report->staging_id) == 0 && worker->cpu_millis == report->cpu_millis &&
        worker->memory_bytes == report->memory_bytes)
        return;
    snprintf(worker->staging_id, sizeof worker->staging_id, "%s", report->staging_id);
    worker->cpu_millis = report->cpu_millis;
    worker->memory_bytes = report->memory_bytes;
    service->place = true;
    if (worker->staging_id[0] != '\0' && strcmp(worker->staging_id, mr_staging_id(service->staging)) != 0)
        mr_log(MR_WARN, "worker sees another staging folder: it gets no tasks",
               MR_STR("worker", worker->name));
}

static bool gone(const mr_worker *worker)
{
    return worker->state == WORKER_LOST || worker->state == WORKER_SILENT;
}

static void forget(mr_service *service, mr_worker *worker)
{
    mr_name_map_remove(&service->workers, worker->name);
    mr_name_map_remove(&service->incarnations, worker->incarnation);
    free(worker);
}

/* For one more worker: the one that is gone for longest is forgotten. */
static mr_err make_room(mr_service *service, mr_error *ret_error)
{
    mr_worker *worker, *oldest = NULL;
    if (service->workers.count < WORKERS_MAX)
        return MR_OK;
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;)
        if (gone(worker) && (oldest == NULL || worker->since_ms < oldest->since_ms))
            oldest = worker;
    if (oldest == NULL)
        return mr_fail(ret_error, MR_EREFUSED, "there are %d workers already", WORKERS_MAX);
    forget(service, oldest);
    return MR_OK;
}

/* One that is connected and reports is not replaced by another of its name. */
static bool lives(const mr_service *service, const mr_worker *worker)
{
    return worker->state == WORKER_ALIVE && worker->disconnected_ms == 0 &&
           service->now_ms - worker->last_report_ms < SILENCE_MS;
}

mr_err mr_worker_report(mr_service *service, const Mr__Proto__Report *report, bool *ret_new,
                        mr_error *ret_error)
{
    mr_worker *worker = mr_name_map_get(&service->workers, report->worker);
    bool new_one = worker == NULL || strcmp(worker->incarnation, report->incarnation) != 0;
    if (worker == NULL) {
        mr_err err = make_room(service, ret_error);
        if (err != MR_OK)
            return err;
        worker = calloc(1, sizeof *worker);
        if (worker == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "workers: out of memory");
        snprintf(worker->name, sizeof worker->name, "%s", report->worker);
        if (mr_name_map_put(&service->workers, worker->name, worker) != MR_OK) {
            free(worker);
            return mr_fail(ret_error, MR_ENOMEM, "workers: out of memory");
        }
    } else if (new_one && strcmp(worker->former, report->incarnation) == 0) {
        return mr_fail(ret_error, MR_EREFUSED,
                       MR_REFUSED_REPLACED ": %s of worker %s by a newer one: stop it, or give "
                                           "each worker a name of its own",
                       report->incarnation, report->worker);
    } else if (new_one && lives(service, worker)) {
        return mr_fail(ret_error, MR_EREFUSED,
                       "worker %s is alive already, as incarnation %s: give each worker a name of its own",
                       report->worker, worker->incarnation);
    }
    if (new_one) {
        mr_err err = begin_life(service, worker, report->incarnation, ret_error);
        if (err != MR_OK)
            return err;
        worker->desired_version = ++service->desired_version;
        worker->since_ms = service->now_ms;
        service->place = true;
        mr_log(MR_INFO, "worker reports", MR_STR("worker", worker->name),
               MR_STR("incarnation", worker->incarnation), MR_STR("version", report->version));
    }
    note_capacity(service, worker, report);
    snprintf(worker->host, sizeof worker->host, "%s", report->host);
    snprintf(worker->version, sizeof worker->version, "%s", report->version);
    worker->pid = report->pid;
    worker->pid_start_time = report->pid_start_time;
    worker->last_report_ms = service->now_ms;
    worker->disconnected_ms = 0;
    worker->leaving = report->leaving;
    set_state(service, worker, report->leaving ? WORKER_LEAVING : WORKER_ALIVE);
    mr_wake_at(service, service->now_ms + SILENCE_MS);
    *ret_new = new_one;
    return MR_OK;
}

void mr_service_heard(mr_service *service, const char *incarnation)
{
    mr_worker *worker = mr_worker_find(service, incarnation);
    if (worker != NULL && worker->disconnected_ms != 0) {
        worker->disconnected_ms = 0;
        service->place = true;
    }
}

void mr_service_disconnected(mr_service *service, const char *incarnation)
{
    mr_worker *worker = mr_worker_find(service, incarnation);
    if (worker == NULL || worker->disconnected_ms != 0)
        return;
    worker->disconnected_ms = service->now_ms;
    service->events++;
    mr_wake_at(service, service->now_ms + RECONNECT_MS);
}

void mr_service_died(mr_service *service, const char *incarnation)
{
    mr_worker *worker = mr_worker_find(service, incarnation);
    if (worker != NULL)
        set_state(service, worker, WORKER_LOST);
}

bool mr_service_worker_pid(mr_service *service, const char *incarnation, const char *boot_id, int *ret_pid,
                           uint64_t *ret_start_time)
{
    const mr_worker *worker = mr_worker_find(service, incarnation);
    if (worker == NULL || strcmp(worker->host, boot_id) != 0 || worker->pid <= 1 || worker->pid > INT32_MAX)
        return false;
    *ret_pid = (int)worker->pid;
    *ret_start_time = worker->pid_start_time;
    return true;
}

/* --- time passes --- */

/* One that left in order, and whose tasks were given away, is not missed. */
static bool left(const mr_worker *worker)
{
    return worker->leaving && gone(worker);
}

static void check_one(mr_service *service, mr_worker *worker)
{
    if (gone(worker))
        return;
    int64_t silent_ms = worker->last_report_ms + SILENCE_MS;
    int64_t gone_ms = worker->disconnected_ms != 0 ? worker->disconnected_ms + RECONNECT_MS : INT64_MAX;
    if (gone_ms <= service->now_ms || silent_ms <= service->now_ms) {
        set_state(service, worker, gone_ms <= service->now_ms ? WORKER_LOST : WORKER_SILENT);
        return;
    }
    mr_wake_at(service, silent_ms < gone_ms ? silent_ms : gone_ms);
}

void mr_workers_excuse(mr_service *service, int64_t late_ms)
{
    mr_worker *worker;
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;) {
        worker->last_report_ms += late_ms;
        if (worker->disconnected_ms != 0)
            worker->disconnected_ms += late_ms;
    }
}

void mr_workers_check(mr_service *service)
{
    mr_worker *worker, *old = NULL;
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;) {
        check_one(service, worker);
        if (left(worker) || (gone(worker) && worker->since_ms + FORGET_MS < service->now_ms))
            old = worker;
    }
    if (old != NULL)
        forget(service, old);
}

/* --- its tasks --- */

typedef struct release_plan {
    mr_task **tasks;
    mr_task_state *states; /* WAITING: again; STOPPING: to be stopped; FAILED stands for gone */
    size_t count;
} release_plan;

static mr_err execute_release(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const release_plan *release = arg;
    (void)ret_answer, (void)ret_error;
    for (size_t i = 0; i < release->count; i++) {
        mr_task next = *release->tasks[i];
        if (release->states[i] == TASK_FAILED) {
            mr_task_erase(db, &next); /* what it said last will never be known */
            continue;
        }
        next.state = release->states[i];
        next.retry_ms = 0;
        if (next.state == TASK_WAITING)
            next.incarnation[0] = '\0';
        mr_task_store(db, &next);
    }
    return MR_OK;
}

/* What is to become of the task; its own state when nothing changes. */
static mr_task_state fate(mr_service *service, const mr_task *task)
{
    if (task->state != TASK_ASSIGNED && task->state != TASK_STOPPING)
        return task->state;
    const mr_worker *worker = mr_name_map_get(&service->workers, task->worker);
    bool replaced = worker != NULL && strcmp(worker->incarnation, task->incarnation) != 0;
    bool lost = worker == NULL || gone(worker);
    int64_t grace_end_ms = service->started_ms + service->config.worker_grace_ms;
    if (lost && !replaced && service->now_ms < grace_end_ms) {
        mr_wake_at(service, grace_end_ms);
        return task->state;
    }
    if (lost || replaced)
        return task->state == TASK_STOPPING ? TASK_FAILED : TASK_WAITING;
    return worker->state == WORKER_LEAVING ? TASK_STOPPING : task->state;
}

static void take_fates(mr_service *service, release_plan *release)
{
    for (size_t i = 0; i < release->count; i++) {
        mr_task *task = release->tasks[i];
        mr_desired_changed(service, task->worker);
        mr_mark_dirty(service, task->tenant);
        if (release->states[i] == TASK_FAILED) {
            mr_task_drop(service, task);
            continue;
        }
        task->state = release->states[i];
        task->retry_ms = 0;
        if (task->state == TASK_WAITING)
            task->incarnation[0] = '\0';
        service->place = true;
    }
}

mr_err mr_workers_release_lost(mr_service *service, mr_error *ret_error)
{
    release_plan release = {.tasks = calloc(service->tasks.count + 1, sizeof *release.tasks),
                            .states = calloc(service->tasks.count + 1, sizeof *release.states)};
    mr_err err = MR_OK;
    if (release.tasks == NULL || release.states == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "workers: out of memory");
    mr_task *task;
    for (size_t at = 0; err == MR_OK && (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        mr_task_state state = fate(service, task);
        if (state == task->state)
            continue;
        release.tasks[release.count] = task;
        release.states[release.count++] = state;
    }
    if (release.count > 0)
        err = mr_apply(service, "release_tasks", NULL, NULL, execute_release, &release, NULL, ret_error);
    if (release.count > 0 && err == MR_OK)
        take_fates(service, &release);
    free(release.tasks);
    free(release.states);
    return err;
}

/* --- view --- */

mr_err mr_service_list_workers(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    (void)ret_error;
    json_t *view = json_array();
    mr_worker *worker;
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;) {
        json_int_t tasks = 0;
        mr_task *task;
        for (size_t t = 0; (task = mr_name_map_next(&service->tasks, &t)) != NULL;)
            tasks += strcmp(task->incarnation, worker->incarnation) == 0 && task->state != TASK_WAITING;
        json_array_append_new(
            view, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "worker", worker->name, "state",
                            state_names[worker->state], "incarnation", worker->incarnation, "version",
                            worker->version, "cpu_millis", (json_int_t)worker->cpu_millis, "memory_bytes",
                            (json_int_t)worker->memory_bytes, "tasks", tasks, "last_report_ms_ago",
                            (json_int_t)(service->now_ms - worker->last_report_ms), "since",
                            mr_json_time(worker->since_ms)));
    }
    *ret_view = view;
    return MR_OK;
}
