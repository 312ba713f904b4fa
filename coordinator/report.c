/* report.c - what a worker reports. Progress is noted; what has ended is decided in a command, and
 * acknowledged only once that is durable: until then the worker says it again. */
#include "coordinator/drive.h"
#include "coordinator/error_budget.h"
#include "coordinator/gone_sinks.h"
#include "coordinator/report_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLUSH_MS = 250,          /* progress is stored at least this often while there is some */
    CONFIG_RETRY_MS = 60000, /* R9: slowly; at once when the configuration changes */
    ATTEMPT_RETRY_MS = 2000, /* after the first failed attempt; doubles */
    OUR_RETRY_MS = 500,      /* after an attempt that failed through no fault of the program */
};

typedef struct task_decision {
    mr_service *service;
    mr_task *task;
    const Mr__Proto__TaskStatus *status;
    char text[500]; /* of the error */
} task_decision;

/* --- source, fence --- */

static void forget_closed_runs(mr_db *db, const mr_task *task)
{
    const char *text =
        task->assignment != NULL ? mr_assignment_property(task->assignment, "closed.runs") : NULL;
    json_t *closed = text != NULL ? json_loads(text, 0, NULL) : NULL, *run;
    size_t i;
    json_array_foreach(closed, i, run)
        mr_db_run(db, "UPDATE run_datasets SET positions_removed = 1 WHERE run_uid = ? AND dataset = ?", "tt",
                  json_string_value(run), task->dataset);
    json_decref(closed);
}

static bool over_budget(const task_decision *decision, char *out, size_t size)
{
    mr_run run;
    const mr_tenant_spec *spec;
    if (!mr_load_run(decision->service, decision->task->run_uid, &run) ||
        mr_load_spec(decision->service, run.uid, run.version, &spec, NULL) != MR_OK)
        return false;
    mr_error_budget_words(spec->agreement, (int64_t)decision->status->source->read,
                          (int64_t)decision->status->source->rejected, out, size);
    return true;
}

static mr_err execute_source_ended(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    const mr_task *task = decision->task;
    const Mr__Proto__SourceProgress *progress = decision->status->source;
    (void)ret_answer, (void)ret_error;
    bool fence = task->kind == MR__PROTO__TASK_KIND__FENCE;
    const char *reason = progress->rejected_file_reason[0] != '\0' ? progress->rejected_file_reason : NULL;
    char words[200];
    if (progress->over_rejected && over_budget(decision, words, sizeof words))
        reason = words;
    int64_t changed =
        mr_db_run(db,
                  "UPDATE run_datasets SET state = ?, epoch = ?, read = ?, filtered = ?, rejected = ?, "
                  "produced = ?, rejected_files"
                  " = ?, bytes = ?, reason = ? WHERE run_uid = ? AND dataset = ? AND state = 'OPEN'",
                  "tiiiiiiittt",
                  fence                     ? "ABANDONED"
                  : progress->over_rejected ? "FAILED"
                                            : "ENDED",
                  task->epoch, (int64_t)progress->read, (int64_t)progress->filtered,
                  (int64_t)progress->rejected, (int64_t)progress->produced, (int64_t)progress->rejected_files,
                  (int64_t)progress->bytes, reason, task->run_uid, task->dataset);
    for (size_t i = 0; changed == 1 && i < progress->n_ranges; i++) {
        const Mr__Proto__Range *range = progress->ranges[i];
        mr_db_run(db,
                  "INSERT OR REPLACE INTO run_ranges(run_uid, dataset, partition, first, end) VALUES(?, ?, "
                  "?, ?, ?)",
                  "ttiii", task->run_uid, task->dataset, (int64_t)range->partition, range->first, range->end);
        mr_db_run(
            db,
            "INSERT INTO ends(uid, dataset, partition, end) SELECT uid, ?, ?, ? FROM runs WHERE run_uid = ?"
            " ON CONFLICT DO UPDATE SET end = max(end, excluded.end)",
            "tiit", task->dataset, (int64_t)range->partition, range->end, task->run_uid);
    }
    if (!fence)
        forget_closed_runs(db, task);
    mr_task_erase(db, task);
    return MR_OK;
}

