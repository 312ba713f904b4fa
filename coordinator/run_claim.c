/* run_claim.c - CLAIMING: the files of a run go into its folder, whatever was done of that before. */
#include "coordinator/records.h"

#include <stdio.h>
#include <string.h>

/* The folders that files come from: in/, or claimed/ of the run that is retried or replaced. */
static mr_err sync_sources(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    char folder[512];
    snprintf(folder, sizeof folder, "tenants/%s/in", run->tenant);
    mr_err err = mr_staging_sync(service->staging, folder, ret_error);
    if (err == MR_OK && run->retry_of[0] != '\0') {
        snprintf(folder, sizeof folder, "tenants/%s/failed/%s/claimed", run->tenant, run->retry_of);
        err = mr_staging_sync(service->staging, folder, ret_error);
    }
    if (err == MR_OK && run->replaces[0] != '\0') {
        snprintf(folder, sizeof folder, "runs/%s/claimed", run->replaces);
        err = mr_staging_sync(service->staging, folder, ret_error);
    }
    return err;
}

/* --- files that are not what was uploaded --- */

/* Somebody removed or changed them in in/. They are failed uploads, told with the run; the others go on. */
typedef struct lost_files {
    const mr_run *run;
    int64_t *ids;
    size_t count;
} lost_files;

static mr_err execute_lost(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const lost_files *lost = arg;
    const char *uid = lost->run->run_uid;
    char reason[600];
    (void)ret_answer, (void)ret_error;
    for (size_t i = 0; i < lost->count; i++) {
        mr_db_run(db, "DELETE FROM run_files WHERE run_uid = ? AND upload_id = ?", "ti", uid, lost->ids[i]);
        mr_db_run(db, "UPDATE uploads SET state = 'failed' WHERE upload_id = ?", "i", lost->ids[i]);
    }
    mr_db_run(
        db,
        "UPDATE runs SET files = (SELECT count(*) FROM run_files f WHERE f.run_uid = runs.run_uid) WHERE"
        " run_uid = ?",
        "t", uid);
    if (mr_db_int(db, 1, "SELECT EXISTS (SELECT 1 FROM run_files WHERE run_uid = ?)", "t", uid) == 0 &&
        mr_lost_files(db, uid, reason, sizeof reason))
        mr_finish_run(db, uid, RUN_FAILED, reason);
    return MR_OK;
}

bool mr_lost_files(mr_db *db, const char *run_uid, char *ret_reason, size_t size)
{
    char names[400];
    mr_db_text(
        db, names, sizeof names,
        "SELECT substr(group_concat(name, ', '), 1, 90) FROM (SELECT name FROM uploads WHERE run_uid = ? AND"
        " state = 'failed' ORDER BY upload_id LIMIT 5)",
        "t", run_uid);
    int64_t count =
        mr_db_int(db, 0, "SELECT count(*) FROM uploads WHERE run_uid = ? AND state = 'failed'", "t", run_uid);
    snprintf(ret_reason, size, "%lld %s removed or changed in in/ after upload, and left out: %s",
             (long long)count, count == 1 ? "file was" : "files were", names);
    return count > 0;
}

/* What is not plain any more, or of another size, is kept in refused/. */
static mr_err set_aside(mr_service *service, const mr_run *run, const char *source, const char *name,
                        mr_error *ret_error)
{
    char folder[80], to[512];
    snprintf(folder, sizeof folder, "runs/%s/refused", run->run_uid);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    mr_err err = mr_staging_make(service->staging, folder, ret_error);
    if (err == MR_OK)
        err = mr_staging_move(service->staging, source, to, ret_error);
    return err == MR_OK ? mr_staging_sync(service->staging, folder, ret_error) : err;
}

/* --- the others --- */

