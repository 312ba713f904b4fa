/* tenant_delete.c - deleting a tenant: DELETING (durable) until its tasks have stopped, then its folders,
 * then its rows. */
#include "coordinator/service_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct delete_request {
    mr_service *service;
    mr_tenant tenant;
    bool purge;
} delete_request;

static mr_err execute_deleting(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const delete_request *request = arg;
    const char *uid = request->tenant.uid;
    int64_t files = mr_db_int(
        db, 0, "SELECT count(*) FROM uploads WHERE uid = ? AND state IN ('receiving','ready','claimed')", "t",
        uid);
    int64_t runs =
        mr_db_int(db, 0, "SELECT count(*) FROM runs WHERE uid = ? AND state NOT IN " SQL_FINAL, "t", uid);
    if ((files > 0 || runs > 0) && !request->purge)
        return mr_fail(
            ret_error, MR_EREFUSED,
            "tenant %s has %lld file(s) and %lld unfinished run(s): let them finish, or give them up with "
            "--purge",
            request->tenant.tenant, (long long)files, (long long)runs);
    mr_db_run(db, "UPDATE tenants SET state = 'DELETING', next_due_ms = NULL WHERE uid = ?", "t", uid);
    mr_audit(db, &(mr_audit_entry){
                     .before = json_pack("{s:s, s:I, s:I}", "state", request->tenant.state, "files",
                                         (json_int_t)files, "unfinished_runs", (json_int_t)runs),
                     .after = json_pack("{s:s, s:b}", "state", "DELETING", "purge", (int)request->purge)});
    *ret_answer = json_pack("{s:s, s:s}", "tenant", request->tenant.tenant, "state", "DELETING");
    return MR_OK;
}

mr_err mr_service_delete_tenant(mr_service *service, const char *key, const char *tenant, bool purge,
                                json_t **ret_answer, mr_error *ret_error)
{
    delete_request request = {.service = service, .purge = purge};
    mr_err err = mr_find_tenant(service, tenant, &request.tenant, ret_error);
    if (err == MR_OK)
        err = mr_apply(service, "delete_tenant", tenant, key, execute_deleting, &request, ret_answer,
                       ret_error);
    if (err == MR_OK)
        mr_log(MR_INFO, "tenant is being deleted", MR_STR("tenant", tenant),
               MR_STR("purge", purge ? "true" : "false"));
    return err;
}

void mr_erase_tenant(mr_db *db, const mr_tenant *tenant)
{
    const char *uid = tenant->uid;
    mr_db_run(db, "DELETE FROM run_files WHERE run_uid IN (SELECT run_uid FROM runs WHERE uid = ?)", "t",
              uid);
    mr_db_run(db, "DELETE FROM run_ranges WHERE run_uid IN (SELECT run_uid FROM runs WHERE uid = ?)", "t",
              uid);
    mr_db_run(db, "DELETE FROM run_datasets WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM run_sinks WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM sinks WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM gone_sinks WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM ends WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM sink_positions WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM sink_counts WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM uploads WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM replays WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM runs WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM specs WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM schemas WHERE uid = ?", "t", uid);
    mr_db_run(db, "DELETE FROM topics WHERE tenant = ?", "t", tenant->tenant);
    mr_db_run(db, "DELETE FROM store_tables WHERE tenant = ?", "t", tenant->tenant);
    mr_db_run(db, "DELETE FROM tenants WHERE uid = ?", "t", uid);
    /* A key that the former tenant used says nothing about the next one of that name. */
    mr_db_run(db, "DELETE FROM idempotency WHERE name <> 'delete_tenant' AND key GLOB ? || ':*'", "t",
              tenant->tenant);
}

static mr_err execute_deleted(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_tenant *tenant = arg;
    (void)ret_answer, (void)ret_error;
    mr_erase_tenant(db, tenant);
    mr_audit(db, &(mr_audit_entry){.tenant = tenant->tenant,
                                   .before = json_pack("{s:s, s:s, s:I}", "state", tenant->state, "uid",
                                                       tenant->uid, "version", (json_int_t)tenant->version)});
    return MR_OK;
}

static mr_err discard_folders(mr_service *service, const mr_tenant *tenant, mr_error *ret_error)
{
    char path[128], uids[256][UID_BYTES];
    size_t count = mr_list_open_runs(service, tenant->uid, uids, 256);
    mr_err err = mr_db_take_error(service->db, ret_error);
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        snprintf(path, sizeof path, "runs/%.32s", uids[i]);
        err = mr_staging_discard(service->staging, path, ret_error);
    }
    snprintf(path, sizeof path, "tenants/%s", tenant->tenant);
    return err == MR_OK ? mr_staging_discard(service->staging, path, ret_error) : err;
}

/* The embedded bus keeps one tenant_uid per file: without the file a tenant of that name may begin anew. */
static mr_err remove_bus(mr_service *service, const mr_tenant *tenant, mr_error *ret_error)
{
    static const char *const suffixes[] = {".db", ".db-wal", ".db-shm", ".db.holder", ".holder", ".bell"};
    char path[4300];
    if (strcmp(service->config.bus, "embedded") != 0)
        return MR_OK;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s/%s%s", service->config.bus_dir, tenant->tenant, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return mr_fail_errno(ret_error, errno, "bus of tenant %s: unlink %s", tenant->tenant, path);
    }
    return MR_OK;
}

mr_err mr_delete_step(mr_service *service, const mr_tenant *tenant, bool *ret_moved, mr_error *ret_error)
{
    if (mr_tenant_has_tasks(service, tenant->tenant))
        return MR_OK; /* the plan stops them */
    mr_err err = discard_folders(service, tenant, ret_error);
    if (err == MR_OK)
        err = remove_bus(service, tenant, ret_error);
    if (err != MR_OK)
        return err;
    service->sweep = true;
    MR_FAULT("tenant_discarded");
    err = mr_apply(service, "tenant_deleted", NULL, NULL, execute_deleted, (void *)tenant, NULL, ret_error);
    if (err != MR_OK)
        return err;
    *ret_moved = true;
    mr_log(MR_INFO, "tenant deleted", MR_STR("tenant", tenant->tenant));
    return MR_OK;
}