/* --- program --- */

static mr_err execute_sealed(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    const mr_task *task = decision->task;
    const Mr__Proto__ProgramProgress *progress = decision->status->program;
    (void)ret_answer, (void)ret_error;
    mr_db_run(
        db,
        "UPDATE runs SET state = 'SOURCE', sealed_dir = ?, sealed_epoch = ?, manifest_sha256 = ?, files_in = "
        "?,"
        " bytes_in = ?, files_out = ?, bytes_out = ?, reason = NULL WHERE run_uid = ? AND state = 'PROGRAM'",
        "titiiiit", progress->sealed_dir, task->epoch, progress->manifest_sha256, (int64_t)progress->files_in,
        (int64_t)progress->bytes_in, (int64_t)progress->files_out, (int64_t)progress->bytes_out,
        task->run_uid);
    mr_task_erase(db, task);
    return MR_OK;
}

static int64_t allowed_attempts(mr_service *service, const mr_run *run)
{
    const mr_tenant_spec *spec;
    if (mr_load_spec(service, run->uid, run->version, &spec, NULL) != MR_OK)
        return INT64_MAX;
    return spec->agreement->attempts;
}

static mr_err execute_attempt_failed(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    mr_service *service = decision->service;
    const mr_task *task = decision->task;
    mr_run run;
    char reason[600];
    (void)ret_answer, (void)ret_error;
    mr_task_erase(db, task);
    if (!mr_load_run(service, task->run_uid, &run) || strcmp(run.state, RUN_PROGRAM) != 0)
        return MR_OK;
    /* What is not the program's fault does not use up its attempts. */
    bool ours = decision->status->error != NULL &&
                strcmp(decision->status->error->class_, "transient") == 0 &&
                (decision->status->program == NULL || decision->status->program->exit_code == 0);
    int64_t attempts = run.attempts + (ours ? 0 : 1), allowed = allowed_attempts(service, &run);
    int64_t wait_ms = ours ? OUR_RETRY_MS : ATTEMPT_RETRY_MS;
    for (int64_t i = 1; !ours && i < attempts && wait_ms < ATTEMPT_RETRY_MAX_MS; i++)
        wait_ms = wait_ms * 2 < ATTEMPT_RETRY_MAX_MS ? wait_ms * 2 : ATTEMPT_RETRY_MAX_MS;
    mr_db_run(db, "UPDATE runs SET attempts = ?, attempt_after_ms = ? WHERE run_uid = ?", "iit", attempts,
              service->now_ms + wait_ms, run.run_uid);
    if (ours)
        snprintf(reason, sizeof reason, "the program step is tried again: %s", decision->text);
    else
        snprintf(reason, sizeof reason, "attempt %lld of %lld failed: %s", (long long)attempts,
                 (long long)allowed, decision->text);
    if (attempts >= allowed)
        mr_finish_run(db, run.run_uid, RUN_FAILED, reason);
    else
        mr_db_run(db, "UPDATE runs SET reason = ? WHERE run_uid = ?", "tt", reason, run.run_uid);
    return MR_OK;
}

/* --- deciding --- */

/* It has stopped, and has said how far it had come. */
static void take_back_source(mr_db *db, const mr_task *task)
{
    if (task->status != NULL && task->status->source != NULL)
        mr_db_run(db, "UPDATE run_datasets SET given_out = 0 WHERE run_uid = ? AND dataset = ?", "tt",
                  task->run_uid, task->dataset);
}

static mr_err execute_gone(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    (void)ret_answer, (void)ret_error;
    mr_store_progress(db, decision->task);
    if (decision->status->state == MR__PROTO__TASK_STATE__STOPPED)
        take_back_source(db, decision->task);
    mr_task_erase(db, decision->task);
    return MR_OK;
}

static mr_err execute_sink_released(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    mr_tenant tenant;
    (void)ret_answer, (void)ret_error;
    if (mr_load_tenant(decision->service, decision->task->tenant, &tenant))
        mr_sink_released(db, tenant.uid, decision->task->dataset, decision->task->sink);
    mr_task_erase(db, decision->task);
    return MR_OK;
}

