/* import_run.c - a run that the database does not know, or not as far as it has come. It enters where all
 * that follows can be done again: CLAIMING, SOURCE once a manifest is sealed (the bus knows how far the
 * source was), COMPLETING once there is a result. */
#include "coordinator/import.h"
#include "core/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what lies there --- */

static bool note_epoch(void *arg, const char *name)
{
    mr_found_run *run = arg;
    long long epoch = 0;
    int end = 0;
    if (sscanf(name, "manifest-%lld.json%n", &epoch, &end) == 1 && end > 0 && name[end] == '\0') {
        if (epoch > run->sealed_epoch)
            run->sealed_epoch = epoch;
    } else if (sscanf(name, "attempt-%lld-", &epoch) != 1 && sscanf(name, "sealed-%lld", &epoch) != 1) {
        return true;
    }
    if (epoch > run->program_epoch && epoch < INT64_MAX / 2)
        run->program_epoch = epoch;
    return true;
}

/* Only the newest attempt can have won: no other one was given out after a winner was recorded. */
static mr_err look_at_attempts(mr_service *service, const char *folder, mr_found_run *run,
                               mr_error *ret_error)
{
    char path[MR_IMPORT_PATH], *manifest;
    mr_err err = mr_staging_list(service->staging, folder, note_epoch, run, ret_error);
    if (err != MR_OK || run->sealed_epoch == 0)
        return err == MR_ENOTFOUND ? MR_OK : err;
    snprintf(path, sizeof path, "%s/manifest-%lld.json", folder, (long long)run->sealed_epoch);
    err = mr_record_read(service, path, &manifest, ret_error);
    if (err == MR_OK) {
        err = mr_sha256_hex(mr_slice_of(manifest), run->manifest_sha256, ret_error);
        free(manifest);
    }
    return err;
}

/* The record lies in the run's folder, or where that is moving to. */
static mr_err read_record(mr_service *service, const char *run_uid, const char *tenant, const char *name,
                          char **ret_text, mr_error *ret_error)
{
    char paths[3][MR_IMPORT_PATH];
    snprintf(paths[0], MR_IMPORT_PATH, "runs/%s/%s", run_uid, name);
    snprintf(paths[1], MR_IMPORT_PATH, "tenants/%s/done/%s/%s", tenant, run_uid, name);
    snprintf(paths[2], MR_IMPORT_PATH, "tenants/%s/failed/%s/%s", tenant, run_uid, name);
    mr_err err = MR_ENOTFOUND;
    for (size_t i = 0; i < (tenant[0] != '\0' ? 3 : 1) && err == MR_ENOTFOUND; i++)
        err = mr_record_read(service, paths[i], ret_text, ret_error);
    return err;
}

/* The tenant as run.json names it; it must be there, and be the same one. */
static bool know_tenant(mr_service *service, mr_found_run *run)
{
    mr_tenant tenant;
    mr_db_text(service->db, run->tenant, sizeof run->tenant, "SELECT json_extract(?, '$.tenant')", "t",
               run->run_json);
    mr_db_text(service->db, run->uid, sizeof run->uid, "SELECT json_extract(?, '$.tenant_uid')", "t",
               run->run_json);
    run->seq = mr_db_int(service->db, 0, "SELECT json_extract(?, '$.seq')", "t", run->run_json);
    if (mr_load_tenant(service, run->tenant, &tenant) && strcmp(tenant.uid, run->uid) == 0 && run->seq > 0)
        return strcmp(tenant.state, "ACTIVE") == 0;
    mr_log(MR_WARN, "a run of a tenant that is not there lies in staging: left as it is",
           MR_STR("tenant", run->tenant), MR_STR("run_uid", run->run_uid));
    return false;
}

/* Whether the database is behind. */
static bool behind(mr_service *service, const mr_run *known, const mr_found_run *run)
{
    static const char *const early[] = {RUN_QUEUED, RUN_CLAIMING, RUN_CLAIMED, RUN_PROGRAM};
    if (known == NULL || run->result_json != NULL)
        return known == NULL || strcmp(known->state, RUN_COMPLETING) != 0;
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        if (strcmp(known->state, early[i]) == 0)
            return i == 0 || run->sealed_epoch != 0 ||
                   run->program_epoch > mr_db_int(service->db, 0,
                                                  "SELECT epoch FROM epochs WHERE tenant = ? AND connector ="
                                                  " 'program' AND task = 0",
                                                  "t", run->tenant);
    }
    return false;
}

