/* run_replace.c - concurrency_policy replace: a run is due while another is before its SOURCE. That one is
 * cancelled; once its program's processes are gone, its files become the new one's in one transaction,
 * without going back to in/, and the new one claims them from the other's folder. */
#include "coordinator/service_internal.h"

#include <stdio.h>

void mr_replace_run(mr_db *db, mr_run_start *start, const char *former)
{
    char reason[120];
    mr_random_hex(start->run_uid, sizeof start->run_uid);
    if (mr_db_run(db,
                  "INSERT OR IGNORE INTO runs(run_uid, tenant, uid, run_id, trigger, due_ms, state, version,"
                  " created_ms, replaces) VALUES(?, ?, ?, ?, ?, ?, 'QUEUED', ?, ?, ?)",
                  "tttttiiit", start->run_uid, start->tenant.tenant, start->tenant.uid, start->run_id,
                  start->trigger, start->due_ms, start->tenant.version, start->service->now_ms, former) != 1)
        return;
    snprintf(reason, sizeof reason, "replaced by run %s, which was due", start->run_id);
    mr_db_run(db,
              "UPDATE runs SET state = 'CANCELLING', reason = ? WHERE run_uid = ? AND state IN"
              " ('CLAIMED','PROGRAM')",
              "tt", reason, former);
}

bool mr_find_successor(mr_service *service, const mr_run *run, mr_run *ret_successor)
{
    char uid[UID_BYTES];
    return mr_db_text(service->db, uid, sizeof uid,
                      "SELECT run_uid FROM runs WHERE replaces = ? AND state = 'QUEUED'", "t",
                      run->run_uid) &&
           mr_load_run(service, uid, ret_successor);
}

typedef struct handing_on {
    const mr_run *former;
    mr_run_start start;
} handing_on;

/* What waits in in/ by now comes with it. */
static mr_err execute_hand_on(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    handing_on *handing = arg;
    const char *former = handing->former->run_uid, *next = handing->start.run_uid;
    (void)ret_answer, (void)ret_error;
    mr_db_run(
        db,
        "INSERT INTO run_files(run_uid, upload_id, source, name) SELECT ?1, f.upload_id, 'runs/' || ?2 ||"
        " '/claimed/' || f.name, f.name FROM run_files f WHERE f.run_uid = ?2 UNION ALL SELECT ?1,"
        " upload_id, 'tenants/' || tenant || '/in/' || name, name FROM uploads WHERE uid = ?3 AND state ="
        " 'ready'",
        "ttt", next, former, handing->former->uid);
    mr_end_cancelled(db, handing->former, handing->start.service->now_ms);
    mr_begin_run(db, &handing->start);
    return MR_OK;
}

mr_err mr_hand_on(mr_service *service, const mr_run *run, const mr_run *successor, mr_error *ret_error)
{
    handing_on handing = {.former = run, .start = {.service = service}};
    mr_tenant *tenant = &handing.start.tenant;
    mr_err err = mr_find_tenant(service, run->tenant, tenant, ret_error);
    if (err != MR_OK)
        return err;
    snprintf(handing.start.run_uid, sizeof handing.start.run_uid, "%s", successor->run_uid);
    err = mr_load_spec(service, tenant->uid, tenant->version, &handing.start.spec, ret_error);
    if (err == MR_OK)
        err = mr_apply(service, "hand_on", run->tenant, NULL, execute_hand_on, &handing, NULL, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("replace_handed_on");
    mr_log(MR_INFO, "run replaced", MR_STR("tenant", run->tenant), MR_STR("run", run->run_id),
           MR_STR("by", successor->run_id));
    return MR_OK;
}
