/* reconcile.c - the pass that does what is next, for every tenant that something happened to. */
#include "coordinator/drive.h"
#include "coordinator/service_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OPEN_RUNS = 256,
    ROUNDS = 64,
    RETAIN_EVERY_MS = 60000,
    LATE_MS = 500,
    PASS_MS = 40 /* then those who ask are answered before the next pass */
};

typedef mr_err (*step_fn)(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error);

/* A replay has neither files to prepare nor a program to do so. */
static mr_err start_program(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    *ret_moved = true;
    return mr_move_run(service, run, mr_run_replays(run) ? RUN_SOURCE : RUN_PROGRAM, NULL, ret_error);
}

static const struct {
    const char *state;
    step_fn step;
} steps[] = {
    {RUN_CLAIMING, mr_run_claim},     {RUN_CLAIMED, start_program},      {RUN_SOURCE, mr_run_source},
    {RUN_DELIVERING, mr_run_deliver}, {RUN_COMPLETING, mr_run_complete}, {RUN_CANCELLING, mr_run_cancel},
    {RUN_ABANDONING, mr_run_abandon},
};

static mr_err step_run(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(run->state, steps[i].state) == 0) {
            mr_err err = steps[i].step(service, run, ret_moved, ret_error);
            return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "run %s, %s", run->run_id, run->state);
        }
    }
    return MR_OK; /* PROGRAM waits for its task, QUEUED for its turn */
}

/* The oldest queued run, once no run is active. */
static mr_err step_queue(mr_service *service, const mr_tenant *tenant, bool *ret_moved, mr_error *ret_error)
{
    char uid[UID_BYTES];
    mr_run run;
    if (mr_db_int(service->db, 0,
                  "SELECT EXISTS (SELECT 1 FROM runs WHERE uid = ? AND state IN " SQL_ACTIVE ")", "t",
                  tenant->uid) != 0)
        return MR_OK;
    if (!mr_db_text(
            service->db, uid, sizeof uid,
            "SELECT run_uid FROM runs WHERE uid = ? AND state = 'QUEUED' ORDER BY created_ms, run_id LIMIT 1",
            "t", tenant->uid) ||
        !mr_load_run(service, uid, &run))
        return MR_OK;
    *ret_moved = true;
    return mr_start_queued(service, &run, tenant, ret_error);
}

static mr_err step_runs(mr_service *service, const mr_tenant *tenant, bool *ret_moved, mr_error *ret_error)
{
    static char uids[OPEN_RUNS][UID_BYTES];
    mr_run run;
    size_t count = mr_list_open_runs(service, tenant->uid, uids, OPEN_RUNS);
    mr_error error;
    mr_err first = MR_OK;
    for (size_t i = 0; i < count; i++) { /* one that is held up, as by a full disk, holds no other back */
        mr_err err = mr_load_run(service, uids[i], &run) ? step_run(service, &run, ret_moved, &error) : MR_OK;
        if (first == MR_OK && err != MR_OK && ret_error != NULL)
            *ret_error = error;
        first = first == MR_OK ? err : first;
    }
    return first != MR_OK ? first : mr_db_take_error(service->db, ret_error);
}

static void unmark(mr_service *service, const char *name)
{
    free(mr_name_map_remove(&service->dirty, name));
}

/* What a tenant's runs, queue and end need next; *ret_moved: and then again. */
static mr_err step_tenant(mr_service *service, const mr_tenant *tenant, bool *ret_moved, mr_error *ret_error)
{
    mr_err err = mr_settle_skips(service, tenant->tenant, tenant->uid, ret_error);
    if (err == MR_OK)
        err = step_runs(service, tenant, ret_moved, ret_error);
    if (err == MR_OK && strcmp(tenant->state, "ACTIVE") == 0)
        err = step_queue(service, tenant, ret_moved, ret_error);
    if (err == MR_OK && strcmp(tenant->state, "DELETING") == 0)
        err = mr_delete_step(service, tenant, ret_moved, ret_error);
    return err;
}

