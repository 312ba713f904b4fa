/* planner.c - what should run for a tenant, from its specification and the states of its runs. */
#include "coordinator/error_budget.h"
#include "coordinator/gone_sinks.h"
#include "coordinator/sink_scope.h"
#include "coordinator/task_config.h"

#include <stdio.h>
#include <string.h>

enum {
    SINK_LINGER_MS = 3000, /* a sink without work stays this long, unless others wait for its room */
    CLOSED_RUNS = 64,      /* whose positions one source task removes */
    PROGRAM_GRACE_SECONDS = 10,
    OPEN_RUNS = 256, /* looked at in one pass */
};

typedef struct tenant_plan {
    mr_service *service;
    const mr_tenant *tenant;
    const mr_tenant_spec *spec; /* the latest */
    mr_task_config config;
} tenant_plan;

static mr_err hand_over(tenant_plan *plan, mr_want *want, Mr__Proto__SinkScope *scope, mr_error *ret_error)
{
    mr_err err = mr_config_assignment(&plan->config, plan->tenant->tenant, want->connector, want->kind, scope,
                                      &want->assignment, ret_error);
    return err == MR_OK ? mr_want_task(plan->service, plan->tenant->tenant, want, ret_error) : err;
}

static void set_run(tenant_plan *plan, const mr_run *run)
{
    mr_config_set(&plan->config, "run.uid", run->run_uid);
    mr_config_set_int(&plan->config, "run.seq", run->seq);
}

static void set_path(tenant_plan *plan, const char *key, const char *format, const char *name, int64_t number)
{
    char path[4600];
    int at = snprintf(path, sizeof path, "%s/", mr_staging_dir(plan->service->staging));
    if (number != 0)
        snprintf(path + at, sizeof path - (size_t)at, format, name, (long long)number);
    else
        snprintf(path + at, sizeof path - (size_t)at, format, name);
    mr_config_set(&plan->config, key, path);
}

/* --- program --- */

/* A pattern that matches this name only. */
static void escape_pattern(const char *name, char *out, size_t size)
{
    size_t at = 0;
    for (; *name != '\0' && at + 3 < size; name++) {
        if (strchr("*?[]\\", *name) != NULL)
            out[at++] = '\\';
        out[at++] = *name;
    }
    out[at] = '\0';
}

/* Which file belongs to which dataset. Without a program a file goes where its upload said, pattern or not.
 */
static json_t *dataset_patterns(tenant_plan *plan, const mr_tenant_spec *spec, const mr_run *run,
                                bool program)
{
    json_t *datasets = json_array();
    char pattern[600];
    if (!program && spec->dataset_count > 1) {
        mr_query *query =
            mr_db_select(plan->service->db,
                         "SELECT f.name, u.dataset FROM run_files f JOIN uploads u USING(upload_id) WHERE"
                         " f.run_uid = ? ORDER BY upload_id",
                         "t", run->run_uid);
        while (mr_query_next(query)) {
            const mr_dataset *matching;
            const char *name = mr_query_text(query, 0), *dataset = mr_query_text(query, 1);
            if (mr_tenant_spec_dataset_for(spec, name, NULL, &matching, NULL) == MR_OK &&
                strcmp(matching->name, dataset) == 0)
                continue;
            escape_pattern(name, pattern, sizeof pattern);
            json_array_append_new(datasets, json_pack("{s:s, s:s}", "name", dataset, "pattern", pattern));
        }
    }
    for (size_t i = 0; i < spec->dataset_count; i++) {
        const char *wanted = spec->datasets[i]->file_pattern;
        /* A single dataset takes every file. */
        json_array_append_new(datasets, json_pack("{s:s, s:s}", "name", spec->datasets[i]->name, "pattern",
                                                  wanted != NULL && spec->dataset_count > 1 ? wanted : "*"));
    }
    return datasets;
}

