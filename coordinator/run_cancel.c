/* run_cancel.c - CANCELLING: files go back to in/. ABANDONING: what was produced is fenced off and skipped.
 */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

/* --- CANCELLING --- */

static mr_err return_files(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    char in[128], from[512], to[512], source[600];
    mr_err err = MR_OK;
    snprintf(in, sizeof in, "tenants/%s/in", run->tenant);
    mr_query *query =
        mr_db_select(service->db, "SELECT name, source FROM run_files WHERE run_uid = ?", "t", run->run_uid);
    while (err == MR_OK && mr_query_next(query)) {
        snprintf(from, sizeof from, "runs/%s/claimed/%s", run->run_uid, mr_query_text(query, 0));
        snprintf(to, sizeof to, "%s/%s", in, mr_query_text(query, 0));
        snprintf(source, sizeof source, "%s", mr_query_text(query, 1));
        if (strcmp(source, to) != 0 && mr_staging_exists(service->staging, source))
            snprintf(from, sizeof from, "%.500s",
                     source); /* another run's: it was not claimed from there yet */
        err = mr_staging_move(service->staging, from, to, ret_error);
        if (err == MR_OK)
            MR_FAULT("cancel_renamed");
        if (err == MR_ENOTFOUND) /* somebody removed it: the next run that claims it says so */
            err = MR_OK;
    }
    if (err != MR_OK)
        mr_query_end(query);
    else
        err = mr_db_take_error(service->db, ret_error);
    return err == MR_OK ? mr_staging_sync(service->staging, in, ret_error) : err;
}

/* What was not what had been uploaded is nobody's to claim again, and is kept. */
static mr_err keep_refused(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    char from[80], folder[200], to[220];
    bool there = false;
    snprintf(from, sizeof from, "runs/%s/refused", run->run_uid);
    snprintf(folder, sizeof folder, "tenants/%s/failed/%s", run->tenant, run->run_uid);
    snprintf(to, sizeof to, "%s/refused", folder);
    mr_err err = mr_staging_find(service->staging, from, &there, ret_error);
    if (err != MR_OK || !there)
        return err;
    err = mr_staging_make(service->staging, folder, ret_error);
    if (err == MR_OK)
        err = mr_staging_move(service->staging, from, to, ret_error);
    return err == MR_OK ? mr_staging_sync(service->staging, folder, ret_error) : err;
}

void mr_end_cancelled(mr_db *db, const mr_run *run, int64_t now_ms)
{
    const char *uid = run->run_uid;
    mr_db_run(
        db, "UPDATE runs SET state = 'CANCELLED', finished_ms = ? WHERE run_uid = ? AND state = 'CANCELLING'",
        "it", now_ms, uid);
    mr_db_run(db, "UPDATE run_datasets SET state = 'ABANDONED' WHERE run_uid = ?", "t", uid);
    mr_db_run(db, "UPDATE run_sinks SET state = 'FINAL' WHERE run_uid = ?", "t", uid);
    mr_audit(db, &(mr_audit_entry){.subject = run->run_id,
                                   .before = json_pack("{s:s}", "state", RUN_CANCELLING),
                                   .after = json_pack("{s:s}", "state", RUN_CANCELLED)});
}

typedef struct cancel_command {
    mr_service *service;
    const mr_run *run;
} cancel_command;

static mr_err execute_cancelled(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const cancel_command *cancelled = arg;
    const char *uid = cancelled->run->run_uid;
    (void)ret_answer, (void)ret_error;
    mr_end_cancelled(db, cancelled->run, cancelled->service->now_ms);
    mr_db_run(db,
              "UPDATE uploads SET state = 'ready', run_uid = NULL WHERE run_uid = ? AND state = 'claimed'",
              "t", uid);
    return MR_OK;
}

mr_err mr_run_cancel(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    if (mr_run_tasks(service, run->tenant, run->run_uid) > 0)
        return MR_OK; /* its tasks are stopping: what they say last decides */
    /* A source whose last word is not known may have committed rows. */
    bool committed = mr_db_int(service->db, 1,
                               "SELECT coalesce(sum(read + rejected + produced + rejected_files + bytes +"
                               " given_out + (state <> 'OPEN')), 0) FROM run_datasets WHERE run_uid = ?",
                               "t", run->run_uid) > 0;
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        return err;
    if (run->sealed_epoch != 0 && committed) {
        *ret_moved = true;
        return mr_move_run(
            service, run, RUN_SOURCE,
            "not cancelled: rows may be committed already (millrace run abandon leaves the rest out)",
            ret_error);
    }
    char folder[80];
    snprintf(folder, sizeof folder, "runs/%s", run->run_uid);
    err = keep_refused(service, run, ret_error);
    if (err != MR_OK)
        return err;
    mr_run successor;
    if (mr_find_successor(service, run, &successor)) {
        *ret_moved = true;
        return mr_hand_on(service, run, &successor, ret_error);
    }
    err = return_files(service, run, ret_error);
    if (err == MR_OK)
        err = mr_staging_discard(service->staging, folder, ret_error);
    if (err != MR_OK)
        return err;
    service->sweep = true;
    cancel_command cancelled = {service, run};
    *ret_moved = true;
    return mr_apply(service, "cancelled", run->tenant, NULL, execute_cancelled, &cancelled, NULL, ret_error);
}

/* --- ABANDONING --- */

static mr_err execute_abandoned(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_run *run = arg;
    char dataset[101];
    (void)ret_answer, (void)ret_error;
    mr_query *query =
        mr_db_select(db, "SELECT dataset FROM run_datasets WHERE run_uid = ?", "t", run->run_uid);
    while (mr_query_next(query)) {
        snprintf(dataset, sizeof dataset, "%s", mr_query_text(query, 0));
        mr_skip_dataset(db, run->run_uid, dataset, "ABANDONED");
    }
    mr_finish_run(db, run->run_uid, RUN_ABANDONED, "abandoned by request");
    return MR_OK;
}

mr_err mr_run_abandon(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    bool open =
        mr_db_int(service->db, 1, "SELECT count(*) FROM run_datasets WHERE run_uid = ? AND state = 'OPEN'",
                  "t", run->run_uid) > 0;
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        return err;
    bool fencing = run->sealed_epoch != 0 && open;
    bool program = run->sealed_epoch == 0 && mr_run_tasks(service, run->tenant, run->run_uid) > 0;
    if (fencing || program)
        return MR_OK;
    err = mr_flush_progress(service, ret_error); /* what the sinks have delivered until now */
    if (err != MR_OK)
        return err;
    *ret_moved = true;
    return mr_apply(service, "abandoned", run->tenant, NULL, execute_abandoned, (void *)run, NULL, ret_error);
}
