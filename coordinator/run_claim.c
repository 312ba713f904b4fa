/* run_claim.c - CLAIMING: the files of a run go into its folder, whatever was done of that before. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr_err write_run_json(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    json_t *files = json_array();
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT f.name, u.dataset, u.size_bytes, u.sha256, u.upload_id FROM run_files f JOIN"
                     " uploads u USING(upload_id) WHERE f.run_uid = ? ORDER BY f.upload_id",
                     "t", run->run_uid);
    while (mr_query_next(query))
        json_array_append_new(
            files, json_pack("{s:s, s:s, s:I, s:s, s:I}", "name", mr_query_text(query, 0), "dataset",
                             mr_query_text(query, 1), "size", (json_int_t)mr_query_int(query, 2), "sha256",
                             mr_query_text(query, 3), "upload_id", (json_int_t)mr_query_int(query, 4)));
    json_t *datasets = json_array();
    query = mr_db_select(service->db,
                         "SELECT dataset, schema_id, key_schema_id FROM run_datasets WHERE run_uid = ?", "t",
                         run->run_uid);
    while (mr_query_next(query))
        json_array_append_new(datasets, json_pack("{s:s, s:I, s:I}", "dataset", mr_query_text(query, 0),
                                                  "schema_id", (json_int_t)mr_query_int(query, 1),
                                                  "key_schema_id", (json_int_t)mr_query_int(query, 2)));
    json_t *document = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:I, s:o, s:o, s:o}", "tenant",
                                 run->tenant, "tenant_uid", run->uid, "run_id", run->run_id, "run_uid",
                                 run->run_uid, "seq", (json_int_t)run->seq, "trigger", run->trigger, "due",
                                 mr_json_time(run->due_ms), "version", (json_int_t)run->version, "created_at",
                                 mr_json_time(run->created_ms), "files", files, "datasets", datasets);
    char *text = document != NULL ? json_dumps(document, JSON_INDENT(2)) : NULL;
    json_decref(document);
    char path[64];
    snprintf(path, sizeof path, "runs/%s/run.json", run->run_uid);
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err == MR_OK && text == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "run.json: out of memory");
    if (err == MR_OK)
        err = mr_staging_write(service->staging, path, mr_slice_of(text), ret_error);
    free(text);
    return err;
}

/* The folders that files come from: in/, or claimed/ of the failed run that is retried. */
static mr_err sync_sources(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    char folder[512];
    snprintf(folder, sizeof folder, "tenants/%s/in", run->tenant);
    mr_err err = mr_staging_sync(service->staging, folder, ret_error);
    if (err == MR_OK && run->retry_of[0] != '\0') {
        snprintf(folder, sizeof folder, "tenants/%s/failed/%s/claimed", run->tenant, run->retry_of);
        err = mr_staging_sync(service->staging, folder, ret_error);
    }
    return err;
}

/* A claimed file that is nowhere: someone else removed it. The run cannot be what it says, so it fails. */
typedef struct lost_file {
    const mr_run *run;
    char reason[600];
} lost_file;

static mr_err execute_lost(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const lost_file *lost = arg;
    (void)ret_answer, (void)ret_error;
    mr_finish_run(db, lost->run->run_uid, RUN_FAILED, lost->reason);
    return MR_OK;
}

static mr_err rename_files(mr_service *service, const mr_run *run, bool *ret_lost, mr_error *ret_error)
{
    char to[512];
    mr_err err = MR_OK;
    mr_query *query =
        mr_db_select(service->db, "SELECT source, name FROM run_files WHERE run_uid = ? ORDER BY upload_id",
                     "t", run->run_uid);
    while (err == MR_OK && mr_query_next(query)) {
        snprintf(to, sizeof to, "runs/%s/claimed/%s", run->run_uid, mr_query_text(query, 1));
        err = mr_staging_move(service->staging, mr_query_text(query, 0), to, ret_error);
        if (err == MR_OK)
            MR_FAULT("claim_renamed");
    }
    if (err != MR_OK)
        mr_query_end(query);
    *ret_lost = err == MR_ENOTFOUND;
    return err != MR_OK ? err : mr_db_take_error(service->db, ret_error);
}

mr_err mr_run_claim(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    char folder[64], claimed[80];
    mr_error error = {0};
    bool file_lost = false;
    snprintf(folder, sizeof folder, "runs/%s", run->run_uid);
    snprintf(claimed, sizeof claimed, "%s/claimed", folder);
    MR_FAULT("claim_before_rename");
    mr_err err = mr_staging_make(service->staging, claimed, ret_error);
    if (err != MR_OK)
        return err;
    err = rename_files(service, run, &file_lost, &error);
    if (file_lost) {
        lost_file lost = {.run = run};
        snprintf(lost.reason, sizeof lost.reason, "a file of the run vanished before it was claimed: %s",
                 error.text);
        *ret_moved = true;
        return mr_apply(service, "lose_file", run->tenant, NULL, execute_lost, &lost, NULL, ret_error);
    }
    if (err != MR_OK) {
        if (ret_error != NULL)
            *ret_error = error;
        return err;
    }
    err = mr_staging_sync(service->staging, claimed, ret_error);
    if (err == MR_OK)
        err = sync_sources(service, run, ret_error);
    if (err == MR_OK)
        err = write_run_json(service, run, ret_error);
    if (err == MR_OK)
        err = mr_staging_sync(service->staging, folder, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("claim_done");
    *ret_moved = true;
    return mr_move_run(service, run, RUN_CLAIMED, NULL, ret_error);
}
