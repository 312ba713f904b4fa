/* run_requests.c - what people ask of runs: now, cancel, retry, abandon. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct run_request {
    mr_service *service;
    mr_tenant tenant;
    mr_run run;
    const char *to; /* state that cancel and abandon lead to */
} run_request;

static json_t *run_answer(mr_db *db, const char *run_uid)
{
    mr_query *query = mr_db_select(db, "SELECT run_id, state FROM runs WHERE run_uid = ?", "t", run_uid);
    if (!mr_query_next(query))
        return NULL;
    json_t *answer = json_pack("{s:s, s:s, s:s}", "run_id", mr_query_text(query, 0), "run_uid", run_uid,
                               "state", mr_query_text(query, 1));
    mr_query_end(query);
    return answer;
}

/* --- run now --- */

static json_t *ready_files(mr_db *db, const char *uid)
{
    json_t *files = json_array();
    mr_query *query =
        mr_db_select(db,
                     "SELECT upload_id, name, state FROM uploads WHERE uid = ? AND state = 'ready' ORDER BY"
                     " upload_id",
                     "t", uid);
    while (mr_query_next(query))
        json_array_append_new(files,
                              json_pack("{s:I, s:s, s:s}", "upload_id", (json_int_t)mr_query_int(query, 0),
                                        "name", mr_query_text(query, 1), "state", mr_query_text(query, 2)));
    return files;
}

void mr_queue_run(mr_db *db, const mr_service *service, const mr_tenant *tenant, const char *trigger,
                  char *run_uid, char *run_id)
{
    int64_t number = mr_db_int(db, 0,
                               "UPDATE tenants SET next_manual = next_manual + 1 WHERE uid = ? RETURNING"
                               " next_manual - 1",
                               "t", tenant->uid);
    bool replay = strcmp(trigger, RUN_TRIGGER_REPLAY) == 0;
    snprintf(run_id, 40, "%s-%lld", replay ? trigger : "manual", (long long)number);
    mr_random_hex(run_uid, UID_BYTES);
    mr_db_run(db,
              "INSERT INTO runs(run_uid, tenant, uid, run_id, trigger, state, version, created_ms) VALUES(?, "
              "?, ?, ?, ?,"
              " 'QUEUED', ?, ?)",
              "tttttii", run_uid, tenant->tenant, tenant->uid, run_id, trigger, tenant->version,
              service->now_ms);
}

static void insert_queued(mr_db *db, const run_request *request, const char *trigger, char *run_uid)
{
    char run_id[40];
    mr_queue_run(db, request->service, &request->tenant, trigger, run_uid, run_id);
    mr_audit(db, &(mr_audit_entry){.subject = run_id,
                                   .after = json_pack("{s:s, s:s, s:s, s:o}", "state", RUN_QUEUED, "trigger",
                                                      trigger, "run_uid", run_uid, "retry_of",
                                                      mr_json_text(request->run.run_id))});
}

static mr_err execute_run_now(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const run_request *request = arg;
    char run_uid[UID_BYTES];
    (void)ret_error;
    if (!mr_db_text(db, run_uid, sizeof run_uid,
                    "SELECT run_uid FROM runs WHERE uid = ? AND state = 'QUEUED' AND trigger = 'manual'", "t",
                    request->tenant.uid))
        insert_queued(db, request, "manual", run_uid);
    *ret_answer = run_answer(db, run_uid);
    json_object_set_new(*ret_answer, "files", ready_files(db, request->tenant.uid));
    return MR_OK;
}

mr_err mr_find_active_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant,
                             mr_error *ret_error)
{
    mr_err err = mr_find_tenant(service, tenant, ret_tenant, ret_error);
    if (err == MR_OK && strcmp(ret_tenant->state, "ACTIVE") != 0)
        err = mr_fail(ret_error, MR_EREFUSED, "tenant %s is being deleted", tenant);
    return err;
}

mr_err mr_service_run_now(mr_service *service, const char *key, const char *tenant, json_t **ret_answer,
                          mr_error *ret_error)
{
    run_request request = {.service = service};
    mr_err err = mr_find_active_tenant(service, tenant, &request.tenant, ret_error);
    if (err != MR_OK)
        return err;
    return mr_apply(service, "run_now", tenant, key, execute_run_now, &request, ret_answer, ret_error);
}

