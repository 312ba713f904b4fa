/* retention.c - what finished runs left in done/ and failed/ goes after the agreement's days; the history
 * stays. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 100 };

typedef struct expired_run {
    char run_uid[UID_BYTES];
    char run_id[40];
    char tenant[64];
} expired_run;

static mr_err execute_removed(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const expired_run *expired = arg;
    (void)ret_answer, (void)ret_error;
    mr_db_run(db, "UPDATE runs SET removed = 1 WHERE run_uid = ?", "t", expired->run_uid);
    mr_audit(db, &(mr_audit_entry){.tenant = expired->tenant,
                                   .subject = expired->run_id,
                                   .after = json_pack("{s:s}", "files", "removed")});
    return MR_OK;
}

static mr_err remove_files(mr_service *service, expired_run *expired, mr_error *ret_error)
{
    static const char *const folders[] = {"done", "failed"};
    char path[200];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "tenants/%.63s/%s/%.32s", expired->tenant, folders[i], expired->run_uid);
        mr_err err = mr_staging_discard(service->staging, path, ret_error);
        if (err != MR_OK)
            return err;
    }
    service->sweep = true;
    MR_FAULT("retention_discarded");
    return mr_apply(service, "files_removed", NULL, NULL, execute_removed, expired, NULL, ret_error);
}

static mr_err execute_expire(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_service *service = arg;
    (void)ret_answer, (void)ret_error;
    mr_audit_expire(db, service->now_ms, service->config.audit_retention_days);
    return MR_OK;
}

mr_err mr_retain(mr_service *service, mr_error *ret_error)
{
    expired_run list[BATCH];
    size_t count = 0;
    /* A failed run whose files a retry is about to claim keeps them. */
    mr_query *query = mr_db_select(
        service->db,
        "SELECT r.run_uid, r.tenant, r.run_id FROM runs r JOIN tenants t ON t.uid = r.uid JOIN specs s ON "
        "s.uid = "
        "t.uid AND"
        " s.version = t.version WHERE r.run_uid IN (SELECT run_uid FROM runs WHERE removed = 0 AND files > 0 "
        "AND"
        " finished_ms > 0 UNION ALL SELECT run_uid FROM runs WHERE removed = 0 AND trigger = 'replay' AND"
        " finished_ms > 0) AND r.state <> 'CANCELLED' AND r.finished_ms < ? - 86400000 * s.retention_days "
        "AND NOT EXISTS (SELECT 1 FROM runs n WHERE"
        " n.run_uid = r.retried_by AND n.state IN ('QUEUED','CLAIMING')) LIMIT ?",
        "ii", service->now_ms, (int64_t)BATCH);
    while (mr_query_next(query)) {
        snprintf(list[count].run_uid, UID_BYTES, "%s", mr_query_text(query, 0));
        snprintf(list[count].tenant, sizeof list[count].tenant, "%s", mr_query_text(query, 1));
        snprintf(list[count].run_id, sizeof list[count].run_id, "%s", mr_query_text(query, 2));
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        mr_err err = remove_files(service, &list[i], ret_error);
        if (err != MR_OK)
            return err;
    }
    return mr_apply(service, "audit_expired", NULL, NULL, execute_expire, service, NULL, ret_error);
}
