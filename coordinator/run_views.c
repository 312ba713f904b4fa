/* run_views.c - runs for people. */
#include "coordinator/error_budget.h"
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

/* Why a run waits, where its own row does not say. */
static void waiting_reason(mr_service *service, const mr_run *run, char *out, size_t size)
{
    mr_task *task;
    const mr_trouble *trouble = mr_trouble_of(&service->troubles, run->tenant);
    if (trouble != NULL)
        snprintf(out, size, "%s, tries again: %s", trouble->what, trouble->text);
    else
        snprintf(out, size, "%s", run->reason);
    int64_t undelivered = mr_undelivered_bytes(service, run->uid);
    if (strcmp(run->state, RUN_SOURCE) == 0 && undelivered > service->config.undelivered_max_bytes)
        snprintf(out, size,
                 "reading waits for the sinks: %lld bytes of earlier runs are not delivered, above %lld",
                 (long long)undelivered, (long long)service->config.undelivered_max_bytes);
    char before[40];
    if (strcmp(run->state, RUN_SOURCE) == 0 && mr_run_before(service, run, before, sizeof before))
        snprintf(out, size, "reading waits for run %s, which was claimed earlier", before);
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (strcmp(task->tenant, run->tenant) != 0)
            continue;
        bool sink = task->kind == MR__PROTO__TASK_KIND__SINK;
        if (sink ? strcmp(run->state, RUN_DELIVERING) != 0 : strcmp(task->run_uid, run->run_uid) != 0)
            continue;
        const Mr__Proto__TaskStatus *status = task->status;
        const char *error = task->error[0] != '\0'                    ? task->error
                            : status != NULL && status->error != NULL ? status->error->text
                                                                      : "";
        if (error[0] != '\0')
            snprintf(out, size, "%s: %s", task->connector, error);
        else if (task->state == TASK_WAITING && service->workers.count == 0)
            snprintf(out, size, "%s waits for a worker: none has reported", task->connector);
        else if (task->state == TASK_WAITING)
            snprintf(out, size, "%s waits for a worker with room", task->connector);
    }
}

static bool is_final(const mr_run *run)
{
    return run->finished_ms != 0;
}

static json_t *run_view(mr_service *service, const mr_run *run)
{
    char reason[800];
    if (is_final(run))
        snprintf(reason, sizeof reason, "%s", run->reason);
    else
        waiting_reason(service, run, reason, sizeof reason);
    int64_t delivered = 0, rejected = 0, abandoned = 0;
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT sum(delivered), coalesce(sum(rejected), 0) + (SELECT coalesce(sum(rejected), 0)"
                     " FROM run_datasets WHERE run_uid = ?1), sum(abandoned) FROM ledger_lines"
                     " WHERE run_uid = ?1",
                     "t", run->run_uid);
    if (mr_query_next(query)) {
        delivered = mr_query_int(query, 0);
        rejected = mr_query_int(query, 1);
        abandoned = mr_query_int(query, 2);
        mr_query_end(query);
    }
    char log[128];
    const char *folder =
        strcmp(run->state, RUN_COMPLETED) == 0 || strcmp(run->state, RUN_REJECTS) == 0 ? "done" : "failed";
    if (is_final(run))
        snprintf(log, sizeof log, "tenants/%s/%s/%s/program.log", run->tenant, folder, run->run_uid);
    else
        snprintf(log, sizeof log, "runs/%s/program.log", run->run_uid);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "tenant",
                     run->tenant, "run_id", run->run_id, "run_uid", run->run_uid, "state", run->state,
                     "trigger", run->trigger, "due", mr_json_time(run->due_ms), "reason",
                     mr_json_text(reason), "created_at", mr_json_time(run->created_ms), "finished_at",
                     mr_json_time(run->finished_ms), "files", (json_int_t)run->files, "attempts",
                     (json_int_t)run->attempts, "delivered", (json_int_t)delivered, "rejected",
                     (json_int_t)rejected, "abandoned", (json_int_t)abandoned, "log",
                     mr_staging_exists(service->staging, log));
}

/* What may be rejected of what was read so far, and what was; null: any number. */
static json_t *budget_view(const mr_agreement *agreement, int64_t read, int64_t rejected)
{
    if (agreement == NULL || !mr_has_error_budget(agreement))
        return json_null();
    return json_pack(
        "{s:I, s:I, s:o, s:o}", "allowed", (json_int_t)mr_error_budget_rows(agreement, read), "rejected",
        (json_int_t)rejected, "max_rejected_percent",
        agreement->max_rejected_percent < 0 ? json_null() : json_real(agreement->max_rejected_percent),
        "max_rejected_rows",
        agreement->max_rejected_rows < 0 ? json_null() : json_integer(agreement->max_rejected_rows));
}

/* By which its rows are judged; NULL: by none. */
static const mr_agreement *agreement_of(mr_service *service, const mr_run *run)
{
    const mr_tenant_spec *spec;
    bool known = !mr_run_replays(run) && mr_load_spec(service, run->uid, run->version, &spec, NULL) == MR_OK;
    return known ? spec->agreement : NULL;
}