/* The answer of a request that was made before under the same key: its run may have moved on since. */
static mr_err answered(mr_service *service, const char *name, const char *tenant, const char *key,
                       json_t **ret_answer, mr_error *ret_error)
{
    char own[300];
    *ret_answer = NULL;
    if (key == NULL)
        return MR_OK;
    snprintf(own, sizeof own, "%s:%s", tenant, key);
    return mr_state_answer(service->state, name, own, ret_answer, ret_error);
}

/* --- cancel, abandon --- */

static bool one_of(const char *state, const char *const *states)
{
    for (; *states != NULL; states++) {
        if (strcmp(state, *states) == 0)
            return true;
    }
    return false;
}

static mr_err execute_to(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const run_request *request = arg;
    const mr_run *run = &request->run;
    (void)ret_error;
    if (strcmp(run->state, RUN_QUEUED) ==
        0) { /* it has nothing yet but, when it is a retry, a claim on files */
        mr_db_run(db, "UPDATE runs SET state = 'CANCELLED', finished_ms = ? WHERE run_uid = ?", "it",
                  request->service->now_ms, run->run_uid);
        mr_db_run(db,
                  "UPDATE uploads SET state = 'failed', run_uid = ? WHERE upload_id IN (SELECT upload_id "
                  "FROM run_files"
                  " WHERE run_uid = ?)",
                  "tt", run->retry_of, run->run_uid);
        mr_db_run(db, "UPDATE runs SET retried_by = NULL WHERE retried_by = ?", "t", run->run_uid);
    } else {
        mr_db_run(db, "UPDATE runs SET state = ? WHERE run_uid = ? AND state = ?", "ttt", request->to,
                  run->run_uid, run->state);
    }
    *ret_answer = run_answer(db, run->run_uid);
    mr_audit(db,
             &(mr_audit_entry){.subject = run->run_id,
                               .before = json_pack("{s:s}", "state", run->state),
                               .after = json_pack("{s:O}", "state", json_object_get(*ret_answer, "state"))});
    return MR_OK;
}

mr_err mr_service_cancel_run(mr_service *service, const char *key, const char *tenant, const char *run,
                             json_t **ret_answer, mr_error *ret_error)
{
    static const char *const before[] = {RUN_QUEUED,  RUN_CLAIMING, RUN_CLAIMED,
                                         RUN_PROGRAM, RUN_SOURCE,   NULL};
    static const char *const later[] = {RUN_DELIVERING, RUN_COMPLETING, RUN_ABANDONING, NULL};
    run_request request = {.service = service, .to = RUN_CANCELLING};
    mr_err err = answered(service, "cancel_run", tenant, key, ret_answer, ret_error);
    if (err != MR_OK || *ret_answer != NULL)
        return err;
    err = mr_flush_progress(service, ret_error);
    if (err == MR_OK)
        err = mr_find_run(service, tenant, run, &request.run, ret_error);
    if (err != MR_OK)
        return err;
    const char *state = request.run.state;
    bool committed =
        mr_db_int(service->db, 0,
                  "SELECT coalesce(sum(read + rejected + produced + rejected_files), 0) FROM run_datasets"
                  " WHERE run_uid = ?",
                  "t", request.run.run_uid) > 0;
    if (one_of(state, later) || (strcmp(state, RUN_SOURCE) == 0 && committed))
        return mr_fail(
            ret_error, MR_EREFUSED,
            "run %s is %s and rows of it are committed: `millrace run abandon` leaves the rest out",
            request.run.run_id, state);
    if (!one_of(state, before) && strcmp(state, RUN_CANCELLING) != 0)
        return mr_fail(ret_error, MR_EREFUSED, "run %s is %s already", request.run.run_id, state);
    return mr_apply(service, "cancel_run", tenant, key, execute_to, &request, ret_answer, ret_error);
}

mr_err mr_service_abandon_run(mr_service *service, const char *key, const char *tenant, const char *run,
                              json_t **ret_answer, mr_error *ret_error)
{
    static const char *const states[] = {RUN_CLAIMED,    RUN_PROGRAM,    RUN_SOURCE,
                                         RUN_DELIVERING, RUN_ABANDONING, NULL};
    run_request request = {.service = service, .to = RUN_ABANDONING};
    mr_err err = answered(service, "abandon_run", tenant, key, ret_answer, ret_error);
    if (err != MR_OK || *ret_answer != NULL)
        return err;
    err = mr_find_run(service, tenant, run, &request.run, ret_error);
    if (err != MR_OK)
        return err;
    if (!one_of(request.run.state, states))
        return mr_fail(ret_error, MR_EREFUSED,
                       "run %s is %s: there is nothing to abandon (queued and claiming runs can be "
                       "cancelled)",
                       request.run.run_id, request.run.state);
    return mr_apply(service, "abandon_run", tenant, key, execute_to, &request, ret_answer, ret_error);
}

