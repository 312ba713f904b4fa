/* scheduler.c - which runs are due, and what becomes of due times that were missed. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

#define MAX_OVERLAP "10" /* active runs of a tenant under concurrency_policy allow */

enum {
    BATCH = 64, /* tenants per transaction: many are due at the same minute */
    ZONES_KEPT_MS = 3600000,
    NONE_DEADLINE_MS = 60000, /* catchup none: within its minute a due time is not missed */
};

/* What is done about the times from next_due_ms (due itself) to now. */
typedef struct decision {
    int64_t due_ms;   /* becomes a run; 0: none can start any more */
    int64_t next_ms;  /* 0: unknown or never */
    int64_t passed;   /* due times before due_ms, or until now, that become no run; MISSED_MAX + 1: or more */
    int64_t until_ms; /* they lie before */
    bool bounded;     /* passed over for being too many */
} decision;

/* The earliest of the last MISSED_MAX times until now. */
static int64_t bound_missed(const mr_schedule *schedule, int64_t from_ms, int64_t now_ms)
{
    int64_t first = now_ms + 1;
    for (int i = 0; i < MISSED_MAX; i++)
        first = mr_schedule_latest(schedule, from_ms, first - 1);
    return first;
}

static decision decide(const mr_schedule *schedule, const mr_agreement *agreement, int64_t first_ms,
                       int64_t now_ms)
{
    bool all = agreement->catchup == MR_CATCHUP_ALL;
    int64_t deadline_ms = agreement->starting_deadline_seconds * 1000, from_ms = first_ms;
    decision result = {.next_ms = 0};
    if (agreement->catchup == MR_CATCHUP_NONE && (deadline_ms == 0 || deadline_ms > NONE_DEADLINE_MS))
        deadline_ms = NONE_DEADLINE_MS;
    if (deadline_ms != 0 && now_ms - deadline_ms > from_ms)
        from_ms = now_ms - deadline_ms;
    if (all && mr_schedule_count(schedule, from_ms, now_ms, MISSED_MAX + 1) > MISSED_MAX) {
        from_ms = bound_missed(schedule, from_ms, now_ms);
        result.bounded = true;
    }
    result.due_ms = mr_schedule_latest(schedule, from_ms, now_ms);
    if (all && result.due_ms != 0)
        result.due_ms = mr_schedule_next(schedule, from_ms - 1);
    result.next_ms = mr_schedule_next(schedule, all && result.due_ms != 0 ? result.due_ms : now_ms);
    result.until_ms = result.due_ms != 0 ? result.due_ms : now_ms + 1;
    result.passed = mr_schedule_count(schedule, first_ms, result.until_ms - 1, MISSED_MAX + 1);
    return result;
}

static void note_passed(const mr_agreement *agreement, const decision *made, char *out, size_t size)
{
    char run_id[40], why[80];
    mr_schedule_run_id(run_id, sizeof run_id, made->until_ms);
    if (made->bounded)
        snprintf(why, sizeof why, "more than %d were missed", MISSED_MAX);
    else if (agreement->starting_deadline_seconds > 0)
        snprintf(why, sizeof why, "starting_deadline_seconds is %lld",
                 (long long)agreement->starting_deadline_seconds);
    else
        snprintf(why, sizeof why, "catchup is %s", agreement->catchup == MR_CATCHUP_NONE ? "none" : "latest");
    snprintf(out, size, "%s%lld due time%s before %s passed over: %s",
             made->passed > MISSED_MAX ? "more than " : "",
             (long long)(made->passed > MISSED_MAX ? MISSED_MAX : made->passed), made->passed == 1 ? "" : "s",
             run_id, why);
}

typedef struct due_tenants {
    mr_service *service;
    mr_tenant tenants[BATCH];
    size_t count;
} due_tenants;

static mr_err advance(mr_db *db, mr_service *service, const mr_tenant *tenant, mr_error *ret_error)
{
    mr_run_start start = {.service = service, .tenant = *tenant, .trigger = "schedule"};
    mr_schedule schedule;
    mr_error unknown;
    char note[400] = "";
    mr_err err = mr_load_spec(service, tenant->uid, tenant->version, &start.spec, ret_error);
    if (err != MR_OK)
        return err;
    decision made = {.due_ms = tenant->next_due_ms};
    if (mr_schedule_open(service, tenant->schedule, tenant->time_zone, &schedule, &unknown) == MR_OK)
        made = decide(&schedule, start.spec->agreement, tenant->next_due_ms, service->now_ms);
    else { /* this time was known; the next ones wait until the zone data is back */
        snprintf(note, sizeof note, "the next time is not known: %.300s", unknown.text);
        mr_log_failure(MR_ERROR, "schedule stands still", &unknown, MR_STR("tenant", tenant->tenant));
    }
    if (made.passed > 0) {
        note_passed(start.spec->agreement, &made, note, sizeof note);
        mr_log(made.bounded ? MR_WARN : MR_INFO, "due times passed over", MR_STR("tenant", tenant->tenant),
               MR_STR("reason", note));
    }
    if (made.due_ms != 0) {
        char former[UID_BYTES];
        start.due_ms = made.due_ms;
        mr_schedule_run_id(start.run_id, sizeof start.run_id, start.due_ms);
        if (start.spec->agreement->concurrency == MR_REPLACE &&
            mr_db_text(db, former, sizeof former,
                       "SELECT run_uid FROM runs WHERE uid = ? AND state IN " SQL_ACTIVE, "t", tenant->uid))
            mr_replace_run(db, &start, former);
        else
            err = mr_insert_run(db, &start, ret_error);
    }
    mr_db_run(db,
              "UPDATE tenants SET next_due_ms = nullif(?, 0), last_due_ms = coalesce(nullif(?, 0),"
              " last_due_ms), schedule_note = coalesce(nullif(?, ''), schedule_note) WHERE uid = ?",
              "iitt", made.next_ms, made.due_ms, note, tenant->uid);
    return err;
}