static mr_err execute_failed(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    mr_task next = *decision->task;
    (void)ret_answer, (void)ret_error;
    mr_store_progress(db, decision->task);
    next.state = TASK_FAILED;
    snprintf(next.error, sizeof next.error, "%s", decision->text);
    mr_task_store(db, &next);
    return MR_OK;
}

static mr_err execute_jump(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const task_decision *decision = arg;
    mr_task next = *decision->task;
    (void)ret_answer, (void)ret_error;
    mr_db_run(db, "UPDATE epochs SET epoch = max(epoch, ?) WHERE tenant = ? AND connector = ? AND task = ?",
              "itti", decision->status->stored_epoch, next.tenant, next.connector, (int64_t)next.number);
    next.state = TASK_WAITING;
    next.incarnation[0] = '\0';
    mr_task_store(db, &next);
    return MR_OK;
}

static mr_err decide(task_decision *decision, const char *name,
                     mr_err (*execute)(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error),
                     mr_error *ret_error)
{
    return mr_apply(decision->service, name, decision->task->tenant, NULL, execute, decision, NULL,
                    ret_error);
}

/* Erased by the command: forget it as well. */
static mr_err decide_and_drop(task_decision *decision, const char *name,
                              mr_err (*execute)(mr_db *db, void *arg, json_t **ret_answer,
                                                mr_error *ret_error),
                              mr_error *ret_error)
{
    mr_err err = decide(decision, name, execute, ret_error);
    if (err == MR_OK)
        mr_task_drop(decision->service, decision->task);
    return err;
}

/* R8: the bus or the store knows a newer epoch, from a life that we have forgotten: jump above it. */
static bool knows_newer_epoch(const mr_task *task, const Mr__Proto__TaskStatus *status)
{
    return status->stored_epoch > task->epoch && status->stored_epoch < INT64_MAX / 2;
}

static mr_err jump(task_decision *decision, mr_error *ret_error)
{
    mr_err err = decide(decision, "jump_epoch", execute_jump, ret_error);
    return err == MR_OK ? mr_task_release(decision->service, decision->task, 0, ret_error) : err;
}

/* R3: a fenced task asks whether it still owns its assignment. It does, or we would not be here. */
static mr_err answer_fenced(mr_service *service, mr_task *task, const Mr__Proto__TaskStatus *status,
                            mr_error *ret_error)
{
    task_decision decision = {.service = service, .task = task, .status = status};
    if (knows_newer_epoch(task, status))
        return jump(&decision, ret_error);
    return status->revision >= task->revision ? mr_task_confirm(service, task, ret_error) : MR_OK;
}

static mr_err decide_failed(task_decision *decision, mr_error *ret_error)
{
    mr_service *service = decision->service;
    mr_task *task = decision->task;
    const Mr__Proto__TaskStatus *status = decision->status;
    bool config = status->error != NULL && strcmp(status->error->class_, "config") == 0;
    mr_log(MR_WARN, "task failed", MR_STR("tenant", task->tenant), MR_STR("connector", task->connector),
           MR_INT("epoch", task->epoch), MR_STR("worker", task->worker), MR_STR("error", decision->text));
    if (task->state == TASK_STOPPING)
        return decide_and_drop(decision, "task_gone", execute_gone, ret_error);
    if (knows_newer_epoch(task, status))
        return jump(decision, ret_error);
    if (task->kind == MR__PROTO__TASK_KIND__PROGRAM)
        return decide_and_drop(decision, "attempt_failed", execute_attempt_failed, ret_error);
    mr_err err = decide(decision, "task_failed", execute_failed, ret_error);
    if (err != MR_OK)
        return err;
    task->state = TASK_FAILED;
    snprintf(task->error, sizeof task->error, "%s", decision->text);
    mr_desired_changed(service, task->worker);
    /* A wrong configuration may be mended outside (a disk, a server): look again, slowly. */
    return config ? mr_task_release(service, task, service->now_ms + CONFIG_RETRY_MS, ret_error) : MR_OK;
}

