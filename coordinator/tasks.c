/* tasks.c - the tasks that are wanted or stopping: rows of `tasks`, mirrored in memory. A row is written
 * before memory changes, so that memory never knows more than a restart would. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {"WAITING", "ASSIGNED", "STOPPING", "FAILED"};

/* --- memory --- */

static void set_key(mr_task *task)
{
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    id.tenant = task->tenant;
    id.connector = task->connector;
    id.task = task->number;
    mr_task_key(&id, task->key);
}

mr_task *mr_task_find(mr_service *service, const char *tenant, const char *connector)
{
    char key[MR_TASK_KEY_BYTES];
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    id.tenant = (char *)tenant;
    id.connector = (char *)connector;
    return mr_name_map_get(&service->tasks, mr_task_key(&id, key));
}

static mr_err keep(mr_service *service, mr_task *task, mr_error *ret_error)
{
    set_key(task);
    task->arrival = ++service->arrivals;
    if (mr_name_map_put(&service->tasks, task->key, task) == MR_OK)
        return MR_OK;
    free(task);
    return mr_fail(ret_error, MR_ENOMEM, "tasks: out of memory");
}

static void close_task(mr_task *task)
{
    mr_assignment_close(&task->assignment);
    mr_status_close(&task->status);
    free(task);
}

void mr_task_drop(mr_service *service, mr_task *task)
{
    mr_name_map_remove(&service->tasks, task->key);
    mr_desired_changed(service, task->worker);
    mr_mark_dirty(service, task->tenant);
    service->place = true; /* there is room for others */
    close_task(task);
}

void mr_tasks_close(mr_service *service)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;)
        close_task(task);
    mr_name_map_fini(&service->tasks);
}

mr_err mr_tasks_load(mr_service *service, mr_error *ret_error)
{
    mr_err err = MR_OK;
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT tenant, connector, dataset, sink, run_uid, worker, incarnation, error, task,"
                     " kind, epoch, revision, config_digest, scope_digest, retry_ms, state FROM tasks",
                     "");
    while (err == MR_OK && mr_query_next(query)) {
        mr_task *task = calloc(1, sizeof *task);
        if (task == NULL) {
            mr_query_end(query);
            return mr_fail(ret_error, MR_ENOMEM, "tasks: out of memory");
        }
        snprintf(task->tenant, sizeof task->tenant, "%s", mr_query_text(query, 0));
        snprintf(task->connector, sizeof task->connector, "%s", mr_query_text(query, 1));
        snprintf(task->dataset, sizeof task->dataset, "%s", mr_query_text(query, 2));
        snprintf(task->sink, sizeof task->sink, "%s", mr_query_text(query, 3));
        snprintf(task->run_uid, sizeof task->run_uid, "%s", mr_query_text(query, 4));
        snprintf(task->worker, sizeof task->worker, "%s", mr_query_text(query, 5));
        snprintf(task->incarnation, sizeof task->incarnation, "%s", mr_query_text(query, 6));
        snprintf(task->error, sizeof task->error, "%s", mr_query_text(query, 7));
        task->number = (int32_t)mr_query_int(query, 8);
        task->kind = (Mr__Proto__TaskKind)mr_query_int(query, 9);
        task->epoch = mr_query_int(query, 10);
        task->revision = (uint64_t)mr_query_int(query, 11);
        task->config_digest = mr_query_int(query, 12);
        task->scope_digest = mr_query_int(query, 13);
        task->retry_ms = mr_query_int(query, 14);
        while (task->state < TASK_FAILED && strcmp(state_names[task->state], mr_query_text(query, 15)) != 0)
            task->state++;
        err = keep(service, task, ret_error);
    }
    if (err != MR_OK)
        mr_query_end(query);
    return err != MR_OK ? err : mr_db_take_error(service->db, ret_error);
}

bool mr_tenant_has_tasks(mr_service *service, const char *tenant)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (strcmp(task->tenant, tenant) == 0)
            return true;
    }
    return false;
}

void mr_program_connector(mr_service *service, const char *tenant, const char *run_uid, char *out,
                          size_t size)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->kind == MR__PROTO__TASK_KIND__PROGRAM && strcmp(task->tenant, tenant) == 0 &&
            strcmp(task->run_uid, run_uid) == 0) {
            snprintf(out, size, "%s", task->connector);
            return;
        }
    }
    snprintf(out, size, "program");
    for (int number = 2; mr_task_find(service, tenant, out) != NULL; number++)
        snprintf(out, size, "program.%d", number);
}