static mr_err execute_due(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const due_tenants *due = arg;
    (void)ret_answer;
    for (size_t i = 0; i < due->count; i++) {
        mr_err err = advance(db, due->service, &due->tenants[i], ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* Whether runs of the tenant hold its next one back, by its concurrency_policy. */
#define SQL_HELD_BACK                                                                                        \
    "(SELECT CASE t.concurrency WHEN 1 THEN count(*) >= " MAX_OVERLAP " WHEN 2 THEN count(*) > 1 OR"         \
    " coalesce(max(state NOT IN ('CLAIMED','PROGRAM') OR coalesce(sealed_epoch, 0) <> 0), 0)"                \
    " ELSE count(*) > 0 END FROM runs r WHERE r.uid = t.uid AND r.state IN " SQL_ACTIVE ")"

/* A tenant whose runs hold the next one back waits: its time stays in the past. */
static size_t list_due(mr_service *service, mr_tenant *tenants)
{
    char names[BATCH][64];
    size_t count = 0, found = 0;
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT tenant FROM tenants t WHERE next_due_ms <= ? AND state = 'ACTIVE' AND NOT"
                     " suspended AND NOT " SQL_HELD_BACK
                     " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.uid = t.uid AND r.state = 'QUEUED')"
                     " ORDER BY next_due_ms LIMIT ?",
                     "ii", service->now_ms, (int64_t)BATCH);
    while (mr_query_next(query))
        snprintf(names[count++], sizeof names[0], "%s", mr_query_text(query, 0));
    for (size_t i = 0; i < count; i++) {
        if (mr_load_tenant(service, names[i], &tenants[found]))
            found++;
    }
    return found;
}

/* --- next times that must be found again --- */

static void renew(mr_db *db, mr_service *service, const char *name)
{
    mr_tenant tenant;
    mr_schedule schedule;
    if (!mr_load_tenant(service, name, &tenant) ||
        mr_schedule_open(service, tenant.schedule, tenant.time_zone, &schedule, NULL) != MR_OK)
        return;
    int64_t next_ms = mr_schedule_next(&schedule, service->now_ms);
    if (tenant.next_due_ms == 0 || next_ms < tenant.next_due_ms)
        mr_db_run(db, "UPDATE tenants SET next_due_ms = nullif(?, 0) WHERE uid = ?", "it", next_ms,
                  tenant.uid);
}

/* After the clock was set back a time that is waited for may be far away: what lies between has its run
 * already or becomes one, since a run is unique on schedule and time. */
static mr_err execute_renew(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    mr_service *service = arg;
    char after[64] = "", name[64];
    (void)ret_answer, (void)ret_error;
    while (mr_db_text(db, name, sizeof name,
                      "SELECT tenant FROM tenants WHERE tenant > ? AND state = 'ACTIVE' AND"
                      " coalesce(next_due_ms, ?) > ? ORDER BY tenant LIMIT 1",
                      "tii", after, INT64_MAX, service->now_ms)) {
        renew(db, service, name);
        snprintf(after, sizeof after, "%s", name);
    }
    return MR_OK;
}

/* At the start, each hour, and when the clock was set back. */
static mr_err renew_times(mr_service *service, mr_error *ret_error)
{
    bool kept = service->now_ms >= service->zones_ms && service->now_ms - service->zones_ms < ZONES_KEPT_MS;
    if (kept && !service->clock_set_back)
        return MR_OK;
    mr_zones_forget(service);
    mr_err err = mr_apply(service, "renew_schedules", NULL, NULL, execute_renew, service, NULL, ret_error);
    if (err == MR_OK) {
        service->zones_ms = service->now_ms;
        service->clock_set_back = false;
    }
    return err;
}

mr_err mr_schedule_tenants(mr_service *service, bool *ret_more, mr_error *ret_error)
{
    due_tenants due = {.service = service};
    mr_err err = renew_times(service, ret_error);
    *ret_more = false;
    if (err != MR_OK)
        return err;
    while ((due.count = list_due(service, due.tenants)) > 0) { /* again: catchup all has more than one time */
        err = mr_apply(service, "schedule", NULL, NULL, execute_due, &due, NULL, ret_error);
        if (err != MR_OK)
            return err;
        MR_FAULT("schedule_advanced");
        for (size_t i = 0; i < due.count; i++)
            mr_mark_dirty(service, due.tenants[i].tenant);
        if (mr_pass_is_long(service)) {
            mr_wake_at(service, service->now_ms);
            *ret_more = true;
            break;
        }
    }
    int64_t next =
        mr_db_int(service->db, INT64_MAX, "SELECT min(next_due_ms) FROM tenants WHERE next_due_ms > ?", "i",
                  service->now_ms);
    mr_wake_at(service, next);
    return mr_db_take_error(service->db, ret_error);
}