static void set_program(tenant_plan *plan, const mr_tenant_spec *spec, const mr_run *run)
{
    const mr_agreement *agreement = spec->agreement;
    mr_task_config *config = &plan->config;
    char attempt[64];
    if (spec->program != NULL)
        set_path(plan, "program.dir", "programs/%s", spec->program, 0);
    if (agreement->program_command_count > 0) {
        json_t *command = json_array();
        for (size_t i = 0; i < agreement->program_command_count; i++)
            json_array_append_new(command, json_string(agreement->program_command[i]));
        mr_config_set_json(config, "program.command", command);
    }
    json_t *environment = json_object();
    for (size_t i = 0; i < agreement->program_env_count; i++)
        json_object_set_new(environment, agreement->program_env[i].name,
                            json_string(agreement->program_env[i].value));
    if (run->due_ms != 0)
        json_object_set_new(environment, "DUE_TIME", mr_json_time(run->due_ms));
    mr_config_set_json(config, "program.env", environment);
    mr_config_set_int(config, "program.deadline.seconds", agreement->program_deadline_seconds);
    mr_config_set_int(config, "program.grace.seconds", PROGRAM_GRACE_SECONDS);
    if (agreement->limit_disk_bytes <= INT64_MAX)
        mr_config_set_int(config, "program.disk.max.bytes", (int64_t)agreement->limit_disk_bytes);
    mr_config_set_int(config, "program.processes.max", agreement->limit_processes);
    snprintf(attempt, sizeof attempt, "%lld of %lld", (long long)run->attempts + 1,
             (long long)agreement->attempts);
    mr_config_set(config, "program.attempt", attempt);
    /* The worker samples memory and says why it kills; this only stops what grows between two samples. */
    if (agreement->limits.memory_bytes <= INT64_MAX / 2)
        mr_config_set_int(config, "program.data.max.bytes", (int64_t)agreement->limits.memory_bytes * 2);
}

