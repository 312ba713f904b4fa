/* run_claim.c - CLAIMING: the files of a run go into its folder, whatever was done of that before. */
#include "coordinator/records.h"

#include <stdio.h>
#include <string.h>

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
    if (err == MR_OK) /* first: a file in claimed/ is always accounted for */
        err = mr_record_run(service, run->run_uid, ret_error);
    if (err == MR_OK)
        err = mr_staging_sync(service->staging, folder, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("claim_noted");
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
    if (err != MR_OK)
        return err;
    MR_FAULT("claim_done");
    *ret_moved = true;
    return mr_move_run(service, run, RUN_CLAIMED, NULL, ret_error);
}