static mr_err decide_ended(task_decision *decision, mr_error *ret_error)
{
    mr_task *task = decision->task;
    const Mr__Proto__TaskStatus *status = decision->status;
    switch (task->kind) {
    case MR__PROTO__TASK_KIND__PROGRAM:
        if (status->program == NULL || !status->program->sealed)
            break;
        MR_FAULT("program_sealed_unrecorded");
        return decide_and_drop(decision, "program_sealed", execute_sealed, ret_error);
    case MR__PROTO__TASK_KIND__SOURCE:
    case MR__PROTO__TASK_KIND__FENCE:
        if (status->source == NULL || !status->source->ended ||
            strcmp(status->source->run_uid, task->run_uid) != 0)
            break;
        MR_FAULT("source_end_unrecorded");
        return decide_and_drop(decision, "source_ended", execute_source_ended, ret_error);
    case MR__PROTO__TASK_KIND__RELEASE:
        MR_FAULT("sink_released_unrecorded");
        return decide_and_drop(decision, "sink_released", execute_sink_released, ret_error);
    default:
        break;
    }
    snprintf(decision->text, sizeof decision->text, "ended without a result");
    return decide_failed(decision, ret_error);
}

/* A status that is a task's last word. */
static mr_err decide_final(mr_service *service, mr_task *task, mr_error *ret_error)
{
    task_decision decision = {.service = service, .task = task, .status = task->status};
    const Mr__Proto__TaskStatus *status = task->status;
    if (status->error != NULL)
        snprintf(decision.text, sizeof decision.text, "%s", status->error->text);
    if (status->state == MR__PROTO__TASK_STATE__ENDED)
        return decide_ended(&decision, ret_error);
    if (status->state == MR__PROTO__TASK_STATE__FAILED)
        return decide_failed(&decision, ret_error);
    if (task->state == TASK_STOPPING)
        return decide_and_drop(&decision, "task_gone", execute_gone, ret_error);
    return mr_task_release(service, task, 0, ret_error); /* stopped although it is wanted: again */
}

/* --- the report --- */

static mr_err add_ack(mr_ack *ack, const Mr__Proto__TaskStatus *status, mr_error *ret_error)
{
    if (ack->ack.n_ids == ack->capacity) {
        size_t capacity = ack->capacity > 0 ? ack->capacity * 2 : 8;
        void *ids = realloc(ack->ack.ids, capacity * sizeof *ack->ack.ids);
        if (ids != NULL)
            ack->ack.ids = ids;
        void *epochs = realloc(ack->ack.epochs, capacity * sizeof *ack->ack.epochs);
        if (epochs != NULL)
            ack->ack.epochs = epochs;
        if (ids == NULL || epochs == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "report: out of memory");
        ack->capacity = capacity;
    }
    ack->ack.epochs[ack->ack.n_epochs++] = status->epoch;
    ack->ack.ids[ack->ack.n_ids++] = status->id; /* borrowed from the report */
    return MR_OK;
}

void mr_ack_fini(mr_ack *ack)
{
    free(ack->ack.ids);
    free(ack->ack.epochs);
    *ack = (mr_ack){0};
}

/* Nothing more to deliver: worth storing at once, a run may be done. */
static bool caught_up(const Mr__Proto__TaskStatus *status)
{
    for (size_t i = 0; status->sink != NULL && i < status->sink->n_partitions; i++) {
        if (status->sink->partitions[i]->offset < status->sink->partitions[i]->end)
            return false;
    }
    return status->sink != NULL;
}

/* The first rows of a source: its sinks may start. */
static bool first_rows(const mr_task *task, const Mr__Proto__TaskStatus *status)
{
    const Mr__Proto__SourceProgress *before = task->status != NULL ? task->status->source : NULL;
    return status->source != NULL && status->source->produced > 0 &&
           (before == NULL || before->produced == 0);
}

