/* run_state.c - moving a run from state to state, and ending it; the ledger becomes final here. */
#include "coordinator/service_internal.h"

#include <string.h>

bool mr_set_run_state(mr_db *db, const char *run_uid, const char *from, const char *to, const char *reason)
{
    return mr_db_run(
               db, "UPDATE runs SET state = ?, reason = coalesce(?, reason) WHERE run_uid = ? AND state = ?",
               "tttt", to, reason, run_uid, from) == 1;
}

bool mr_run_before(mr_service *service, const mr_run *run, char *out, size_t size)
{
    return mr_db_text(service->db, out, size,
                      "SELECT run_id FROM runs WHERE uid = ? AND seq < ? AND state IN " SQL_ACTIVE
                      " ORDER BY seq LIMIT 1",
                      "ti", run->uid, run->seq);
}

typedef struct run_move {
    const mr_run *run;
    const char *to;
    const char *reason;
} run_move;

static mr_err execute_move(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const run_move *move = arg;
    (void)ret_answer, (void)ret_error;
    mr_set_run_state(db, move->run->run_uid, move->run->state, move->to, move->reason);
    return MR_OK;
}

mr_err mr_move_run(mr_service *service, const mr_run *run, const char *to, const char *reason,
                   mr_error *ret_error)
{
    run_move move = {run, to, reason};
    mr_err err = mr_apply(service, "move_run", run->tenant, NULL, execute_move, &move, NULL, ret_error);
    if (err == MR_OK)
        mr_log(MR_DEBUG, "run moved", MR_STR("tenant", run->tenant), MR_STR("run", run->run_id),
               MR_STR("state", to));
    return err;
}

/* The sinks pass these ranges over. What they have delivered by now stays delivered: the exact split follows
 * from the sink's own counts once it has passed (SKIPPING), the sum is right at once. */
void mr_skip_dataset(mr_db *db, const char *run_uid, const char *dataset, const char *state)
{
    mr_db_run(db, "UPDATE run_datasets SET state = ? WHERE run_uid = ? AND dataset = ?", "ttt", state,
              run_uid, dataset);
    mr_db_run(
        db,
        "UPDATE run_sinks SET"
        " state = CASE WHEN EXISTS (SELECT 1 FROM run_ranges g WHERE g.run_uid = run_sinks.run_uid AND"
        " g.dataset = run_sinks.dataset AND g.first < g.end) THEN 'SKIPPING' ELSE 'FINAL' END,"
        " delivered = (SELECT coalesce(sum(c.delivered), 0) FROM sink_counts c WHERE c.uid = run_sinks.uid "
        "AND"
        " c.dataset = run_sinks.dataset AND c.sink = run_sinks.sink AND c.run_uid = run_sinks.run_uid),"
        " rejected = (SELECT coalesce(sum(c.rejected), 0) FROM sink_counts c WHERE c.uid = run_sinks.uid AND"
        " c.dataset = run_sinks.dataset AND c.sink = run_sinks.sink AND c.run_uid = run_sinks.run_uid)"
        " WHERE run_uid = ? AND dataset = ? AND state = 'OPEN'",
        "tt", run_uid, dataset);
    mr_db_run(
        db,
        "UPDATE run_sinks SET abandoned = (SELECT produced FROM run_datasets d WHERE d.run_uid = "
        "run_sinks.run_uid"
        " AND d.dataset = run_sinks.dataset) - delivered - rejected WHERE run_uid = ? AND dataset = ? AND"
        " state <> 'OPEN'",
        "tt", run_uid, dataset);
}

void mr_finish_run(mr_db *db, const char *run_uid, const char *outcome, const char *reason)
{
    mr_db_run(db, "UPDATE runs SET state = 'COMPLETING', outcome = ?, reason = ? WHERE run_uid = ?", "ttt",
              outcome, reason, run_uid);
    mr_db_run(db, "UPDATE run_datasets SET state = 'ABANDONED' WHERE run_uid = ? AND state = 'OPEN'", "t",
              run_uid);
    /* Of a run that produced nothing: a line that stayed open would let sinks remember its counts for ever.
     */
    mr_db_run(db, "UPDATE run_sinks SET state = 'FINAL' WHERE run_uid = ? AND state = 'OPEN'", "t", run_uid);
}
