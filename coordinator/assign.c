/* assign.c - gives waiting tasks to workers, each with the next epoch, in one transaction; tells what should
 * run where. */
#include "coordinator/drive.h"
#include "coordinator/placement.h"
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct placement_pass {
    mr_service *service;
    mr_worker **workers;
    mr_place_worker *places;
    size_t worker_count;
    mr_task **tasks;
    mr_place_task *needs;
    int64_t *epochs;
    size_t task_count;
} placement_pass;

static void count_used(placement_pass *placing)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&placing->service->tasks, &at)) != NULL;) {
        if (task->state != TASK_ASSIGNED && task->state != TASK_STOPPING)
            continue;
        for (size_t i = 0; i < placing->worker_count; i++) {
            mr_place_worker *place = &placing->places[i];
            if (strcmp(place->name, task->worker) != 0)
                continue;
            place->used_cpu_millis += task->request_cpu_millis;
            place->used_memory_bytes += task->request_memory_bytes;
            place->used_message_bytes += task->assignment_bytes;
            place->tasks++;
        }
    }
}

static void list_workers(placement_pass *placing)
{
    mr_service *service = placing->service;
    mr_worker *worker;
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;) {
        placing->workers[placing->worker_count] = worker;
        placing->places[placing->worker_count++] = (mr_place_worker){
            .name = worker->name,
            .eligible = worker->state == WORKER_ALIVE && worker->disconnected_ms == 0 &&
                        strcmp(worker->staging_id, mr_staging_id(service->staging)) == 0,
            .cpu_millis = worker->cpu_millis,
            .memory_bytes = worker->memory_bytes,
        };
    }
}

/* What brings begun runs to their end goes before new programs; else first come, first served. */
static int compare_waiting(const void *a, const void *b)
{
    const mr_task *x = *(const mr_task *const *)a, *y = *(const mr_task *const *)b;
    bool x_new = x->kind == MR__PROTO__TASK_KIND__PROGRAM, y_new = y->kind == MR__PROTO__TASK_KIND__PROGRAM;
    if (x_new != y_new)
        return x_new ? 1 : -1;
    return x->arrival < y->arrival ? -1 : x->arrival > y->arrival;
}

static void list_tasks(placement_pass *placing)
{
    mr_service *service = placing->service;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->state != TASK_WAITING || task->assignment == NULL)
            continue;
        if (task->retry_ms > service->now_ms) {
            mr_wake_at(service, task->retry_ms);
            continue;
        }
        placing->tasks[placing->task_count++] = task;
    }
    if (placing->task_count > 0)
        qsort(placing->tasks, placing->task_count, sizeof *placing->tasks, compare_waiting);
    for (size_t i = 0; i < placing->task_count; i++) {
        task = placing->tasks[i];
        placing->needs[i] = (mr_place_task){
            .last_worker = task->worker,
            .cpu_millis = task->request_cpu_millis,
            .memory_bytes = task->request_memory_bytes,
            .message_bytes = task->assignment_bytes,
        };
    }
}

/* Sinks that linger without work make room for those that wait. */
static void note_crowd(placement_pass *placing, size_t placed)
{
    mr_service *service = placing->service;
    mr_task *task;
    service->crowded = placed < placing->task_count;
    for (size_t at = 0; service->crowded && (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->state == TASK_ASSIGNED && task->idle_since_ms != 0)
            mr_mark_dirty(service, task->tenant);
    }
}