bool mr_import_look(mr_service *service, const char *run_uid, const char *tenant, mr_found_run *ret_run)
{
    mr_run known;
    mr_error error;
    char folder[64];
    bool is_known = mr_load_run(service, run_uid, &known);
    if (is_known && mr_db_int(service->db, 0, "SELECT ? IN " SQL_FINAL, "t", known.state) != 0)
        return false;
    snprintf(ret_run->run_uid, sizeof ret_run->run_uid, "%s", run_uid);
    snprintf(folder, sizeof folder, "runs/%s", run_uid);
    const char *of = tenant != NULL ? tenant : is_known ? known.tenant : "";
    mr_err err = read_record(service, run_uid, of, "run.json", &ret_run->run_json, &error);
    if (err == MR_ENOTFOUND)
        return false; /* nothing was claimed yet; or it is found where it is moving to */
    if (err == MR_OK && !know_tenant(service, ret_run))
        return false;
    if (err == MR_OK)
        err = read_record(service, run_uid, ret_run->tenant, "result.json", &ret_run->result_json, &error);
    if (err == MR_OK || err == MR_ENOTFOUND)
        err = look_at_attempts(service, folder, ret_run, &error);
    if (err != MR_OK) {
        mr_log_failure(MR_ERROR, "a run that lies in staging is not understood: left as it is", &error,
                       MR_STR("run_uid", run_uid));
        return false;
    }
    return behind(service, is_known ? &known : NULL, ret_run);
}

void mr_import_run_fini(mr_found_run *run)
{
    free(run->run_json);
    free(run->result_json);
    *run = (mr_found_run){0};
}

/* --- into the database --- */

static void put_pinned(mr_db *db, const mr_found_run *run)
{
    mr_db_run(db,
              "INSERT OR IGNORE INTO specs(uid, version, agreement, datasets, program, warnings,"
              " retention_days, applied_ms) SELECT json_extract(?1, '$.tenant_uid'), json_extract(?1,"
              " '$.version'), json_extract(s, '$.agreement'), json_extract(s, '$.datasets'), json_extract(s,"
              " '$.program'), json_extract(s, '$.warnings'), json_extract(s, '$.retention_days'),"
              " json_extract(s, '$.applied_ms') FROM (SELECT json_extract(?1, '$.spec') AS s)",
              "t", run->run_json);
    mr_import_schemas(db, run->uid, run->run_json);
}

/* A run_id that another run has by now (both were asked for after the copy, in two lives): that of the found
 * one is its number. */
static void put_run(mr_db *db, const mr_found_run *run)
{
    mr_db_run(
        db,
        "INSERT INTO runs(run_uid, tenant, uid, run_id, seq, trigger, due_ms, state, version, retry_of, "
        "files,"
        " created_ms, replaces) SELECT ?2, ?3, ?4, CASE WHEN EXISTS (SELECT 1 FROM runs WHERE uid = ?4 AND "
        "run_uid <> "
        "?2"
        " AND run_id = json_extract(?1, '$.run_id')) THEN 'imported-' || json_extract(?1, '$.seq') ELSE"
        " json_extract(?1, '$.run_id') END, json_extract(?1, '$.seq'), json_extract(?1, '$.trigger'),"
        " json_extract(?1, '$.due_ms'), 'CLAIMING', json_extract(?1, '$.version'), json_extract(?1,"
        " '$.retry_of'), json_array_length(?1, '$.files'), json_extract(?1, '$.created_ms'),"
        " json_extract(?1, '$.replaces') WHERE true ON"
        " CONFLICT(run_uid) DO UPDATE SET seq = excluded.seq, version = excluded.version, files ="
        " excluded.files, state = CASE state WHEN 'QUEUED' THEN 'CLAIMING' ELSE state END",
        "tttt", run->run_json, run->run_uid, run->tenant, run->uid);
    mr_db_run(db,
              "UPDATE tenants SET next_seq = max(next_seq, ? + 1), next_manual = max(next_manual, coalesce("
              "(SELECT max(CAST(substr(run_id, 8) AS INTEGER)) + 1 FROM runs WHERE uid = ?2 AND (run_id"
              " GLOB 'manual-[0-9]*' OR run_id GLOB 'replay-[0-9]*')), 1)) WHERE uid = ?2",
              "it", run->seq, run->uid);
    mr_db_run(db,
              "UPDATE runs SET retried_by = ? WHERE run_uid = json_extract(?, '$.retry_of') AND retried_by IS"
              " NULL",
              "tt", run->run_uid, run->run_json);
}