static void note_progress(mr_service *service, mr_task *task, const Mr__Proto__TaskStatus *status)
{
    Mr__Proto__TaskStatus *copy;
    if (task->status != NULL) { /* most reports say nothing new */
        size_t size = mr__proto__task_status__get_packed_size(status);
        if (size == mr__proto__task_status__get_packed_size(task->status) && size < 4096) {
            uint8_t now[4096], before[4096];
            mr__proto__task_status__pack(status, now);
            mr__proto__task_status__pack(task->status, before);
            if (memcmp(now, before, size) == 0)
                return;
        }
    }
    if (mr_status_copy(status, &copy) != MR_OK)
        return;
    bool at_once = caught_up(status) || first_rows(task, status);
    mr_status_close(&task->status);
    task->status = copy;
    if (status->source == NULL && status->sink == NULL)
        return;
    task->unflushed = true;
    int64_t when_ms = at_once ? service->now_ms : service->now_ms + FLUSH_MS;
    if (when_ms < service->flush_after_ms) /* storing it failed a moment ago */
        when_ms = service->flush_after_ms;
    if (when_ms < service->flush_ms)
        service->flush_ms = when_ms;
    mr_wake_at(service, service->flush_ms);
}

static mr_err take_status(mr_service *service, const char *incarnation, const Mr__Proto__TaskStatus *status,
                          mr_ack *ack, mr_error *ret_error)
{
    mr_task *task = NULL;
    if (status->id->task == 0)
        task = mr_task_find(service, status->id->tenant, status->id->connector);
    bool final = mr_state_final(status->state);
    bool ours = task != NULL && task->epoch == status->epoch && strcmp(task->incarnation, incarnation) == 0 &&
                (task->state == TASK_ASSIGNED || task->state == TASK_STOPPING);
    if (ours) {
        mr_err err = mr_status_check(service, task, status, ret_error);
        if (err != MR_OK)
            return err;
        note_progress(service, task, status);
        bool fenced = !final && task->state == TASK_ASSIGNED && status->error != NULL &&
                      strcmp(status->error->class_, "fenced") == 0;
        err = fenced                          ? answer_fenced(service, task, status, ret_error)
              : final && task->status != NULL ? decide_final(service, task, ret_error)
                                              : MR_OK;
        if (err != MR_OK)
            return err;
    }
    return final ? add_ack(ack, status, ret_error) : MR_OK;
}

static mr_err execute_vanished(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_task *task = arg;
    (void)ret_answer, (void)ret_error;
    take_back_source(db, task);
    mr_task_erase(db, task);
    return MR_OK;
}

/* A task that is to stop and is not in the report any more has stopped. */
static mr_err drop_stopped(mr_service *service, const Mr__Proto__Report *report, mr_error *ret_error)
{
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->state != TASK_STOPPING || strcmp(task->incarnation, report->incarnation) != 0)
            continue;
        bool there = false;
        for (size_t i = 0; i < report->n_tasks && !there; i++)
            there = report->tasks[i]->epoch == task->epoch &&
                    strcmp(report->tasks[i]->id->tenant, task->tenant) == 0 &&
                    strcmp(report->tasks[i]->id->connector, task->connector) == 0;
        if (there)
            continue;
        mr_err err = mr_apply(service, "task_vanished", NULL, NULL, execute_vanished, task, NULL, ret_error);
        if (err != MR_OK)
            return err;
        mr_task_drop(service, task);
        at = 0; /* a removal moves others */
    }
    return MR_OK;
}

mr_err mr_service_report(mr_service *service, const Mr__Proto__Report *report, mr_ack *ret_ack, bool *ret_new,
                         mr_error *ret_error)
{
    *ret_ack = (mr_ack){0};
    mr__proto__ack__init(&ret_ack->ack);
    mr_err err = mr_worker_report(service, report, ret_new, ret_error);
    mr_error error, first;
    char what[sizeof((mr_trouble *)0)->what];
    if (err != MR_OK)
        return err;
    snprintf(what, sizeof what, "report of worker %.100s not recorded", report->worker);
    for (size_t i = 0; i <= report->n_tasks; i++) {
        /* A task whose last word cannot be recorded is not acknowledged: it is said again. The others are. */
        mr_err failed = i == report->n_tasks
                            ? drop_stopped(service, report, &error)
                            : take_status(service, report->incarnation, report->tasks[i], ret_ack, &error);
        if (err == MR_OK && failed != MR_OK)
            first = error;
        err = err == MR_OK ? failed : err;
    }
    (void)mr_told(service, err, &first, what, "");
    return MR_OK;
}