static mr_err plan_program(tenant_plan *plan, const mr_run *run, mr_error *ret_error)
{
    const mr_tenant_spec *spec;
    int64_t wait_ms = run->attempt_after_ms - plan->service->now_ms;
    if (wait_ms > 0 && wait_ms <= ATTEMPT_RETRY_MAX_MS) { /* longer: the clock was set back */
        mr_look_again(plan->service, run->tenant, run->attempt_after_ms);
        return MR_OK;
    }
    mr_err err = mr_load_spec(plan->service, run->uid, run->version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    bool program = spec->program != NULL || spec->agreement->program_command_count > 0;
    mr_config_start(&plan->config);
    mr_config_tenant(&plan->config, plan->tenant, "");
    set_run(plan, run);
    set_path(plan, "run.dir", "runs/%s", run->run_uid, 0);
    mr_config_set(&plan->config, "client", run->tenant);
    if (program)
        set_program(plan, spec, run);
    mr_config_set_json(&plan->config, "datasets", dataset_patterns(plan, spec, run, program));
    char connector[NAME_BYTES] = "program";
    if (spec->agreement->concurrency == MR_ALLOW)
        mr_program_connector(plan->service, run->tenant, run->run_uid, connector, sizeof connector);
    mr_want want = {.connector = connector,
                    .dataset = "",
                    .sink = "",
                    .run_uid = run->run_uid,
                    .kind = MR__PROTO__TASK_KIND__PROGRAM,
                    .request_cpu_millis = spec->agreement->requests.cpu_millis,
                    .request_memory_bytes = spec->agreement->requests.memory_bytes};
    uint64_t memory = spec->agreement->limits.memory_bytes;
    uint32_t cpu = spec->agreement->limits.cpu_millis;
    err = mr_config_assignment(&plan->config, plan->tenant->tenant, want.connector, want.kind, NULL,
                               &want.assignment, ret_error);
    if (err != MR_OK)
        return err;
    want.assignment->memory_limit_bytes = program ? memory : 0;
    want.assignment->cpu_millis = program ? cpu : 0;
    return mr_want_task(plan->service, plan->tenant->tenant, &want, ret_error);
}

/* --- source and fence --- */

/* Runs that were final before this one began: the same list however often this is asked. */
static json_t *closed_runs(tenant_plan *plan, const mr_run *run, const char *dataset)
{
    json_t *closed = json_array();
    mr_query *query =
        mr_db_select(plan->service->db,
                     "SELECT d.run_uid FROM run_datasets d JOIN runs r USING(run_uid) WHERE d.uid = ? AND"
                     " d.dataset = ? AND d.positions_removed = 0 AND r.state IN " SQL_FINAL
                     " AND r.finished_ms < ? ORDER BY d.seq LIMIT ?",
                     "ttii", run->uid, dataset, run->created_ms, (int64_t)CLOSED_RUNS);
    while (mr_query_next(query))
        json_array_append_new(closed, json_string(mr_query_text(query, 0)));
    return closed;
}

/* What the source of a replay reads in place of files. */
static void set_replay(tenant_plan *plan, const mr_run *run, const mr_dataset *dataset)
{
    mr_task_config *config = &plan->config;
    mr_config_set(config, "connector.class", "rejected");
    mr_query *query = mr_db_select(plan->service->db, "SELECT of_run, force FROM replays WHERE run_uid = ?",
                                   "t", run->run_uid);
    if (mr_query_next(query)) {
        if (!mr_query_null(query, 0))
            mr_config_set(config, "replay.run", mr_query_text(query, 0));
        mr_config_set(config, "replay.force", mr_query_int(query, 1) != 0 ? "true" : "false");
        mr_query_end(query);
    }
    mr_config_schemas(config, plan->service, plan->tenant, dataset);
    mr_config_set(config, "files.type", dataset->file_type);
    mr_config_null_values(config, dataset);
}

static void set_files(tenant_plan *plan, const mr_run *run, const mr_dataset *dataset)
{
    mr_config_set(&plan->config, "connector.class", "files");
    set_path(plan, "files.root", "runs/%s", run->run_uid, 0);
    set_path(plan, "files.manifest", "runs/%s/manifest-%lld.json", run->run_uid, run->sealed_epoch);
    mr_config_set(&plan->config, "files.manifest.sha256", run->manifest_sha256);
    mr_config_layout(&plan->config, dataset);
}

static void set_error_budget(mr_task_config *config, const mr_agreement *agreement)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", agreement->max_rejected_percent);
    if (agreement->max_rejected_percent >= 0)
        mr_config_set(config, "max.rejected.percent", text);
    if (agreement->max_rejected_rows >= 0)
        mr_config_set_int(config, "max.rejected.rows", agreement->max_rejected_rows);
}

static mr_err set_source(tenant_plan *plan, const mr_run *run, const mr_dataset *dataset,
                         const mr_agreement *agreement, mr_error *ret_error)
{
    mr_service *service = plan->service;
    mr_task_config *config = &plan->config;
    int64_t schema_id =
        mr_db_int(service->db, 0, "SELECT schema_id FROM run_datasets WHERE run_uid = ? AND dataset = ?",
                  "tt", run->run_uid, dataset->name);
    mr_err err = mr_config_schema(config, service, plan->tenant, dataset, schema_id, ret_error);
    if (err != MR_OK)
        return err;
    mr_config_set_int(config, "key.schema.id",
                      mr_db_int(service->db, 0,
                                "SELECT key_schema_id FROM run_datasets WHERE run_uid = ? AND dataset = ?",
                                "tt", run->run_uid, dataset->name));
    if (mr_run_replays(run))
        set_replay(plan, run, dataset);
    else
        set_files(plan, run, dataset);
    mr_config_set_json(config, "closed.runs", closed_runs(plan, run, dataset->name));
    if (!mr_run_replays(run)) /* what is rejected again has been judged */
        set_error_budget(config, agreement);
    return MR_OK;
}