static mr_err execute_assign(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    placement_pass *placing = arg;
    (void)ret_answer, (void)ret_error;
    for (size_t i = 0; i < placing->task_count; i++) {
        if (placing->needs[i].choice < 0)
            continue;
        const mr_task *task = placing->tasks[i];
        const mr_worker *worker = placing->workers[placing->needs[i].choice];
        /* A run's program may come back under another connector of its kind: no two attempts share an epoch.
         */
        const char *counted = task->kind == MR__PROTO__TASK_KIND__PROGRAM ? "program" : task->connector;
        placing->epochs[i] =
            mr_db_int(db, 0,
                      "INSERT INTO epochs(tenant, connector, task, epoch) VALUES(?, ?, ?, 1) ON CONFLICT"
                      " DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                      "tti", task->tenant, counted, (int64_t)task->number);
        mr_db_run(
            db,
            "UPDATE tasks SET state = 'ASSIGNED', epoch = ?, worker = ?, incarnation = ?, error = '' WHERE"
            " tenant = ? AND connector = ? AND task = ?",
            "itttti", placing->epochs[i], worker->name, worker->incarnation, task->tenant, task->connector,
            (int64_t)task->number);
        if (task->kind == MR__PROTO__TASK_KIND__SOURCE)
            mr_db_run(db, "UPDATE run_datasets SET given_out = 1 WHERE run_uid = ? AND dataset = ?", "tt",
                      task->run_uid, task->dataset);
    }
    return MR_OK;
}

static void take_over(placement_pass *placing)
{
    for (size_t i = 0; i < placing->task_count; i++) {
        mr_task *task = placing->tasks[i];
        if (placing->needs[i].choice < 0)
            continue;
        const mr_worker *worker = placing->workers[placing->needs[i].choice];
        task->state = TASK_ASSIGNED;
        task->epoch = placing->epochs[i];
        task->error[0] = '\0';
        task->idle_since_ms = 0;
        memcpy(task->worker, worker->name, sizeof task->worker);
        memcpy(task->incarnation, worker->incarnation, sizeof task->incarnation);
        mr_status_close(&task->status);
        task->unflushed = false;
        mr_desired_changed(placing->service, task->worker);
        mr_log(placing->needs[i].clamped ? MR_WARN : MR_INFO,
               placing->needs[i].clamped ? "task assigned; it asks for more than any worker has"
                                         : "task assigned",
               MR_STR("tenant", task->tenant), MR_STR("connector", task->connector),
               MR_INT("task", task->number), MR_INT("epoch", task->epoch), MR_STR("worker", task->worker));
    }
}

mr_err mr_place_tasks(mr_service *service, mr_error *ret_error)
{
    mr_err err = MR_OK;
    size_t tasks = service->tasks.count + 1, workers = service->workers.count + 1;
    placement_pass placing = {
        .service = service,
        .workers = calloc(workers, sizeof *placing.workers),
        .places = calloc(workers, sizeof *placing.places),
        .tasks = calloc(tasks, sizeof *placing.tasks),
        .needs = calloc(tasks, sizeof *placing.needs),
        .epochs = calloc(tasks, sizeof *placing.epochs),
    };
    size_t placed = 0;
    if (placing.workers == NULL || placing.places == NULL || placing.tasks == NULL || placing.needs == NULL ||
        placing.epochs == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "placement: out of memory");
    if (err == MR_OK) {
        list_workers(&placing);
        list_tasks(&placing);
        count_used(&placing);
        mr_place(placing.places, placing.worker_count, placing.needs, placing.task_count);
        for (size_t i = 0; i < placing.task_count; i++)
            placed += placing.needs[i].choice >= 0;
        note_crowd(&placing, placed);
    }
    if (placed > 0)
        err = mr_apply(service, "assign", NULL, NULL, execute_assign, &placing, NULL, ret_error);
    if (placed > 0 && err == MR_OK) {
        MR_FAULT("assignment_recorded");
        take_over(&placing);
    }
    free(placing.workers);
    free(placing.places);
    free(placing.tasks);
    free(placing.needs);
    free(placing.epochs);
    return err;
}

/* --- what should run on a worker --- */

void mr_desired_changed(mr_service *service, const char *worker)
{
    mr_worker *entry = mr_name_map_get(&service->workers, worker);
    if (entry != NULL)
        entry->desired_version = ++service->desired_version;
}

uint64_t mr_service_desired_version(mr_service *service, const char *incarnation)
{
    const mr_worker *worker = mr_worker_find(service, incarnation);
    return worker != NULL ? worker->desired_version : 0;
}

mr_err mr_service_desired(mr_service *service, const char *incarnation, mr_buf *out, mr_error *ret_error)
{
    const mr_worker *worker = mr_worker_find(service, incarnation);
    if (worker == NULL)
        return mr_fail(ret_error, MR_ENOTFOUND, "incarnation %s is not known: report first", incarnation);
    Mr__Proto__Assignments assignments = MR__PROTO__ASSIGNMENTS__INIT;
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    assignments.version = worker->desired_version;
    assignments.assignments = calloc(service->tasks.count + 1, sizeof *assignments.assignments);
    if (assignments.assignments == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "assignments: out of memory");
    mr_err err = MR_OK;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->state != TASK_ASSIGNED || strcmp(task->incarnation, incarnation) != 0)
            continue;
        if (task->assignment == NULL) { /* an incomplete answer would stop what runs */
            err = mr_fail(ret_error, MR_EUNAVAILABLE, "%s is not planned yet", task->key);
            break;
        }
        task->assignment->epoch = task->epoch;
        task->assignment->revision = task->revision;
        assignments.assignments[assignments.n_assignments++] = task->assignment;
    }
    reply.protocol = MR_PROTOCOL;
    reply.assignments = &assignments;
    if (err == MR_OK)
        err = mr_reply_pack(&reply, out, ret_error);
    free(assignments.assignments);
    return err;
}