static void put_replay(mr_db *db, const mr_found_run *run)
{
    if (mr_db_run(
            db,
            "INSERT OR IGNORE INTO replays(run_uid, uid, dataset, of_run, force) SELECT ?2, ?3,"
            " json_extract(r, '$.dataset'), json_extract(r, '$.of_run'), json_extract(r, '$.force') FROM"
            " (SELECT json_extract(?1, '$.replay') AS r) WHERE r IS NOT NULL",
            "ttt", run->run_json, run->run_uid, run->uid) > 0)
        mr_db_run(db, "UPDATE runs SET sealed_epoch = ? WHERE run_uid = ?", "it", (int64_t)REPLAY_SEALED,
                  run->run_uid);
}

static void put_files(mr_db *db, const mr_found_run *run)
{
    mr_query *query = mr_db_select(
        db, "SELECT value, json_extract(value, '$.source') FROM json_each(?, '$.files')", "t", run->run_json);
    while (mr_query_next(query)) {
        int64_t upload_id = mr_import_upload(db, run->tenant, run->uid, mr_query_text(query, 0), NULL,
                                             "claimed", run->run_uid);
        mr_db_run(db,
                  "INSERT OR REPLACE INTO run_files(run_uid, upload_id, source, name) SELECT ?, ?, ?,"
                  " name FROM uploads WHERE upload_id = ?",
                  "titi", run->run_uid, upload_id, mr_query_text(query, 1), upload_id);
    }
}

/* Lines of sinks that the agreement has dropped since are left out: nothing will pass them. */
static void put_sinks(mr_db *db, const mr_found_run *run, const mr_tenant_spec *spec)
{
    mr_query *query =
        mr_db_select(db,
                     "SELECT json_extract(d.value, '$.dataset'), json_extract(s.value, '$.sink'),"
                     " json_extract(s.value, '$.starts') FROM json_each(?, '$.datasets') d,"
                     " json_each(d.value, '$.sinks') s",
                     "t", run->run_json);
    while (mr_query_next(query)) {
        const char *dataset = mr_query_text(query, 0), *sink = mr_query_text(query, 1);
        if (mr_spec_sink(spec, sink) == NULL)
            continue;
        mr_db_run(db, "INSERT OR IGNORE INTO sinks(uid, dataset, sink, starts) VALUES(?, ?, ?, ?)", "tttt",
                  run->uid, dataset, sink, mr_query_text(query, 2));
        mr_db_run(
            db,
            "INSERT OR IGNORE INTO run_sinks(run_uid, dataset, sink, uid, seq, state) VALUES(?, ?, ?, ?,"
            " ?, 'OPEN')",
            "tttti", run->run_uid, dataset, sink, run->uid, run->seq);
    }
}

static void put_datasets(mr_db *db, const mr_found_run *run)
{
    mr_db_run(
        db,
        "INSERT OR IGNORE INTO run_datasets(run_uid, dataset, uid, seq, schema_id, key_schema_id, state)"
        " SELECT ?2, json_extract(value, '$.dataset'), ?3, ?4, json_extract(value, '$.schema_id'),"
        " json_extract(value, '$.key_schema_id'), 'OPEN' FROM json_each(?1, '$.datasets')",
        "ttti", run->run_json, run->run_uid, run->uid, run->seq);
}

