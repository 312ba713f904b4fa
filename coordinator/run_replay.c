/* run_replay.c - a run that reads what earlier runs rejected, in place of files. It has no files and no
 * program: from CLAIMED it goes to SOURCE, and what it is to read stands in `replays`. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct replay_request {
    mr_service *service;
    mr_tenant tenant;
    const char *dataset; /* NULL: all */
    mr_run of;           /* run_uid "": all */
    bool force;
} replay_request;

static json_t *what_is_replayed(const replay_request *request, const char *run_uid)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "state", RUN_QUEUED, "trigger", RUN_TRIGGER_REPLAY,
                     "run_uid", run_uid, "dataset", mr_json_text(request->dataset), "of_run",
                     mr_json_text(request->of.run_id), "force", (int)request->force);
}

static mr_err execute_replay(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const replay_request *request = arg;
    char run_uid[UID_BYTES], run_id[40];
    (void)ret_error;
    mr_queue_run(db, request->service, &request->tenant, RUN_TRIGGER_REPLAY, run_uid, run_id);
    mr_db_run(db,
              "INSERT INTO replays(run_uid, uid, dataset, of_run, force) VALUES(?, ?, ?, nullif(?, ''), ?)",
              "tttti", run_uid, request->tenant.uid, request->dataset, request->of.run_uid,
              (int64_t)request->force);
    mr_audit(db, &(mr_audit_entry){.subject = run_id, .after = what_is_replayed(request, run_uid)});
    *ret_answer = json_pack("{s:s, s:s, s:s}", "run_id", run_id, "run_uid", run_uid, "state", RUN_QUEUED);
    return MR_OK;
}

mr_err mr_service_replay(mr_service *service, const char *key, const char *tenant, const char *dataset,
                         const char *run, bool force, json_t **ret_answer, mr_error *ret_error)
{
    replay_request request = {.service = service, .dataset = dataset, .force = force};
    const mr_tenant_spec *spec;
    mr_err err = mr_find_active_tenant(service, tenant, &request.tenant, ret_error);
    if (err == MR_OK)
        err = mr_load_spec(service, request.tenant.uid, request.tenant.version, &spec, ret_error);
    if (err == MR_OK && dataset != NULL && mr_spec_dataset(spec, dataset) == NULL)
        err = mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no dataset \"%.100s\"", tenant, dataset);
    if (err == MR_OK && run != NULL)
        err = mr_find_run(service, tenant, run, &request.of, ret_error);
    if (err != MR_OK)
        return err;
    return mr_apply(service, "replay", tenant, key, execute_replay, &request, ret_answer, ret_error);
}

bool mr_run_replays(const mr_run *run)
{
    return strcmp(run->trigger, RUN_TRIGGER_REPLAY) == 0;
}

bool mr_replay_covers(mr_db *db, const char *run_uid, const char *dataset)
{
    return mr_db_int(db, 0, "SELECT 1 FROM replays WHERE run_uid = ? AND coalesce(dataset, ?) = ?", "ttt",
                     run_uid, dataset, dataset) != 0;
}