static mr_err plan_source(tenant_plan *plan, const mr_run *run, const char *name, bool fence,
                          mr_error *ret_error)
{
    const mr_tenant_spec *spec;
    char connector[NAME_BYTES];
    mr_err err = mr_load_spec(plan->service, run->uid, run->version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    const mr_dataset *dataset = mr_spec_dataset(spec, name);
    if (dataset == NULL)
        return mr_fail(ret_error, MR_EBUG, "run %s: dataset %s is not in version %lld", run->run_id, name,
                       (long long)run->version);
    mr_config_start(&plan->config);
    mr_config_tenant(&plan->config, plan->tenant, name);
    set_run(plan, run);
    mr_config_topic(&plan->config, plan->service, plan->tenant->tenant, dataset);
    if (!fence)
        err = set_source(plan, run, dataset, spec->agreement, ret_error);
    if (err != MR_OK)
        return err;
    snprintf(connector, sizeof connector, "%.100s-source", name);
    mr_want want = {.connector = connector,
                    .dataset = name,
                    .sink = "",
                    .run_uid = run->run_uid,
                    .kind = fence ? MR__PROTO__TASK_KIND__FENCE : MR__PROTO__TASK_KIND__SOURCE,
                    .request_cpu_millis = plan->service->config.source_cpu_millis,
                    .request_memory_bytes = (uint64_t)plan->service->config.source_memory_bytes};
    return hand_over(plan, &want, NULL, ret_error);
}

int64_t mr_undelivered_bytes(mr_service *service, const char *uid)
{
    return mr_db_int(
        service->db, 0,
        "SELECT coalesce(sum(d.bytes), 0) FROM run_datasets d JOIN runs r USING(run_uid) WHERE r.uid "
        "= ? AND"
        " r.state = 'DELIVERING' AND EXISTS (SELECT 1 FROM run_sinks s WHERE s.run_uid = d.run_uid AND"
        " s.dataset = d.dataset AND s.state = 'OPEN')",
        "t", uid);
}

static mr_err plan_datasets(tenant_plan *plan, const mr_run *run, bool fence, mr_error *ret_error)
{
    char names[200][101];
    size_t count = 0;
    /* Slow sinks hold the next run's rows back, or the bus would grow without end. */
    if (!fence && mr_undelivered_bytes(plan->service, run->uid) > plan->service->config.undelivered_max_bytes)
        return MR_OK;
    mr_query *query =
        mr_db_select(plan->service->db,
                     "SELECT dataset FROM run_datasets WHERE run_uid = ? AND state = 'OPEN' ORDER BY dataset"
                     " LIMIT 200",
                     "t", run->run_uid);
    while (mr_query_next(query))
        snprintf(names[count++], sizeof names[0], "%s", mr_query_text(query, 0));
    for (size_t i = 0; i < count; i++) {
        mr_err err = plan_source(plan, run, names[i], fence, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* --- sinks --- */

static mr_err plan_sink(tenant_plan *plan, const mr_dataset *dataset, const mr_agreement_sink *sink,
                        mr_error *ret_error)
{
    mr_service *service = plan->service;
    const mr_agreement *agreement = plan->spec->agreement;
    Mr__Proto__SinkScope *scope;
    char connector[NAME_BYTES];
    mr_config_start(&plan->config);
    mr_config_tenant(&plan->config, plan->tenant, dataset->name);
    mr_config_topic(&plan->config, service, plan->tenant->tenant, dataset);
    mr_err err = mr_config_schema(&plan->config, service, plan->tenant, dataset, 0, ret_error);
    if (err != MR_OK)
        return err;
    mr_config_schemas(&plan->config, service, plan->tenant, dataset);
    mr_config_sink(&plan->config, service, sink, dataset);
    mr_config_set_int(&plan->config, "retention.ms", agreement->data_retention_period_days * 86400000);
    err = mr_sink_scope(service, plan->tenant, dataset->name, sink->name, mr_has_error_budget(agreement),
                        &plan->config.arena, &scope, ret_error);
    if (err != MR_OK)
        return err;
    snprintf(connector, sizeof connector, "%s-%s", dataset->name, sink->name);
    mr_want want = {.connector = connector,
                    .dataset = dataset->name,
                    .sink = sink->name,
                    .run_uid = "",
                    .kind = MR__PROTO__TASK_KIND__SINK,
                    .request_cpu_millis = service->config.sink_cpu_millis,
                    .request_memory_bytes = (uint64_t)service->config.sink_memory_bytes};
    return hand_over(plan, &want, scope, ret_error);
}

/* A sink is wanted while it has work, and a little longer. */
static bool sink_wanted(tenant_plan *plan, const mr_dataset *dataset, const mr_agreement_sink *sink)
{
    mr_service *service = plan->service;
    char connector[NAME_BYTES];
    snprintf(connector, sizeof connector, "%s-%s", dataset->name, sink->name);
    mr_task *task = mr_task_find(service, plan->tenant->tenant, connector);
    if (task != NULL && task->kind != MR__PROTO__TASK_KIND__SINK)
        task = NULL; /* of a former sink of that name */
    bool work = mr_sink_has_work(service, plan->tenant, dataset->name, sink->name,
                                 mr_has_error_budget(plan->spec->agreement));
    if (work || task == NULL) {
        if (task != NULL)
            task->idle_since_ms = 0;
        return work;
    }
    if (task->state != TASK_ASSIGNED)
        return false;
    if (task->idle_since_ms == 0)
        task->idle_since_ms = service->now_ms;
    int64_t until = task->idle_since_ms + SINK_LINGER_MS;
    if (until <= service->now_ms || service->crowded)
        return false;
    mr_look_again(service, plan->tenant->tenant, until);
    return true;
}

static mr_err plan_sinks(tenant_plan *plan, mr_error *ret_error)
{
    for (size_t i = 0; i < plan->spec->dataset_count; i++) {
        for (size_t j = 0; j < plan->spec->agreement->sink_count; j++) {
            const mr_dataset *dataset = plan->spec->datasets[i];
            const mr_agreement_sink *sink = &plan->spec->agreement->sinks[j];
            mr_err err = sink_wanted(plan, dataset, sink) ? plan_sink(plan, dataset, sink, ret_error) : MR_OK;
            if (err != MR_OK)
                return err;
        }
    }
    return MR_OK;
}

/* --- a tenant --- */

static mr_err plan_run(tenant_plan *plan, const mr_run *run, mr_error *ret_error)
{
    char before[40];
    if (strcmp(run->state, RUN_PROGRAM) == 0)
        return plan_program(plan, run, ret_error);
    if (mr_run_before(plan->service, run, before, sizeof before))
        return MR_OK; /* rows come onto the bus in claim order: a run whose program was faster waits */
    if (strcmp(run->state, RUN_SOURCE) == 0)
        return plan_datasets(plan, run, false, ret_error);
    if (strcmp(run->state, RUN_ABANDONING) == 0 && run->sealed_epoch != 0)
        return plan_datasets(plan, run, true, ret_error);
    return MR_OK;
}

mr_err mr_plan_tenant(mr_service *service, const mr_tenant *tenant, mr_error *ret_error)
{
    static char uids[OPEN_RUNS][UID_BYTES];
    tenant_plan plan = {.service = service, .tenant = tenant};
    mr_err err = MR_OK;
    mr_run run;
    service->pass++;
    if (strcmp(tenant->state, "ACTIVE") == 0) {
        size_t count = mr_list_open_runs(service, tenant->uid, uids, OPEN_RUNS);
        for (size_t i = 0; i < count && err == MR_OK; i++) {
            if (mr_load_run(service, uids[i], &run))
                err = plan_run(&plan, &run, ret_error);
        }
        if (err == MR_OK)
            err = mr_load_spec(service, tenant->uid, tenant->version, &plan.spec, ret_error);
        if (err == MR_OK)
            err = plan_sinks(&plan, ret_error);
        if (err == MR_OK)
            err = mr_plan_gone_sinks(service, tenant, &plan.config, ret_error);
    }
    mr_config_fini(&plan.config);
    if (err == MR_OK)
        err = mr_db_take_error(service->db, ret_error); /* what could not be read is not unwanted */
    return err == MR_OK ? mr_stop_unwanted(service, tenant->tenant, ret_error) : err;
}
