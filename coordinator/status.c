/* status.c - is it healthy, what is not, and since when. */
#include "coordinator/error_budget.h"
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

enum { BUDGETS_SHOWN = 20, SCHEDULES_SHOWN = 20 };

static void add_problem(json_t *problems, const char *what, const char *text, int64_t since_ms)
{
    json_array_append_new(
        problems, json_pack("{s:s, s:s, s:o}", "what", what, "text", text, "since", mr_json_time(since_ms)));
}

static void worker_problems(mr_service *service, json_t *problems, json_t *counts)
{
    static const char *const names[] = {"alive", "silent", "lost", "leaving"};
    mr_worker *worker;
    int alive = 0;
    char text[400];
    for (size_t at = 0; (worker = mr_name_map_next(&service->workers, &at)) != NULL;) {
        const char *name = names[worker->state];
        json_object_set_new(counts, name,
                            json_integer(json_integer_value(json_object_get(counts, name)) + 1));
        alive += worker->state == WORKER_ALIVE;
        if (worker->state == WORKER_LOST || worker->state == WORKER_SILENT) {
            snprintf(text, sizeof text, "worker %s is %s", worker->name, name);
            add_problem(problems, "worker", text, worker->since_ms);
        } else if (strcmp(worker->staging_id, mr_staging_id(service->staging)) != 0) {
            snprintf(text, sizeof text,
                     "worker %s sees another staging folder and gets no tasks: set its staging.dir to %s",
                     worker->name, mr_staging_dir(service->staging));
            add_problem(problems, "worker", text, worker->since_ms);
        }
    }
    if (alive == 0)
        add_problem(problems, "worker", "no worker is alive: nothing can run", service->started_ms);
}

static void task_problems(mr_service *service, json_t *problems)
{
    mr_task *task;
    char text[900];
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        const Mr__Proto__TaskStatus *status = task->status;
        const char *error = task->error[0] != '\0'                    ? task->error
                            : status != NULL && status->error != NULL ? status->error->text
                                                                      : "";
        bool stalled =
            status != NULL && task->state == TASK_ASSIGNED && status->state == MR__PROTO__TASK_STATE__STALLED;
        if (error[0] == '\0' && !stalled)
            continue;
        snprintf(text, sizeof text, "%s/%s %s: %s%s", task->tenant, task->connector,
                 task->state == TASK_FAILED ? "failed"
                 : stalled                  ? "stalled"
                                            : "tries again",
                 stalled && error[0] == '\0' ? "no progress in step " : error,
                 stalled && error[0] == '\0' ? status->step : "");
        add_problem(problems, "task", text, service->now_ms);
    }
}

static void ledger_problems(mr_service *service, json_t *problems)
{
    char text[700];
    mr_query *query =
        mr_db_select(service->db, "SELECT tenant, text, at_ms FROM alarms ORDER BY id DESC LIMIT 20", "");
    while (mr_query_next(query)) {
        snprintf(text, sizeof text, "%s: the ledger does not come out even: %s", mr_query_text(query, 0),
                 mr_query_text(query, 1));
        add_problem(problems, "ledger", text, mr_query_int(query, 2));
    }
}

static void step_problems(mr_service *service, json_t *problems)
{
    char text[800];
    const mr_trouble *trouble;
    for (size_t at = 0; (trouble = mr_name_map_next(&service->troubles.by_key, &at)) != NULL;) {
        snprintf(text, sizeof text, "%s%s%s, tries again: %s", trouble->tenant,
                 trouble->tenant[0] != '\0' ? ": " : "", trouble->what, trouble->text);
        add_problem(problems, "coordinator", text, trouble->since_ms);
    }
}

/* Schedules that stand still, because the data of their zone cannot be read. */
static void schedule_problems(mr_service *service, json_t *problems)
{
    char text[600];
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT tenant, time_zone, coalesce(last_due_ms, created_ms) FROM tenants WHERE"
                     " next_due_ms IS NULL AND state = 'ACTIVE' LIMIT ?",
                     "i", (int64_t)SCHEDULES_SHOWN);
    while (mr_query_next(query)) {
        snprintf(text, sizeof text,
                 "%s: the schedule stands still: time zone %s cannot be read (package tzdata)",
                 mr_query_text(query, 0), mr_query_text(query, 1));
        add_problem(problems, "schedule", text, mr_query_int(query, 2));
    }
}

/* Runs that are about to fail for their rejected rows. */
static void budget_problems(mr_service *service, json_t *problems)
{
    char text[700];
    const mr_tenant_spec *spec;
    mr_query *query = mr_db_select(
        service->db,
        "SELECT r.tenant, r.run_id, r.uid, r.version, d.dataset, d.read, d.rejected FROM runs r JOIN"
        " run_datasets d USING(run_uid) WHERE r.state NOT IN " SQL_FINAL
        " AND r.state = 'SOURCE' AND r.trigger <> 'replay' AND d.rejected > 0 LIMIT ?",
        "i", (int64_t)BUDGETS_SHOWN);
    while (mr_query_next(query)) {
        const int64_t read = mr_query_int(query, 5), rejected = mr_query_int(query, 6);
        if (mr_load_spec(service, mr_query_text(query, 2), mr_query_int(query, 3), &spec, NULL) != MR_OK ||
            !mr_error_budget_is_low(spec->agreement, read, rejected))
            continue;
        snprintf(text, sizeof text,
                 "%s: run %s, dataset %s: %lld of %lld rows were rejected, the agreement allows %lld",
                 mr_query_text(query, 0), mr_query_text(query, 1), mr_query_text(query, 4),
                 (long long)rejected, (long long)read,
                 (long long)mr_error_budget_rows(spec->agreement, read));
        add_problem(problems, "error budget", text, service->now_ms);
    }
}

mr_err mr_service_status(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    json_t *problems = json_array(), *workers = json_object(), *tasks = json_object();
    worker_problems(service, problems, workers);
    task_problems(service, problems);
    ledger_problems(service, problems);
    budget_problems(service, problems);
    schedule_problems(service, problems);
    step_problems(service, problems);
    mr_count_task_states(service, tasks);
    bool healthy = json_array_size(problems) == 0;
    if (healthy != service->healthy) {
        service->healthy = healthy;
        service->healthy_since_ms = service->now_ms;
    }
    mr_db *db = service->db;
    json_int_t tenants = mr_db_int(db, 0, "SELECT count(*) FROM tenants", "");
    json_int_t active = mr_db_int(
        db, 0, "SELECT count(*) FROM runs WHERE state NOT IN " SQL_FINAL " AND state IN " SQL_ACTIVE, "");
    json_int_t delivering = mr_db_int(db, 0,
                                      "SELECT count(*) FROM runs WHERE state NOT IN " SQL_FINAL
                                      " AND state IN ('DELIVERING','COMPLETING')",
                                      "");
    json_int_t queued = mr_db_int(
        db, 0, "SELECT count(*) FROM runs WHERE state NOT IN " SQL_FINAL " AND state = 'QUEUED'", "");
    json_t *view = json_pack("{s:b, s:o, s:s, s:o, s:o, s:I, s:{s:I, s:I, s:I}, s:o}", "healthy", healthy,
                             "since", mr_json_time(service->healthy_since_ms), "version", MR_VERSION,
                             "problems", problems, "workers", workers, "tenants", tenants, "runs", "active",
                             active, "delivering", delivering, "queued", queued, "tasks", tasks);
    mr_err err = mr_db_take_error(db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}