/* *ret_lost: it is not what was uploaded. */
static mr_err claim_file(mr_service *service, const mr_run *run, const char *source, const char *name,
                         int64_t size_bytes, bool *ret_lost, mr_error *ret_error)
{
    char to[512];
    bool there = false;
    mr_error why;
    snprintf(to, sizeof to, "runs/%s/claimed/%s", run->run_uid, name);
    mr_err err = mr_staging_check(service->staging, source, size_bytes, &why);
    if (err == MR_OK)
        return mr_staging_move(service->staging, source, to, ret_error);
    if (err == MR_ENOTFOUND) { /* claimed by a try that was cut short? */
        err = mr_staging_find(service->staging, to, &there, ret_error);
        *ret_lost = err == MR_OK && !there;
    } else if (err == MR_EINVALID) {
        err = set_aside(service, run, source, name, ret_error);
        *ret_lost = err == MR_OK;
    } else if (ret_error != NULL) {
        *ret_error = why;
    }
    if (*ret_lost)
        mr_log(MR_ERROR, "a file is not what was uploaded: left out", MR_STR("tenant", run->tenant),
               MR_STR("run", run->run_id), MR_STR("file", name), MR_STR("error", why.text));
    return err;
}

static mr_err claim_files(mr_service *service, const mr_run *run, lost_files *lost, mr_error *ret_error)
{
    mr_err err = MR_OK;
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT f.source, f.name, u.size_bytes, f.upload_id FROM run_files f JOIN uploads u"
                     " USING(upload_id) WHERE f.run_uid = ? ORDER BY f.upload_id",
                     "t", run->run_uid);
    while (err == MR_OK && mr_query_next(query)) {
        bool is_lost = false;
        err = claim_file(service, run, mr_query_text(query, 0), mr_query_text(query, 1),
                         mr_query_int(query, 2), &is_lost, ret_error);
        if (err == MR_OK && is_lost)
            lost->ids[lost->count++] = mr_query_int(query, 3);
        else if (err == MR_OK)
            MR_FAULT("claim_renamed");
    }
    if (err != MR_OK)
        mr_query_end(query);
    return err != MR_OK ? err : mr_db_take_error(service->db, ret_error);
}

/* *ret_moved: some were lost, which is recorded; look at the run again. */
static mr_err claim_all(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    lost_files lost = {.run = run};
    int64_t files =
        mr_db_int(service->db, 0, "SELECT count(*) FROM run_files WHERE run_uid = ?", "t", run->run_uid);
    lost.ids = calloc((size_t)files + 1, sizeof *lost.ids);
    mr_err err = lost.ids == NULL ? mr_fail(ret_error, MR_ENOMEM, "claim: out of memory")
                                  : claim_files(service, run, &lost, ret_error);
    if (err == MR_OK && lost.count > 0) {
        err = mr_apply(service, "lose_files", run->tenant, NULL, execute_lost, &lost, NULL, ret_error);
        *ret_moved = err == MR_OK;
    }
    free(lost.ids);
    return err;
}

/* Nothing of the run that is replaced is needed any more. */
static mr_err leave_replaced(mr_service *service, const mr_run *run, mr_error *ret_error)
{
    char folder[80];
    MR_FAULT("replace_before_discard");
    snprintf(folder, sizeof folder, "runs/%s", run->replaces);
    service->sweep = true;
    return mr_staging_discard(service->staging, folder, ret_error);
}

mr_err mr_run_claim(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    char folder[64], claimed[80];
    snprintf(folder, sizeof folder, "runs/%s", run->run_uid);
    snprintf(claimed, sizeof claimed, "%s/claimed", folder);
    MR_FAULT("claim_before_rename");
    bool lost = false;
    mr_err err = mr_staging_make(service->staging, claimed, ret_error);
    if (err == MR_OK) /* first: a file in claimed/ is always accounted for */
        err = mr_record_run(service, run->run_uid, ret_error);
    if (err == MR_OK)
        err = mr_staging_sync(service->staging, folder, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("claim_noted");
    err = claim_all(service, run, &lost, ret_error);
    if (err != MR_OK || lost) {
        *ret_moved = *ret_moved || lost;
        return err;
    }
    err = mr_staging_sync(service->staging, claimed, ret_error);
    if (err == MR_OK)
        err = sync_sources(service, run, ret_error);
    if (err == MR_OK && run->replaces[0] != '\0')
        err = leave_replaced(service, run, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("claim_done");
    *ret_moved = true;
    return mr_move_run(service, run, RUN_CLAIMED, NULL, ret_error);
}