static void put_result(mr_db *db, const mr_found_run *run)
{
    mr_db_run(db,
              "UPDATE runs SET state = 'COMPLETING', outcome = json_extract(?1, '$.state'), reason ="
              " json_extract(?1, '$.reason'), attempts = json_extract(?1, '$.attempts'), finished_ms ="
              " json_extract(?1, '$.finished_ms'), sealed_epoch = json_extract(?1, '$.sealed_epoch'),"
              " manifest_sha256 = json_extract(?1, '$.manifest_sha256') WHERE run_uid = ?2",
              "tt", run->result_json, run->run_uid);
    mr_db_run(
        db,
        "UPDATE run_datasets AS d SET state = json_extract(j.value, '$.state'), read = json_extract(j.value,"
        " '$.read'), filtered = json_extract(j.value, '$.filtered'), rejected = json_extract(j.value,"
        " '$.rejected'), produced = json_extract(j.value, '$.produced'), rejected_files ="
        " json_extract(j.value, '$.rejected_files'), bytes = json_extract(j.value, '$.bytes'), reason ="
        " json_extract(j.value, '$.reason') FROM json_each(?1, '$.datasets') j WHERE d.run_uid = ?2 AND"
        " d.dataset = json_extract(j.value, '$.dataset')",
        "tt", run->result_json, run->run_uid);
    mr_db_run(db,
              "INSERT OR REPLACE INTO run_ranges(run_uid, dataset, partition, first, end) SELECT ?2,"
              " json_extract(j.value, '$.dataset'), json_extract(g.value, '$[0]'), json_extract(g.value,"
              " '$[1]'), json_extract(g.value, '$[2]') FROM json_each(?1, '$.datasets') j, json_each(j.value,"
              " '$.ranges') g",
              "tt", run->result_json, run->run_uid);
    mr_db_run(db,
              "INSERT INTO ends(uid, dataset, partition, end) SELECT ?2, dataset, partition, end FROM"
              " run_ranges WHERE run_uid = ?1 ON CONFLICT DO UPDATE SET end = max(end, excluded.end)",
              "tt", run->run_uid, run->uid);
    mr_db_run(
        db,
        "UPDATE run_sinks AS s SET state = json_extract(l.value, '$.state'), delivered ="
        " json_extract(l.value, '$.delivered'), rejected = json_extract(l.value, '$.rejected'), abandoned"
        " = json_extract(l.value, '$.abandoned') FROM json_each(?1, '$.datasets') j, json_each(j.value,"
        " '$.sinks') l WHERE s.run_uid = ?2 AND s.dataset = json_extract(j.value, '$.dataset') AND s.sink"
        " = json_extract(l.value, '$.sink')",
        "tt", run->result_json, run->run_uid);
}

typedef struct import_command {
    mr_service *service;
    const mr_found_run *run;
    const mr_tenant_spec *spec; /* the newest of the tenant */
} import_command;

/* The run that this one has taken the files over from was cancelled for it. */
static void end_replaced(mr_service *service, const mr_found_run *run)
{
    char uid[UID_BYTES];
    mr_run former;
    mr_db *db = service->db;
    if (!mr_db_text(db, uid, sizeof uid, "SELECT json_extract(?, '$.replaces')", "t", run->run_json) ||
        !mr_load_run(service, uid, &former))
        return;
    mr_set_run_state(db, uid, RUN_CLAIMING, RUN_CANCELLING, NULL);
    mr_set_run_state(db, uid, RUN_CLAIMED, RUN_CANCELLING, NULL);
    mr_set_run_state(db, uid, RUN_PROGRAM, RUN_CANCELLING, NULL);
    if (mr_db_int(db, 0, "SELECT state = 'CANCELLING' FROM runs WHERE run_uid = ?", "t", uid) != 0)
        mr_end_cancelled(db, &former, service->now_ms);
}

static mr_err execute_import(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const import_command *import = arg;
    const mr_found_run *run = import->run;
    (void)ret_answer, (void)ret_error;
    put_pinned(db, run);
    put_run(db, run);
    put_replay(db, run);
    end_replaced(import->service, run);
    put_files(db, run);
    put_datasets(db, run);
    put_sinks(db, run, import->spec);
    if (run->result_json != NULL)
        put_result(db, run);
    else if (run->sealed_epoch != 0)
        mr_db_run(db,
                  "UPDATE runs SET state = 'SOURCE', sealed_dir = '', sealed_epoch = ?, manifest_sha256 = ?,"
                  " reason = NULL WHERE run_uid = ?",
                  "itt", run->sealed_epoch, run->manifest_sha256, run->run_uid);
    if (run->program_epoch > 0)
        mr_db_run(
            db,
            "INSERT INTO epochs(tenant, connector, task, epoch) VALUES(?, 'program', 0, ?) ON CONFLICT DO"
            " UPDATE SET epoch = max(epoch, excluded.epoch)",
            "ti", run->tenant, run->program_epoch);
    mr_audit(db, &(mr_audit_entry){.subject = run->run_uid,
                                   .after = json_pack("{s:I, s:I}", "seq", (json_int_t)run->seq,
                                                      "sealed_epoch", (json_int_t)run->sealed_epoch)});
    return MR_OK;
}