size_t mr_run_tasks(mr_service *service, const char *tenant, const char *run_uid)
{
    size_t count = 0;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;)
        count += strcmp(task->tenant, tenant) == 0 && strcmp(task->run_uid, run_uid) == 0;
    return count;
}

/* --- rows --- */

void mr_task_store(mr_db *db, const mr_task *task)
{
    mr_db_run(db,
              "INSERT OR REPLACE INTO tasks(tenant, connector, task, kind, dataset, sink, run_uid, state, "
              "epoch, revision,"
              " config_digest, scope_digest, worker, incarnation, error, retry_ms)"
              " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
              "ttiitttt"
              "iiii"
              "ttti",
              task->tenant, task->connector, (int64_t)task->number, (int64_t)task->kind, task->dataset,
              task->sink, task->run_uid, state_names[task->state], task->epoch, (int64_t)task->revision,
              task->config_digest, task->scope_digest, task->worker, task->incarnation, task->error,
              task->retry_ms);
}

void mr_task_erase(mr_db *db, const mr_task *task)
{
    mr_db_run(db, "DELETE FROM tasks WHERE tenant = ? AND connector = ? AND task = ?", "tti", task->tenant,
              task->connector, (int64_t)task->number);
}

static mr_err execute_store(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)ret_answer, (void)ret_error;
    mr_task_store(db, arg);
    return MR_OK;
}

/* The row, then memory. `next` is a changed copy of *task. */
static mr_err change(mr_service *service, mr_task *task, const mr_task *next, mr_error *ret_error)
{
    mr_err err = mr_apply(service, "change_task", NULL, NULL, execute_store, (void *)next, NULL, ret_error);
    if (err != MR_OK)
        return err;
    char worker[NAME_BYTES];
    snprintf(worker, sizeof worker, "%s", task->worker);
    *task = *next;
    mr_desired_changed(service, worker);
    return MR_OK;
}

static mr_err execute_erase(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)ret_answer, (void)ret_error;
    mr_task_erase(db, arg);
    return MR_OK;
}

mr_err mr_task_remove(mr_service *service, mr_task *task, mr_error *ret_error)
{
    mr_err err = mr_apply(service, "remove_task", NULL, NULL, execute_erase, task, NULL, ret_error);
    if (err == MR_OK)
        mr_task_drop(service, task);
    return err;
}

/* --- the plan meets what is --- */

static int64_t digest(const uint8_t *bytes, size_t size, int64_t seed)
{
    uint64_t hash =
        (uint64_t)seed ^ 1469598103934665603u; /* FNV-1a: not against attackers, against restarts */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return (int64_t)hash;
}

static int64_t config_digest(const Mr__Proto__Assignment *assignment)
{
    int64_t sum = (int64_t)(assignment->memory_limit_bytes ^ (uint64_t)assignment->cpu_millis << 32);
    for (size_t i = 0; i < assignment->n_config; i++) {
        const Mr__Proto__Property *property = assignment->config[i];
        sum = digest((const uint8_t *)property->key, strlen(property->key) + 1, sum);
        sum = digest((const uint8_t *)property->value, strlen(property->value) + 1, sum);
    }
    return sum;
}

static int64_t scope_digest(const Mr__Proto__SinkScope *scope)
{
    if (scope == NULL)
        return 0;
    size_t size = mr__proto__sink_scope__get_packed_size(scope);
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return 0;
    mr__proto__sink_scope__pack(scope, bytes);
    int64_t sum = digest(bytes, size, 1);
    free(bytes);
    return sum;
}

static void take_assignment(mr_task *task, Mr__Proto__Assignment **assignment)
{
    mr_assignment_close(&task->assignment);
    task->assignment = *assignment;
    task->assignment_bytes = mr__proto__assignment__get_packed_size(*assignment) + 64;
    *assignment = NULL;
}

static mr_err create(mr_service *service, const char *tenant, const mr_want *want, mr_task **ret_task,
                     mr_error *ret_error)
{
    mr_task *task = calloc(1, sizeof *task);
    if (task == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "tasks: out of memory");
    snprintf(task->tenant, sizeof task->tenant, "%s", tenant);
    snprintf(task->connector, sizeof task->connector, "%s", want->connector);
    snprintf(task->dataset, sizeof task->dataset, "%s", want->dataset);
    snprintf(task->sink, sizeof task->sink, "%s", want->sink);
    snprintf(task->run_uid, sizeof task->run_uid, "%s", want->run_uid);
    task->kind = want->kind;
    task->revision = 1;
    task->config_digest = config_digest(want->assignment);
    task->scope_digest = scope_digest(want->assignment->scope);
    mr_err err = mr_apply(service, "want_task", NULL, NULL, execute_store, task, NULL, ret_error);
    if (err != MR_OK) {
        free(task);
        return err;
    }
    err = keep(service, task, ret_error);
    if (err == MR_OK)
        *ret_task = task;
    service->place = true;
    return err;
}