static mr_err reconcile_tenant(mr_service *service, const char *name, mr_error *ret_error)
{
    mr_tenant tenant;
    mr_error unplanned;
    mr_err err = MR_OK;
    bool moved = true;
    for (int round = 0; moved && round < ROUNDS && err == MR_OK; round++) {
        moved = false;
        if (!mr_load_tenant(service, name, &tenant))
            return mr_db_take_error(service->db, ret_error);
        err = step_tenant(service, &tenant, &moved, ret_error);
    }
    if (!mr_load_tenant(service, name, &tenant))
        return err;
    unmark(service,
           name); /* by the steps above, which have been followed up; what the plan ends is looked at again */
    mr_err planned = mr_plan_tenant(service, &tenant, &unplanned); /* also when a run's step is held up */
    if (planned == MR_OK)
        planned = mr_db_take_error(service->db, &unplanned);
    if (err == MR_OK && planned != MR_OK && ret_error != NULL)
        *ret_error = unplanned;
    return err == MR_OK ? planned : err;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool mr_pass_is_long(const mr_service *service)
{
    return monotonic_ms() - service->pass_began_ms >= PASS_MS;
}

/* One by one, so that a tenant whose disk is full holds no other back. */
static void reconcile_dirty(mr_service *service)
{
    size_t at = 0;
    char *name;
    mr_error error;
    for (bool first = true;
         (first || !mr_pass_is_long(service)) && (name = mr_name_map_next(&service->dirty, &at)) != NULL;
         first = false) { /* each pass brings someone forward */
        mr_name_map_remove(&service->dirty, name);
        mr_err err = reconcile_tenant(service, name, &error);
        int64_t again_ms = mr_told(service, err, &error, "tenant not brought forward", name);
        if (err != MR_OK) {
            unmark(service, name); /* later, not at once */
            mr_look_again(service, name, again_ms);
        }
        free(name);
        at = 0; /* the map has changed */
    }
    if (service->dirty.count > 0)
        mr_wake_at(service, service->now_ms);
}

static void place(mr_service *service)
{
    mr_error error;
    if (!service->place && service->place_ms > service->now_ms) {
        mr_wake_at(service, service->place_ms);
        return;
    }
    service->place = false;
    mr_err err = mr_place_tasks(service, &error);
    service->place_ms = mr_told(service, err, &error, "tasks not placed", "");
}

static void flush(mr_service *service)
{
    mr_error error;
    if (service->flush_ms <= service->now_ms) {
        mr_err err = mr_flush_progress(service, &error);
        int64_t again_ms = mr_told(service, err, &error, "progress not stored", "");
        if (err != MR_OK)
            service->flush_ms = service->flush_after_ms = again_ms;
    }
    mr_wake_at(service, service->flush_ms);
}

static void upkeep(mr_service *service)
{
    mr_error error;
    if (service->retain_ms > service->now_ms) {
        mr_wake_at(service, service->retain_ms);
        return;
    }
    service->retain_ms = service->now_ms + RETAIN_EVERY_MS;
    mr_wake_at(service, service->retain_ms);
    (void)mr_told(service, mr_retain(service, &error), &error, "retention not done", "");
}

int64_t mr_service_reconcile(mr_service *service)
{
    mr_error error;
    bool more_due = false;
    if (service->promised_ms != 0 && service->now_ms - service->promised_ms > LATE_MS)
        mr_workers_excuse(service, service->now_ms - service->promised_ms);
    service->pass_began_ms = monotonic_ms();
    service->wake_ms = INT64_MAX;
    service->events_seen = service->events;
    mr_mark_due(service);
    mr_workers_check(service);
    (void)mr_told(service, mr_workers_release_lost(service, &error), &error,
                  "tasks of a lost worker not released", "");
    flush(service);
    if (service->take_back)
        (void)mr_told(service, mr_take_back_uploads(service, &error), &error, "failed uploads not dropped",
                      "");
    (void)mr_told(service, mr_schedule_tenants(service, &more_due, &error), &error, "schedules not advanced",
                  "");
    if (!more_due) { /* begun runs wait until every run that is due has begun */
        reconcile_dirty(service);
        place(service);
        upkeep(service);
    }
    if (service->wake_ms < service->now_ms)
        service->wake_ms = service->now_ms;
    service->promised_ms = service->wake_ms;
    return service->wake_ms;
}

bool mr_service_pending(const mr_service *service)
{
    return service->place || service->events != service->events_seen ||
           service->flush_ms <= service->now_ms || service->clock_set_back || service->dirty.count > 0;
}