static json_t *datasets_view(mr_service *service, const mr_run *run)
{
    json_t *view = json_array();
    const mr_agreement *agreement = agreement_of(service, run);
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT dataset, state, read, filtered, rejected, produced, rejected_files, reason"
                     " FROM run_datasets WHERE run_uid = ? ORDER BY dataset",
                     "t", run->run_uid);
    while (mr_query_next(query))
        json_array_append_new(
            view,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "dataset",
                      mr_query_text(query, 0), "state", mr_query_text(query, 1), "read",
                      (json_int_t)mr_query_int(query, 2), "filtered", (json_int_t)mr_query_int(query, 3),
                      "rejected_source", (json_int_t)mr_query_int(query, 4), "produced",
                      (json_int_t)mr_query_int(query, 5), "rejected_files",
                      (json_int_t)mr_query_int(query, 6), "error_budget",
                      budget_view(agreement, mr_query_int(query, 2), mr_query_int(query, 4)), "reason",
                      mr_json_text(mr_query_text(query, 7)), "ended",
                      strcmp(mr_query_text(query, 1), "OPEN") != 0));
    return view;
}

static const char *task_state(const mr_task *task)
{
    switch (task->state) {
    case TASK_WAITING:
        return task->retry_ms > 0 ? "RESTARTING" : "UNASSIGNED";
    case TASK_FAILED:
        return "FAILED";
    case TASK_STOPPING:
        return "STOPPING";
    case TASK_ASSIGNED:
        break;
    }
    return task->status != NULL ? mr_state_name(task->status->state) : "STARTING";
}

static json_t *task_view(const mr_task *task)
{
    const Mr__Proto__TaskStatus *status = task->status;
    const char *error = task->error[0] != '\0'                    ? task->error
                        : status != NULL && status->error != NULL ? status->error->text
                                                                  : "";
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:I, s:o}", "connector", task->connector, "task",
                     (int)task->number, "kind", mr_kind_name(task->kind), "state", task_state(task), "step",
                     mr_json_text(status != NULL ? status->step : NULL), "worker", mr_json_text(task->worker),
                     "epoch", (json_int_t)task->epoch, "error", mr_json_text(error));
}

/* The run's own tasks and, while it delivers, the sinks it waits for. */
static json_t *tasks_view(mr_service *service, const mr_run *run)
{
    json_t *view = json_array();
    bool sinks = strcmp(run->state, RUN_DELIVERING) == 0 || strcmp(run->state, RUN_SOURCE) == 0;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        bool own =
            strcmp(task->run_uid, run->run_uid) == 0 || (sinks && task->kind == MR__PROTO__TASK_KIND__SINK);
        if (own && strcmp(task->tenant, run->tenant) == 0)
            json_array_append_new(view, task_view(task));
    }
    return view;
}

void mr_count_task_states(mr_service *service, json_t *counts)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        const char *state = task_state(task);
        json_object_set_new(counts, state,
                            json_integer(json_integer_value(json_object_get(counts, state)) + 1));
    }
}

mr_err mr_service_run_uid(mr_service *service, const char *tenant, const char *run, char *out, size_t size,
                          mr_error *ret_error)
{
    mr_run row;
    mr_err err = mr_find_run(service, tenant, run, &row, ret_error);
    if (err == MR_OK)
        snprintf(out, size, "%s", row.run_uid);
    return err;
}

mr_err mr_service_show_run(mr_service *service, const char *tenant, const char *run, json_t **ret_view,
                           mr_error *ret_error)
{
    mr_run row;
    mr_err err = mr_find_run(service, tenant, run, &row, ret_error);
    if (err != MR_OK)
        return err;
    json_t *view = run_view(service, &row);
    json_object_set_new(view, "datasets", datasets_view(service, &row));
    json_object_set_new(view, "tasks", tasks_view(service, &row));
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}

#define SQL_NEWEST_FIRST " ORDER BY created_ms DESC, seq IS NULL DESC, seq DESC, rowid DESC LIMIT ?"

mr_err mr_service_list_runs(mr_service *service, const char *tenant, int64_t limit, json_t **ret_view,
                            mr_error *ret_error)
{
    mr_tenant row = {0};
    mr_err err = tenant != NULL ? mr_find_tenant(service, tenant, &row, ret_error) : MR_OK;
    if (err != MR_OK)
        return err;
    json_t *view = json_array();
    mr_query *query =
        tenant != NULL ? mr_db_select(service->db, "SELECT run_uid FROM runs WHERE uid = ?" SQL_NEWEST_FIRST,
                                      "ti", row.uid, limit)
                       : mr_db_select(service->db, "SELECT run_uid FROM runs" SQL_NEWEST_FIRST, "i", limit);
    mr_run run;
    while (mr_query_next(query)) {
        if (mr_load_run(service, mr_query_text(query, 0), &run))
            json_array_append_new(view, run_view(service, &run));
    }
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}

mr_err mr_service_open_run_log(mr_service *service, const char *tenant, const char *run, int *ret_fd,
                               mr_error *ret_error)
{
    mr_run row;
    mr_err err = mr_find_run(service, tenant, run, &row, ret_error);
    if (err != MR_OK)
        return err;
    char paths[3][200];
    snprintf(paths[0], sizeof paths[0], "runs/%s/program.log", row.run_uid);
    snprintf(paths[1], sizeof paths[1], "tenants/%s/done/%s/program.log", row.tenant, row.run_uid);
    snprintf(paths[2], sizeof paths[2], "tenants/%s/failed/%s/program.log", row.tenant, row.run_uid);
    for (size_t i = 0; i < 3; i++) {
        if (mr_staging_exists(service->staging, paths[i]))
            return mr_staging_read(service->staging, paths[i], ret_fd, ret_error);
    }
    return mr_fail(ret_error, MR_ENOTFOUND, "run %s has no program output", row.run_id);
}
