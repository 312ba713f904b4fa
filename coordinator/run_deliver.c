/* run_deliver.c - SOURCE to DELIVERING to COMPLETING: what has ended, what the sinks have passed, and whether
 * the ledger comes out even. */
#include "coordinator/records.h"

#include <stdio.h>
#include <string.h>

#define SQL_SUM(column)                                                                                      \
    "(SELECT coalesce(sum(c." column                                                                         \
    "), 0) FROM sink_counts c WHERE c.uid = s.uid AND c.dataset = s.dataset AND"                             \
    " c.sink = s.sink AND c.run_uid = s.run_uid)"

/* --- SOURCE --- */

static mr_err execute_leave_source(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const mr_run *run = arg;
    char dataset[101], reason[600];
    (void)ret_answer, (void)ret_error;
    mr_query *query = mr_db_select(
        db, "SELECT dataset, reason FROM run_datasets WHERE run_uid = ? AND state = 'FAILED' LIMIT 1", "t",
        run->run_uid);
    if (!mr_query_next(query)) {
        mr_set_run_state(db, run->run_uid, RUN_SOURCE, RUN_DELIVERING, "");
        return MR_OK;
    }
    snprintf(dataset, sizeof dataset, "%s", mr_query_text(query, 0));
    snprintf(reason, sizeof reason, "dataset %s: %s", dataset, mr_query_text(query, 1));
    mr_query_end(query);
    /* The run fails as a whole: a retry brings all its files again, so nothing of it is delivered from now
     * on. */
    query = mr_db_select(db, "SELECT dataset FROM run_datasets WHERE run_uid = ?", "t", run->run_uid);
    while (mr_query_next(query)) {
        snprintf(dataset, sizeof dataset, "%s", mr_query_text(query, 0));
        mr_skip_dataset(db, run->run_uid, dataset, "FAILED");
    }
    mr_finish_run(db, run->run_uid, RUN_FAILED, reason);
    return MR_OK;
}

mr_err mr_run_source(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    if (mr_db_int(service->db, 1, "SELECT count(*) FROM run_datasets WHERE run_uid = ? AND state = 'OPEN'",
                  "t", run->run_uid) > 0)
        return mr_db_take_error(service->db, ret_error);
    mr_err err = mr_flush_progress(service, ret_error);
    if (err != MR_OK)
        return err;
    *ret_moved = true;
    return mr_apply(service, "leave_source", run->tenant, NULL, execute_leave_source, (void *)run, NULL,
                    ret_error);
}

/* --- DELIVERING --- */

/* A difference is told and kept, never hidden: the line shows it as in_flight. */
static void check_ledger(mr_db *db, const mr_run *run, int64_t now_ms)
{
    mr_query *query =
        mr_db_select(db,
                     "SELECT s.dataset, s.sink, d.produced, s.delivered, s.rejected, s.abandoned FROM"
                     " run_sinks s JOIN run_datasets d USING(run_uid, dataset) WHERE s.run_uid = ? AND"
                     " s.state = 'FINAL' AND d.produced <> s.delivered + s.rejected + s.abandoned",
                     "t", run->run_uid);
    while (mr_query_next(query)) {
        char text[500];
        snprintf(
            text, sizeof text,
            "run %s, dataset %s, sink %s: %lld produced, but %lld delivered + %lld rejected + %lld abandoned",
            run->run_id, mr_query_text(query, 0), mr_query_text(query, 1), (long long)mr_query_int(query, 2),
            (long long)mr_query_int(query, 3), (long long)mr_query_int(query, 4),
            (long long)mr_query_int(query, 5));
        mr_log(MR_ERROR, "the ledger does not come out even", MR_STR("tenant", run->tenant),
               MR_STR("problem", text));
        mr_db_run(db, "INSERT INTO alarms(tenant, run_uid, text, at_ms) VALUES(?, ?, ?, ?)", "ttti",
                  run->tenant, run->run_uid, text, now_ms);
    }
}

typedef struct deliver_command {
    mr_service *service;
    const mr_run *run;
} deliver_command;

