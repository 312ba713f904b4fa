/* gone_sinks.c - see gone_sinks.h. */
#include "coordinator/gone_sinks.h"

#include <stdio.h>

enum { AT_ONCE = 32 /* tasks of one tenant; the next pass wants the next ones */ };

typedef struct gone_sink {
    char dataset[101], sink[101];
    bool topic;
} gone_sink;

/* --- the record --- */

/* Its task may commit until it is stopped: until then what its runs count is open, but final for the runs. */
static void abandon_rest(mr_db *db, const char *uid, const char *dataset, const char *sink)
{
    mr_db_run(
        db,
        "UPDATE run_sinks SET state = 'SKIPPING' WHERE uid = ? AND dataset = ? AND sink = ? AND state = "
        "'OPEN'",
        "ttt", uid, dataset, sink);
    mr_db_run(db, "DELETE FROM sinks WHERE uid = ? AND dataset = ? AND sink = ?", "ttt", uid, dataset, sink);
}

void mr_sink_gone(mr_db *db, const char *uid, const char *dataset, const char *sink)
{
    abandon_rest(db, uid, dataset, sink);
    mr_db_run(db,
              "INSERT INTO gone_sinks(uid, dataset, sink, due_ms, topic) VALUES(?, ?, ?, 0, 0)"
              " ON CONFLICT DO NOTHING",
              "ttt", uid, dataset, sink);
}

void mr_sink_gone_with_topic(mr_db *db, const char *uid, const char *dataset, const char *sink,
                             int64_t due_ms)
{
    abandon_rest(db, uid, dataset, sink);
    mr_db_run(db,
              "INSERT INTO gone_sinks(uid, dataset, sink, due_ms, topic) VALUES(?, ?, ?, ?, 1)"
              " ON CONFLICT DO UPDATE SET due_ms = excluded.due_ms, topic = 1",
              "ttti", uid, dataset, sink, due_ms);
}

void mr_sink_there(mr_db *db, const char *uid, const char *dataset, const char *sink)
{
    mr_db_run(db, "DELETE FROM gone_sinks WHERE uid = ? AND dataset = ? AND sink = ?", "ttt", uid, dataset,
              sink);
    mr_db_run(db, "UPDATE gone_sinks SET due_ms = 0, topic = 0 WHERE uid = ? AND dataset = ?", "tt", uid,
              dataset);
}

void mr_sink_released(mr_db *db, const char *uid, const char *dataset, const char *sink)
{
    if (mr_db_run(db, "DELETE FROM gone_sinks WHERE uid = ? AND dataset = ? AND sink = ?", "ttt", uid,
                  dataset, sink) == 0)
        return; /* it has come back meanwhile */
    mr_db_run(db,
              "UPDATE run_sinks AS s SET state = 'FINAL', " SQL_LINE_COUNTS
              " WHERE uid = ? AND dataset = ? AND sink = ? AND state <> 'FINAL'",
              "ttt", uid, dataset, sink);
    mr_db_run(db, "DELETE FROM sink_positions WHERE uid = ? AND dataset = ? AND sink = ?", "ttt", uid,
              dataset, sink);
    mr_db_run(db, "DELETE FROM sink_counts WHERE uid = ? AND dataset = ? AND sink = ?", "ttt", uid, dataset,
              sink);
}

/* --- the plan --- */

static mr_err want_release(mr_service *service, const mr_tenant *tenant, const gone_sink *gone,
                           mr_task_config *config, mr_error *ret_error)
{
    char connector[NAME_BYTES];
    snprintf(connector, sizeof connector, "%.100s-%.99s", gone->dataset, gone->sink);
    const mr_task *task = mr_task_find(service, tenant->tenant, connector);
    if (task != NULL && task->kind != MR__PROTO__TASK_KIND__RELEASE)
        return MR_OK; /* the plan stops it first: it may store what it has in hand */
    mr_config_start(config);
    mr_config_tenant(config, tenant, gone->dataset);
    mr_config_bus(config, service, tenant->tenant, gone->dataset);
    if (gone->topic)
        mr_config_set_int(config, "retention.ms", 0);
    mr_want want = {.connector = connector,
                    .dataset = gone->dataset,
                    .sink = gone->sink,
                    .run_uid = "",
                    .kind = MR__PROTO__TASK_KIND__RELEASE,
                    .request_cpu_millis = service->config.sink_cpu_millis,
                    .request_memory_bytes = (uint64_t)service->config.sink_memory_bytes};
    mr_err err =
        mr_config_assignment(config, tenant->tenant, connector, want.kind, NULL, &want.assignment, ret_error);
    return err == MR_OK ? mr_want_task(service, tenant->tenant, &want, ret_error) : err;
}

mr_err mr_plan_gone_sinks(mr_service *service, const mr_tenant *tenant, mr_task_config *config,
                          mr_error *ret_error)
{
    gone_sink list[AT_ONCE];
    size_t count = 0;
    mr_query *query = mr_db_select(
        service->db,
        "SELECT dataset, sink, topic FROM gone_sinks g WHERE uid = ? AND due_ms <= ? AND NOT EXISTS"
        " (SELECT 1 FROM run_sinks s JOIN run_datasets d USING(run_uid, dataset) JOIN runs r"
        " USING(run_uid) WHERE s.uid = g.uid AND s.dataset = g.dataset AND s.sink = g.sink AND"
        " s.state <> 'FINAL' AND d.state = 'OPEN' AND r.state IN " SQL_ACTIVE ") ORDER BY 1, 2"
        " LIMIT ?",
        "tii", tenant->uid, service->now_ms, (int64_t)AT_ONCE);
    while (mr_query_next(query)) {
        gone_sink *gone = &list[count++];
        snprintf(gone->dataset, sizeof gone->dataset, "%s", mr_query_text(query, 0));
        snprintf(gone->sink, sizeof gone->sink, "%s", mr_query_text(query, 1));
        gone->topic = mr_query_int(query, 2) != 0;
    }
    mr_err err = mr_db_take_error(service->db, ret_error);
    for (size_t i = 0; err == MR_OK && i < count; i++)
        err = want_release(service, tenant, &list[i], config, ret_error);
    int64_t next_ms = mr_db_int(
        service->db, 0, "SELECT coalesce(min(due_ms), 0) FROM gone_sinks WHERE uid = ? AND due_ms > ?", "ti",
        tenant->uid, service->now_ms);
    if (next_ms > 0)
        mr_look_again(service, tenant->tenant, next_ms);
    return err;
}
