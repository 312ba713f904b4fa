/* scheduler.c - which runs are due: strict Forbid, and of the times that were missed only the latest. */
#include "coordinator/cron.h"
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64 }; /* tenants per transaction: many are due at the same minute */

int64_t mr_schedule_next(const char *schedule, int64_t after_ms)
{
    mr_cron cron;
    if (mr_cron_parse(schedule, &cron, NULL) != MR_OK)
        return 0;
    int64_t next = mr_cron_next(&cron, NULL, after_ms / 1000);
    return next < 0 ? 0 : next * 1000;
}

/* The latest due time from `first_ms` (due itself) to now. */
static int64_t latest_due(const char *schedule, int64_t first_ms, int64_t now_ms)
{
    mr_cron cron;
    if (mr_cron_parse(schedule, &cron, NULL) != MR_OK)
        return first_ms;
    int64_t latest = mr_cron_latest(&cron, NULL, first_ms / 1000 - 1, now_ms / 1000);
    return latest < 0 ? first_ms : latest * 1000;
}

static void name_run(char *out, size_t size, int64_t due_ms)
{
    time_t seconds = (time_t)(due_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, size, "%Y%m%dT%H%M%SZ", &parts);
}

typedef struct due_tenants {
    mr_service *service;
    mr_tenant tenants[BATCH];
    size_t count;
} due_tenants;

static mr_err advance(mr_db *db, mr_service *service, const mr_tenant *tenant, mr_error *ret_error)
{
    mr_run_start start = {.service = service, .tenant = *tenant, .trigger = "schedule"};
    start.due_ms = latest_due(tenant->schedule, tenant->next_due_ms, service->now_ms);
    name_run(start.run_id, sizeof start.run_id, start.due_ms);
    mr_err err = mr_load_spec(service, tenant->uid, tenant->version, &start.spec, ret_error);
    if (err == MR_OK)
        err = mr_insert_run(db, &start, ret_error);
    mr_db_run(db, "UPDATE tenants SET next_due_ms = nullif(?, 0), last_due_ms = ? WHERE uid = ?", "iit",
              mr_schedule_next(tenant->schedule, service->now_ms), start.due_ms, tenant->uid);
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

/* A tenant with an active or queued run waits: its time stays in the past until the run has left SOURCE. */
static size_t list_due(mr_service *service, mr_tenant *tenants)
{
    char names[BATCH][64];
    size_t count = 0, found = 0;
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT tenant FROM tenants t WHERE next_due_ms <= ? AND state = 'ACTIVE' AND NOT"
                     " EXISTS (SELECT 1 FROM runs r WHERE r.uid = t.uid AND r.state IN " SQL_ACTIVE
                     ") AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.uid = t.uid AND r.state = 'QUEUED')"
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

mr_err mr_schedule_tenants(mr_service *service, mr_error *ret_error)
{
    due_tenants due = {.service = service};
    do {
        due.count = list_due(service, due.tenants);
        if (due.count == 0)
            break;
        mr_err err = mr_apply(service, "schedule", NULL, NULL, execute_due, &due, NULL, ret_error);
        if (err != MR_OK)
            return err;
        MR_FAULT("schedule_advanced");
        for (size_t i = 0; i < due.count; i++)
            mr_mark_dirty(service, due.tenants[i].tenant);
    } while (due.count == BATCH);
    int64_t next =
        mr_db_int(service->db, INT64_MAX, "SELECT min(next_due_ms) FROM tenants WHERE next_due_ms > ?", "i",
                  service->now_ms);
    mr_wake_at(service, next);
    return mr_db_take_error(service->db, ret_error);
}
