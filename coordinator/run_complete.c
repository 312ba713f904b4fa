/* run_complete.c - COMPLETING: what a run leaves behind moves to done/ or failed/, whatever of that was done
 * before. */
#include "coordinator/records.h"

#include <stdio.h>
#include <string.h>

/* One thing that may be in the run's folder. */
static mr_err move_one(mr_service *service, const mr_run *run, const char *target, const char *name,
                       mr_error *ret_error)
{
    char from[512], to[512];
    snprintf(from, sizeof from, "runs/%s/%s", run->run_uid, name);
    snprintf(to, sizeof to, "%s/%s", target, name);
    bool there;
    mr_err err = mr_staging_find(service->staging, from, &there, ret_error);
    if (err != MR_OK || !there)
        return err; /* moved before, or never there */
    err = mr_staging_move(service->staging, from, to, ret_error);
    if (err == MR_OK)
        MR_FAULT("complete_moved");
    return err;
}

static mr_err move_all(mr_service *service, const mr_run *run, const char *target, mr_error *ret_error)
{
    char sealed[40], manifest[60];
    snprintf(sealed, sizeof sealed, "sealed-%lld", (long long)run->sealed_epoch);
    snprintf(manifest, sizeof manifest, "manifest-%lld.json", (long long)run->sealed_epoch);
    const char *const names[] = {"claimed", "refused", sealed, manifest, "program.log", "run.json"};
    mr_err err = MR_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && err == MR_OK; i++)
        err = move_one(service, run, target, names[i], ret_error);
    return err;
}

typedef struct final_command {
    mr_service *service;
    const mr_run *run;
} final_command;

static mr_err execute_final(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const final_command *final = arg;
    const mr_run *run = final->run;
    (void)ret_answer, (void)ret_error;
    const char *files = strcmp(run->outcome, RUN_FAILED) == 0      ? "failed"
                        : strcmp(run->outcome, RUN_ABANDONED) == 0 ? "abandoned"
                                                                   : "done";
    mr_db_run(db,
              "UPDATE runs SET state = outcome, finished_ms = coalesce(nullif(finished_ms, 0), ?) WHERE "
              "run_uid = ? AND state = 'COMPLETING'",
              "it", final->service->now_ms, run->run_uid);
    mr_db_run(db, "UPDATE uploads SET state = ? WHERE run_uid = ? AND state = 'claimed'", "tt", files,
              run->run_uid);
    mr_audit(db, &(mr_audit_entry){.subject = run->run_id,
                                   .before = json_pack("{s:s}", "state", run->state),
                                   .after = json_pack("{s:s, s:o}", "state", run->outcome, "reason",
                                                      mr_json_text(run->reason))});
    return MR_OK;
}

mr_err mr_run_complete(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    char folder[80], target[200];
    bool good = strcmp(run->outcome, RUN_COMPLETED) == 0 || strcmp(run->outcome, RUN_REJECTS) == 0;
    snprintf(folder, sizeof folder, "runs/%s", run->run_uid);
    snprintf(target, sizeof target, "tenants/%s/%s/%s", run->tenant, good ? "done" : "failed", run->run_uid);
    if (mr_run_tasks(service, run->tenant, run->run_uid) > 0)
        return MR_OK; /* a last task of it is ending */
    mr_err err = mr_staging_make(service->staging, target, ret_error);
    if (err ==
        MR_OK) /* first: a folder below done/ or failed/ with a result stands for a run that is decided */
        err = mr_record_result(service, run->run_uid, target, ret_error);
    if (err == MR_OK)
        MR_FAULT("complete_noted");
    if (err == MR_OK)
        err = move_all(service, run, target, ret_error);
    if (err == MR_OK)
        err = mr_staging_sync(service->staging, target, ret_error);
    if (err == MR_OK)
        err = mr_staging_discard(service->staging, folder, ret_error);
    if (err != MR_OK)
        return err;
    service->sweep = true;
    MR_FAULT("complete_before_done");
    final_command final = {service, run};
    err = mr_apply(service, "complete_run", run->tenant, NULL, execute_final, &final, NULL, ret_error);
    if (err != MR_OK)
        return err;
    *ret_moved = true;
    mr_log(good ? MR_INFO : MR_WARN, "run finished", MR_STR("tenant", run->tenant),
           MR_STR("run", run->run_id), MR_STR("state", run->outcome), MR_STR("reason", run->reason));
    return MR_OK;
}