static mr_err execute_delivered(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const deliver_command *delivered = arg;
    const mr_run *run = delivered->run;
    char reason[600];
    (void)ret_answer, (void)ret_error;
    mr_db_run(
        db,
        "UPDATE run_sinks AS s SET state = 'FINAL', delivered = " SQL_SUM(
            "delivered") ", rejected = " SQL_SUM("rejected") ", abandoned = " SQL_SUM("abandoned") " WHERE "
                                                                                                   "run_uid "
                                                                                                   "= ? AND "
                                                                                                   "state = "
                                                                                                   "'OPEN'",
        "t", run->run_uid);
    check_ledger(db, run, delivered->service->now_ms);
    bool rejects =
        mr_db_int(
            db, 0,
            "SELECT (SELECT count(*) FROM run_datasets WHERE run_uid = ? AND rejected + rejected_files > 0)"
            " + (SELECT count(*) FROM run_sinks WHERE run_uid = ? AND rejected > 0)",
            "tt", run->run_uid, run->run_uid) > 0;
    bool lost = mr_lost_files(db, run->run_uid, reason, sizeof reason);
    mr_finish_run(db, run->run_uid, rejects || lost ? RUN_REJECTS : RUN_COMPLETED, lost ? reason : "");
    return MR_OK;
}

mr_err mr_run_deliver(mr_service *service, const mr_run *run, bool *ret_moved, mr_error *ret_error)
{
    bool waits =
        mr_db_int(service->db, 1,
                  "SELECT EXISTS (SELECT 1 FROM run_sinks s WHERE s.run_uid = ? AND s.state = 'OPEN' AND"
                  " EXISTS " SQL_NOT_PASSED ")",
                  "t", run->run_uid) != 0;
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK || waits)
        return err;
    deliver_command delivered = {service, run};
    *ret_moved = true;
    return mr_apply(service, "delivered", run->tenant, NULL, execute_delivered, &delivered, NULL, ret_error);
}

/* --- skip ranges --- */

/* Of run_sinks `s`. While its source runs a removed sink's range is not known yet. */
#define SQL_SETTLED                                                                                          \
    SQL_SINK_IS("SKIPPING")                                                                                  \
    " AND NOT EXISTS " SQL_NOT_PASSED " AND EXISTS (SELECT 1 FROM run_datasets d WHERE"                      \
    " d.run_uid = s.run_uid AND d.dataset = s.dataset AND d.state <> 'OPEN')"

static mr_err execute_settle(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)ret_answer, (void)ret_error;
    mr_db_run(db,
              "UPDATE run_sinks AS s SET state = 'FINAL', " SQL_LINE_COUNTS " WHERE uid = ? AND " SQL_SETTLED,
              "t", (const char *)arg);
    return MR_OK;
}

/* The exact split goes into result.json before the sinks are told that they may forget it. */
static mr_err record_settled(mr_service *service, const char *tenant, const char *run_uid,
                             mr_error *ret_error)
{
    char folder[160];
    snprintf(folder, sizeof folder, "tenants/%s/failed/%s", tenant, run_uid);
    if (!mr_staging_exists(service->staging, folder))
        return MR_OK; /* it is written when the run completes, or its retention has passed */
    mr_err err = mr_record_result(service, run_uid, folder, ret_error);
    return err == MR_OK ? mr_staging_sync(service->staging, folder, ret_error) : err;
}

mr_err mr_settle_skips(mr_service *service, const char *tenant, const char *uid, mr_error *ret_error)
{
    mr_err err = MR_OK;
    bool any = false;
    mr_query *query = mr_db_select(
        service->db, "SELECT DISTINCT run_uid FROM run_sinks s WHERE s.uid = ? AND " SQL_SETTLED, "t", uid);
    while (err == MR_OK && mr_query_next(query)) {
        any = true;
        err = record_settled(service, tenant, mr_query_text(query, 0), ret_error);
    }
    if (err != MR_OK)
        mr_query_end(query);
    else
        err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK || !any)
        return err;
    return mr_apply(service, "settle_skips", tenant, NULL, execute_settle, (void *)uid, NULL, ret_error);
}
