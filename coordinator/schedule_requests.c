/* schedule_requests.c - what people ask of schedules: suspend, resume, backfill. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct schedule_request {
    mr_service *service;
    mr_tenant tenant;
    mr_schedule schedule;
    bool suspend, dry_run;
    int64_t from_ms, to_ms;
} schedule_request;

static mr_err prepare(mr_service *service, const char *tenant, schedule_request *request, mr_error *ret_error)
{
    *request = (schedule_request){.service = service};
    mr_err err = mr_find_tenant(service, tenant, &request->tenant, ret_error);
    if (err != MR_OK)
        return err;
    if (strcmp(request->tenant.state, "ACTIVE") != 0)
        return mr_fail(ret_error, MR_EREFUSED, "tenant %s is being deleted", tenant);
    return mr_schedule_open(service, request->tenant.schedule, request->tenant.time_zone, &request->schedule,
                            ret_error);
}

static mr_err execute_suspend(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const schedule_request *request = arg;
    const mr_tenant *tenant = &request->tenant;
    (void)ret_error;
    if (tenant->suspended != request->suspend) {
        mr_db_run(db, "UPDATE tenants SET suspended = ? WHERE uid = ?", "it", (int64_t)request->suspend,
                  tenant->uid);
        mr_audit(db, &(mr_audit_entry){.before = json_pack("{s:b}", "suspended", tenant->suspended),
                                       .after = json_pack("{s:b}", "suspended", request->suspend)});
    }
    int64_t missed = tenant->next_due_ms == 0 ? 0
                                              : mr_schedule_count(&request->schedule, tenant->next_due_ms,
                                                                  request->service->now_ms, MISSED_MAX + 1);
    *ret_answer = json_pack("{s:s, s:b, s:I}", "tenant", tenant->tenant, "suspended", request->suspend,
                            "missed", (json_int_t)missed);
    return MR_OK;
}

mr_err mr_service_suspend_schedule(mr_service *service, const char *key, const char *tenant, bool suspend,
                                   json_t **ret_answer, mr_error *ret_error)
{
    schedule_request request;
    mr_err err = prepare(service, tenant, &request, ret_error);
    if (err != MR_OK)
        return err;
    request.suspend = suspend;
    return mr_apply(service, suspend ? "suspend_schedule" : "resume_schedule", tenant, key, execute_suspend,
                    &request, ret_answer, ret_error);
}

/* --- backfill --- */

/* Whether the due time has a run, in whatever state. */
static bool has_run(mr_db *db, const char *uid, const char *run_id)
{
    return mr_db_int(db, 0, "SELECT EXISTS (SELECT 1 FROM runs WHERE uid = ? AND run_id = ?)", "tt", uid,
                     run_id) != 0;
}

static void insert_backfill(mr_db *db, const schedule_request *request, const char *run_id, int64_t due_ms)
{
    char run_uid[UID_BYTES];
    mr_random_hex(run_uid, sizeof run_uid);
    mr_db_run(db,
              "INSERT INTO runs(run_uid, tenant, uid, run_id, trigger, due_ms, state, version, created_ms)"
              " VALUES(?, ?, ?, ?, 'backfill', ?, 'QUEUED', ?, ?)",
              "ttttiii", run_uid, request->tenant.tenant, request->tenant.uid, run_id, due_ms,
              request->tenant.version, request->service->now_ms);
    mr_audit(db,
             &(mr_audit_entry){.subject = run_id,
                               .after = json_pack("{s:s, s:s}", "run_uid", run_uid, "trigger", "backfill")});
}

static mr_err execute_backfill(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const schedule_request *request = arg;
    json_t *runs = json_array();
    char run_id[40];
    int64_t at = request->from_ms - 1;
    while ((at = mr_schedule_next(&request->schedule, at)) != 0 && at <= request->to_ms) {
        mr_schedule_run_id(run_id, sizeof run_id, at);
        if (has_run(db, request->tenant.uid, run_id))
            continue;
        if (json_array_size(runs) == MISSED_MAX) {
            json_decref(runs);
            return mr_fail(ret_error, MR_EINVALID,
                           "more than %d due times have no run: choose a shorter range; %s is the first "
                           "beyond the bound",
                           MISSED_MAX, run_id);
        }
        json_array_append_new(runs, json_pack("{s:s, s:o}", "run_id", run_id, "due", mr_json_time(at)));
        if (!request->dry_run)
            insert_backfill(db, request, run_id, at);
    }
    *ret_answer = json_pack("{s:s, s:o, s:b}", "tenant", request->tenant.tenant, "runs", runs, "dry_run",
                            request->dry_run);
    return MR_OK;
}

mr_err mr_service_backfill(mr_service *service, const char *key, const char *tenant, int64_t from_ms,
                           int64_t to_ms, bool dry_run, json_t **ret_answer, mr_error *ret_error)
{
    enum { MAX_DAYS = 3660 };
    schedule_request request;
    mr_err err = prepare(service, tenant, &request, ret_error);
    if (err != MR_OK)
        return err;
    if (to_ms < from_ms)
        return mr_fail(ret_error, MR_EINVALID, "the range ends before it begins");
    if (to_ms - from_ms > (int64_t)MAX_DAYS * 86400000)
        return mr_fail(ret_error, MR_EINVALID, "the range is longer than ten years");
    request.from_ms = from_ms;
    request.to_ms = to_ms < service->now_ms ? to_ms : service->now_ms;
    request.dry_run = dry_run;
    if (dry_run) /* reads only */
        return execute_backfill(service->db, &request, ret_answer, ret_error);
    return mr_apply(service, "backfill", tenant, key, execute_backfill, &request, ret_answer, ret_error);
}