mr_err mr_import_run(mr_service *service, const mr_found_run *run, mr_error *ret_error)
{
    import_command import = {.service = service, .run = run};
    mr_tenant tenant;
    mr_run now;
    if (!mr_load_tenant(service, run->tenant, &tenant))
        return mr_db_take_error(service->db, ret_error);
    mr_err err = mr_load_spec(service, tenant.uid, tenant.version, &import.spec, ret_error);
    if (err == MR_OK)
        err = mr_apply(service, "import_run", run->tenant, NULL, execute_import, &import, NULL, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "run %s of tenant %s", run->run_uid, run->tenant);
    MR_FAULT("import_run_recorded");
    if (mr_load_run(service, run->run_uid, &now))
        mr_log(MR_WARN, "run taken in from staging", MR_STR("tenant", run->tenant), MR_STR("run", now.run_id),
               MR_STR("state", now.state));
    return mr_db_take_error(service->db, ret_error);
}

/* --- a run whose folder is gone --- */

typedef struct gone_command {
    mr_service *service;
    const mr_run *run;
    bool cancelled;
} gone_command;

static mr_err execute_gone_run(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const gone_command *gone = arg;
    const mr_run *run = gone->run;
    char dataset[101];
    (void)ret_answer, (void)ret_error;
    mr_query *query =
        mr_db_select(db, "SELECT dataset FROM run_datasets WHERE run_uid = ?", "t", run->run_uid);
    while (mr_query_next(query)) {
        snprintf(dataset, sizeof dataset, "%s", mr_query_text(query, 0));
        mr_skip_dataset(db, run->run_uid, dataset, "ABANDONED");
    }
    mr_db_run(db, "UPDATE run_sinks SET state = 'FINAL' WHERE run_uid = ?", "t", run->run_uid);
    mr_db_run(db, "UPDATE runs SET state = ?, reason = ?, finished_ms = ?, removed = 1 WHERE run_uid = ?",
              "ttit", gone->cancelled ? RUN_CANCELLED : RUN_ABANDONED,
              gone->cancelled ? "cancelled after this copy of coordinator.db was made"
                              : "ended after this copy of coordinator.db was made, and what it left has been"
                                " removed since: its outcome is not known",
              gone->service->now_ms, run->run_uid);
    mr_audit(db, &(mr_audit_entry){
                     .subject = run->run_id,
                     .before = json_pack("{s:s}", "state", run->state),
                     .after = json_pack("{s:s}", "state", gone->cancelled ? RUN_CANCELLED : RUN_ABANDONED)});
    /* Those that lie in in/ are found there, whatever they are here. */
    mr_db_run(db, "UPDATE uploads SET state = 'done' WHERE run_uid = ? AND state = 'claimed'", "t",
              run->run_uid);
    return MR_OK;
}

/* One of its files waits again, or another run has it by now. */
static mr_err files_came_back(mr_service *service, const mr_run *run, bool *ret_back, mr_error *ret_error)
{
    char path[MR_IMPORT_PATH];
    mr_err err = MR_OK;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT f.name, u.run_uid FROM run_files f JOIN uploads u USING(upload_id)"
                                   " WHERE f.run_uid = ?",
                                   "t", run->run_uid);
    while (err == MR_OK && !*ret_back && mr_query_next(query)) {
        snprintf(path, sizeof path, "tenants/%s/in/%s", run->tenant, mr_query_text(query, 0));
        if (strcmp(mr_query_text(query, 1), run->run_uid) != 0)
            *ret_back = true;
        else
            err = mr_staging_find(service->staging, path, ret_back, ret_error);
    }
    if (err != MR_OK || *ret_back)
        mr_query_end(query);
    return err == MR_OK ? mr_db_take_error(service->db, ret_error) : err;
}

mr_err mr_import_gone_run(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    gone_command gone = {.service = service, .run = run};
    mr_err err = files_came_back(service, run, &gone.cancelled, ret_error);
    if (err == MR_OK)
        err =
            mr_apply(service, "import_gone_run", run->tenant, NULL, execute_gone_run, &gone, NULL, ret_error);
    if (err != MR_OK)
        return err;
    mr_log(MR_WARN, "a run of coordinator.db has ended since this copy was made",
           MR_STR("tenant", run->tenant), MR_STR("run", run->run_id),
           MR_STR("state", gone.cancelled ? RUN_CANCELLED : RUN_ABANDONED));
    return MR_OK;
}