/* --- retry --- */

static void list_files_again(mr_db *db, const run_request *request, const char *run_uid)
{
    const mr_run *run = &request->run;
    mr_query *query =
        mr_db_select(db,
                     "SELECT f.upload_id, f.name FROM run_files f JOIN uploads u USING(upload_id) WHERE"
                     " f.run_uid = ? AND u.state = 'failed'",
                     "t", run->run_uid);
    while (mr_query_next(query)) {
        int64_t upload_id = mr_query_int(query, 0);
        char source[600], name[300], wanted[256];
        snprintf(wanted, sizeof wanted, "%s", mr_query_text(query, 1));
        snprintf(source, sizeof source, "tenants/%s/failed/%s/claimed/%s", run->tenant, run->run_uid, wanted);
        mr_unique_file_name(db, run->uid, wanted, name, sizeof name);
        mr_db_run(db, "INSERT INTO run_files(run_uid, upload_id, source, name) VALUES(?, ?, ?, ?)", "titt",
                  run_uid, upload_id, source, name);
        mr_db_run(db, "UPDATE uploads SET state = 'claimed', name = ?, run_uid = ? WHERE upload_id = ?",
                  "tti", name, run_uid, upload_id);
    }
}

static mr_err execute_retry(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const run_request *request = arg;
    char run_uid[UID_BYTES], other[40];
    const mr_run *run = &request->run;
    if (mr_db_text(db, other, sizeof other,
                   "SELECT n.run_id FROM runs r JOIN runs n ON n.run_uid = r.retried_by WHERE r.run_uid = ?",
                   "t", run->run_uid))
        return mr_fail(ret_error, MR_EREFUSED, "run %s was retried already, by run %s", run->run_id, other);
    if (mr_db_int(db, 0, "SELECT removed FROM runs WHERE run_uid = ?", "t", run->run_uid) != 0)
        return mr_fail(ret_error, MR_EREFUSED, "the files of run %s are gone: their retention has passed",
                       run->run_id);
    insert_queued(db, request, "retry", run_uid);
    mr_db_run(db, "UPDATE runs SET retry_of = ?, due_ms = nullif(?, 0) WHERE run_uid = ?", "tit",
              run->run_uid, run->due_ms, run_uid);
    mr_db_run(db, "UPDATE runs SET retried_by = ? WHERE run_uid = ?", "tt", run_uid, run->run_uid);
    list_files_again(db, request, run_uid);
    *ret_answer = run_answer(db, run_uid);
    return MR_OK;
}

static mr_err execute_retry_tasks(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_run *run = arg;
    (void)ret_error;
    *ret_answer = run_answer(db, run->run_uid);
    mr_audit(db, &(mr_audit_entry){
                     .subject = run->run_id,
                     .after = json_pack("{s:s, s:s}", "state", run->state, "failed_tasks", "started again")});
    return MR_OK;
}

mr_err mr_service_retry_run(mr_service *service, const char *key, const char *tenant, const char *run,
                            json_t **ret_answer, mr_error *ret_error)
{
    static const char *const running[] = {RUN_PROGRAM, RUN_SOURCE, RUN_DELIVERING, RUN_ABANDONING, NULL};
    run_request request = {.service = service};
    mr_err err = answered(service, "retry_run", tenant, key, ret_answer, ret_error);
    if (err != MR_OK || *ret_answer != NULL)
        return err;
    err = mr_find_active_tenant(service, tenant, &request.tenant, ret_error);
    if (err == MR_OK)
        err = mr_find_run(service, tenant, run, &request.run, ret_error);
    if (err != MR_OK)
        return err;
    if (strcmp(request.run.state, RUN_FAILED) == 0)
        return mr_apply(service, "retry_run", tenant, key, execute_retry, &request, ret_answer, ret_error);
    if (!one_of(request.run.state, running))
        return mr_fail(ret_error, MR_EREFUSED,
                       "run %s is %s: only FAILED runs, and runs with failed tasks, are retried",
                       request.run.run_id, request.run.state);
    err = mr_apply(service, "retry_tasks", tenant, key, execute_retry_tasks, &request.run, ret_answer,
                   ret_error);
    if (err == MR_OK)
        mr_retry_failed_tasks(service, tenant);
    return err;
}
