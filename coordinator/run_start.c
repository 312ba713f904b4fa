/* run_start.c - how a run comes to be: the list of its files and what it pins, in one transaction. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED_KEPT = 100 }; /* SKIPPED runs of a tenant that the history keeps */

/* All ready files, or those that a retry has listed, become the run's. Returns how many. */
static int64_t claim_uploads(mr_db *db, const mr_run_start *start)
{
    const char *uid = start->tenant.uid;
    mr_db_run(
        db,
        "INSERT OR IGNORE INTO run_files(run_uid, upload_id, source, name) SELECT ?, upload_id,"
        " 'tenants/' || tenant || '/in/' || name, name FROM uploads WHERE uid = ? AND state = 'ready' AND"
        " NOT EXISTS (SELECT 1 FROM run_files WHERE run_uid = ?)",
        "ttt", start->run_uid, uid, start->run_uid);
    mr_db_run(db,
              "UPDATE uploads SET state = 'claimed', run_uid = ?, name = (SELECT name FROM run_files f WHERE"
              " f.run_uid = ? AND f.upload_id = uploads.upload_id) WHERE upload_id IN (SELECT upload_id FROM "
              "run_files"
              " WHERE run_uid = ?)",
              "ttt", start->run_uid, start->run_uid, start->run_uid);
    return mr_db_int(db, 0, "SELECT count(*) FROM run_files WHERE run_uid = ?", "t", start->run_uid);
}

static int64_t schema_id(mr_db *db, const mr_tenant *tenant, const char *dataset, const char *what)
{
    char subject[256];
    snprintf(subject, sizeof subject, "%s.%s-%s", tenant->tenant, dataset, what);
    return mr_db_int(db, 0,
                     "SELECT id FROM schemas WHERE uid = ? AND subject = ? ORDER BY version DESC LIMIT 1",
                     "tt", tenant->uid, subject);
}

static void pin_dataset(mr_db *db, const mr_run_start *start, const char *dataset, int64_t seq)
{
    const mr_agreement *agreement = start->spec->agreement;
    const char *uid = start->tenant.uid;
    mr_db_run(db,
              "INSERT INTO run_datasets(run_uid, dataset, uid, seq, schema_id, key_schema_id, state)"
              " VALUES(?, ?, ?, ?, ?, ?, 'OPEN')",
              "tttiii", start->run_uid, dataset, uid, seq, schema_id(db, &start->tenant, dataset, "value"),
              schema_id(db, &start->tenant, dataset, "key"));
    for (size_t i = 0; i < agreement->sink_count; i++) {
        mr_db_run(
            db,
            "INSERT OR IGNORE INTO sinks(uid, dataset, sink, starts) VALUES(?, ?, ?,"
            " (SELECT json_group_array(json_array(partition, end)) FROM ends WHERE uid = ? AND dataset = ?))",
            "ttttt", uid, dataset, agreement->sinks[i].name, uid, dataset);
        mr_db_run(
            db,
            "INSERT INTO run_sinks(run_uid, dataset, sink, uid, seq, state) VALUES(?, ?, ?, ?, ?, 'OPEN')",
            "tttti", start->run_uid, dataset, agreement->sinks[i].name, uid, seq);
    }
}

/* With a program every dataset may get files; without one only those that have some. A replay says which. */
static void pin_datasets(mr_db *db, const mr_run_start *start, bool replay, int64_t seq)
{
    bool program = start->spec->program != NULL || start->spec->agreement->program_command_count > 0;
    for (size_t i = 0; i < start->spec->dataset_count; i++) {
        const char *dataset = start->spec->datasets[i]->name;
        if (replay ? mr_replay_covers(db, start->run_uid, dataset)
                   : program || mr_db_int(db, 0,
                                          "SELECT count(*) FROM run_files JOIN uploads USING(upload_id) WHERE"
                                          " run_files.run_uid = ? AND dataset = ?",
                                          "tt", start->run_uid, dataset) > 0)
            pin_dataset(db, start, dataset, seq);
    }
}

/* The row is there; turns it into CLAIMING or SKIPPED. A replay has no files, and seals nothing: its epoch of
 * that is one that no attempt has. */
void mr_begin_run(mr_db *db, const mr_run_start *start)
{
    int64_t seq =
        mr_db_int(db, 0, "UPDATE tenants SET next_seq = next_seq + 1 WHERE uid = ? RETURNING next_seq - 1",
                  "t", start->tenant.uid);
    bool replay = mr_db_int(db, 0, "SELECT 1 FROM replays WHERE run_uid = ?", "t", start->run_uid) != 0;
    int64_t files = replay ? 0 : claim_uploads(db, start);
    bool work = replay || files > 0;
    mr_db_run(db,
              "UPDATE runs SET seq = ?, state = ?, version = ?, files = ?, finished_ms = ?, reason = ?,"
              " sealed_epoch = nullif(?, 0) WHERE run_uid = ?",
              "itiiitit", seq, work ? RUN_CLAIMING : RUN_SKIPPED, start->tenant.version, files,
              work ? (int64_t)0 : start->service->now_ms, work ? NULL : "no file was ready",
              replay ? (int64_t)REPLAY_SEALED : (int64_t)0, start->run_uid);
    if (work) {
        pin_datasets(db, start, replay, seq);
        return;
    }
    mr_db_run(db,
              "DELETE FROM runs WHERE uid = ? AND state = 'SKIPPED' AND seq <= (SELECT seq FROM runs WHERE "
              "uid = ? AND"
              " state = 'SKIPPED' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
              "tti", start->tenant.uid, start->tenant.uid, (int64_t)SKIPPED_KEPT);
}

mr_err mr_insert_run(mr_db *db, mr_run_start *start, mr_error *ret_error)
{
    (void)ret_error; /* the db keeps errors */
    mr_random_hex(start->run_uid, sizeof start->run_uid);
    /* Unique on schedule and time: a time that was handled is not handled again. */
    if (mr_db_run(db,
                  "INSERT OR IGNORE INTO runs(run_uid, tenant, uid, run_id, trigger, due_ms, state, version, "
                  "created_ms)"
                  " VALUES(?, ?, ?, ?, ?, nullif(?, 0), 'QUEUED', ?, ?)",
                  "tttttiii", start->run_uid, start->tenant.tenant, start->tenant.uid, start->run_id,
                  start->trigger, start->due_ms, start->tenant.version, start->service->now_ms) == 1)
        mr_begin_run(db, start);
    return MR_OK;
}

static mr_err execute_start(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)ret_answer, (void)ret_error;
    mr_begin_run(db, arg);
    return MR_OK;
}

mr_err mr_start_queued(mr_service *service, const mr_run *run, const mr_tenant *tenant, mr_error *ret_error)
{
    mr_run_start start = {.service = service, .tenant = *tenant};
    snprintf(start.run_uid, sizeof start.run_uid, "%s", run->run_uid);
    mr_err err = mr_load_spec(service, tenant->uid, tenant->version, &start.spec, ret_error);
    if (err != MR_OK)
        return err;
    return mr_apply(service, "start_run", tenant->tenant, NULL, execute_start, &start, NULL, ret_error);
}