/* Another run, or a fence in place of a source: the former assignment is void, the next one fences it. */
static mr_err replace(mr_service *service, mr_task *task, const mr_want *want, mr_error *ret_error)
{
    mr_task next = *task;
    next.kind = want->kind;
    snprintf(next.run_uid, sizeof next.run_uid, "%s", want->run_uid);
    next.arrival = ++service->arrivals;
    next.state = TASK_WAITING;
    next.config_digest = config_digest(want->assignment);
    next.scope_digest = scope_digest(want->assignment->scope);
    next.incarnation[0] = next.error[0] = '\0';
    next.retry_ms = 0;
    service->place = true;
    mr_err err = change(service, task, &next, ret_error);
    if (err == MR_OK)
        mr_status_close(&task->status);
    return err;
}

static mr_err update(mr_service *service, mr_task *task, const mr_want *want, mr_error *ret_error)
{
    mr_task next = *task;
    next.config_digest = config_digest(want->assignment);
    next.scope_digest = scope_digest(want->assignment->scope);
    bool config = next.config_digest != task->config_digest, scope = next.scope_digest != task->scope_digest;
    if (!config && !scope)
        return MR_OK;
    if (config &&
        task->state == TASK_ASSIGNED) { /* it ends in order, and comes again with the new configuration */
        next.state = TASK_STOPPING;
    } else if (config && task->state == TASK_FAILED) {
        next.state = TASK_WAITING;
        next.error[0] = '\0';
        service->place = true;
    }
    next.revision++;
    return change(service, task, &next, ret_error);
}

mr_err mr_want_task(mr_service *service, const char *tenant, mr_want *want, mr_error *ret_error)
{
    mr_err err = MR_OK;
    mr_task *task = mr_task_find(service, tenant, want->connector);
    if (task == NULL)
        err = create(service, tenant, want, &task, ret_error);
    else if (task->kind != want->kind || strcmp(task->run_uid, want->run_uid) != 0)
        err = replace(service, task, want, ret_error);
    else if (task->state != TASK_STOPPING)
        err = update(service, task, want, ret_error);
    if (err == MR_OK) {
        task->pass = service->pass;
        task->request_cpu_millis = want->request_cpu_millis;
        task->request_memory_bytes = want->request_memory_bytes;
        take_assignment(task, &want->assignment);
    }
    mr_assignment_close(&want->assignment);
    return err;
}

mr_err mr_stop_unwanted(mr_service *service, const char *tenant, mr_error *ret_error)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->pass == service->pass || task->state == TASK_STOPPING || strcmp(task->tenant, tenant) != 0)
            continue;
        mr_task next = *task;
        next.state = TASK_STOPPING;
        mr_err err = task->state == TASK_ASSIGNED ? change(service, task, &next, ret_error)
                                                  : mr_task_remove(service, task, ret_error);
        if (err != MR_OK)
            return err;
        at = 0; /* a removal moves others */
    }
    return MR_OK;
}

mr_err mr_task_confirm(mr_service *service, mr_task *task, mr_error *ret_error)
{
    mr_task next = *task;
    next.revision++;
    return change(service, task, &next, ret_error);
}

/* --- giving back --- */

mr_err mr_task_release(mr_service *service, mr_task *task, int64_t retry_ms, mr_error *ret_error)
{
    mr_task next = *task;
    next.state = TASK_WAITING;
    next.incarnation[0] = '\0'; /* the worker's name stays: placement is sticky */
    next.arrival = ++service->arrivals;
    next.retry_ms = retry_ms;
    mr_err err = change(service, task, &next, ret_error);
    if (err != MR_OK)
        return err;
    service->place = true;
    mr_wake_at(service, retry_ms);
    return MR_OK;
}

size_t mr_retry_failed_tasks(mr_service *service, const char *tenant)
{
    size_t count = 0;
    mr_error error;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (strcmp(task->tenant, tenant) != 0 ||
            (task->state != TASK_FAILED &&
             (task->state != TASK_WAITING || task->retry_ms <= service->now_ms)))
            continue;
        if (mr_task_release(service, task, 0, &error) == MR_OK)
            count++;
        else
            mr_log_failure(MR_ERROR, "task not started again", &error, MR_STR("task", task->key));
    }
    return count;
}
