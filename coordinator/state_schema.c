/* state_schema.c - see state_schema.h. A step that was released is never changed: add another one.
 *
 * `uid` is a tenant_uid: what hangs on it does not survive a tenant that is deleted and made again. `epochs`
 * hangs on names, so that epochs grow even then. Times are milliseconds since 1970, UTC.
 */
#include "coordinator/state_schema.h"

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE tenants(tenant TEXT PRIMARY KEY, uid TEXT NOT NULL, state TEXT NOT NULL, version INTEGER "
    "NOT NULL,"
    " created_ms INTEGER NOT NULL, schedule TEXT NOT NULL, next_due_ms INTEGER, last_due_ms INTEGER,"
    " next_seq INTEGER NOT NULL DEFAULT 1, next_manual INTEGER NOT NULL DEFAULT 1);"
    "CREATE INDEX tenants_due ON tenants(next_due_ms);"
    "CREATE TABLE specs(uid TEXT, version INTEGER, agreement TEXT NOT NULL, datasets TEXT NOT NULL, program "
    "TEXT,"
    " warnings TEXT NOT NULL, retention_days INTEGER NOT NULL, applied_ms INTEGER NOT NULL, PRIMARY KEY(uid, "
    "version)) WITHOUT ROWID;"
    /* one owner each */
    "CREATE TABLE topics(folded TEXT PRIMARY KEY, tenant TEXT NOT NULL, dataset TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE store_tables(store TEXT, key_space TEXT, folded TEXT, tenant TEXT NOT NULL, dataset TEXT "
    "NOT NULL,"
    " PRIMARY KEY(store, key_space, folded)) WITHOUT ROWID;"
    "CREATE TABLE schemas(id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, subject TEXT NOT NULL,"
    " version INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE(uid, subject, version));"
    "CREATE TABLE uploads(upload_id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, uid TEXT NOT "
    "NULL,"
    " dataset TEXT NOT NULL, name TEXT NOT NULL, incoming TEXT NOT NULL, size_bytes INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL, state TEXT NOT NULL, run_uid TEXT, key TEXT, uploaded_ms INTEGER NOT NULL);"
    "CREATE INDEX uploads_state ON uploads(uid, state);"
    "CREATE INDEX uploads_receiving ON uploads(state) WHERE state = 'receiving';"
    /* outcome: the final state that COMPLETING leads to */
    "CREATE TABLE runs(run_uid TEXT PRIMARY KEY, tenant TEXT NOT NULL, uid TEXT NOT NULL, run_id TEXT NOT "
    "NULL,"
    " seq INTEGER, trigger TEXT NOT NULL, due_ms INTEGER, state TEXT NOT NULL, outcome TEXT, reason TEXT,"
    " version INTEGER NOT NULL, retry_of TEXT, retried_by TEXT, files INTEGER NOT NULL DEFAULT 0,"
    " attempts INTEGER NOT NULL DEFAULT 0, attempt_after_ms INTEGER NOT NULL DEFAULT 0,"
    " unsure INTEGER NOT NULL DEFAULT 0, sealed_dir TEXT, sealed_epoch INTEGER, manifest_sha256 TEXT, "
    "files_in INTEGER, bytes_in INTEGER,"
    " files_out INTEGER, bytes_out INTEGER, created_ms INTEGER NOT NULL, finished_ms INTEGER,"
    " removed INTEGER NOT NULL DEFAULT 0, UNIQUE(uid, run_id));"
    "CREATE INDEX runs_state ON runs(uid, state);"
    "CREATE INDEX runs_open ON runs(state) WHERE state NOT IN"
    " ('COMPLETED','COMPLETED_WITH_REJECTS','FAILED','CANCELLED','SKIPPED','ABANDONED');"
    "CREATE INDEX runs_files ON runs(finished_ms) WHERE removed = 0 AND files > 0;"
    "CREATE TABLE run_files(run_uid TEXT, upload_id INTEGER, source TEXT NOT NULL, name TEXT NOT NULL,"
    " PRIMARY KEY(run_uid, upload_id)) WITHOUT ROWID;"
    /* state: OPEN, ENDED, FAILED, ABANDONED; the last two: the ranges are skipped */
    "CREATE TABLE run_datasets(run_uid TEXT, dataset TEXT, uid TEXT NOT NULL, seq INTEGER NOT NULL,"
    " schema_id INTEGER NOT NULL, key_schema_id INTEGER NOT NULL, state TEXT NOT NULL,"
    " epoch INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0, filtered INTEGER NOT NULL DEFAULT 0,"
    " rejected INTEGER NOT NULL DEFAULT 0, produced INTEGER NOT NULL DEFAULT 0,"
    " rejected_files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, reason TEXT,"
    " positions_removed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(run_uid, dataset)) WITHOUT ROWID;"
    "CREATE INDEX run_datasets_positions ON run_datasets(uid, dataset) WHERE positions_removed = 0;"
    "CREATE TABLE run_ranges(run_uid TEXT, dataset TEXT, partition INTEGER, first INTEGER NOT NULL,"
    " end INTEGER NOT NULL, PRIMARY KEY(run_uid, dataset, partition)) WITHOUT ROWID;"
    /* the ledger; state: OPEN, SKIPPING (final for the run, the sink has not passed it yet), FINAL */
    "CREATE TABLE run_sinks(run_uid TEXT, dataset TEXT, sink TEXT, uid TEXT NOT NULL, seq INTEGER NOT NULL,"
    " state TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,"
    " abandoned INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(run_uid, dataset, sink)) WITHOUT ROWID;"
    "CREATE INDEX run_sinks_open ON run_sinks(uid, dataset, sink) WHERE state <> 'FINAL';"
    /* OPEN: as far as the sink has come. SKIPPING: the sink's own split so far, all else is abandoned. */
    "CREATE VIEW ledger_lines AS SELECT s.run_uid, s.uid, s.seq, s.dataset, s.sink, d.read, d.filtered,"
    " d.rejected AS rejected_source, d.produced, s.state,"
    " CASE s.state WHEN 'FINAL' THEN s.delivered ELSE (SELECT coalesce(sum(c.delivered), 0) FROM sink_counts "
    "c WHERE c.uid = s.uid AND c.dataset = s.dataset AND"
    " c.sink = s.sink AND c.run_uid = s.run_uid) END AS delivered,"
    " CASE s.state WHEN 'FINAL' THEN s.rejected ELSE (SELECT coalesce(sum(c.rejected), 0) FROM sink_counts c "
    "WHERE c.uid = s.uid AND c.dataset = s.dataset AND"
    " c.sink = s.sink AND c.run_uid = s.run_uid) END AS rejected,"
    " CASE s.state WHEN 'FINAL' THEN s.abandoned WHEN 'SKIPPING' THEN d.produced - (SELECT "
    "coalesce(sum(c.delivered), 0) FROM sink_counts c WHERE c.uid = s.uid AND c.dataset = s.dataset AND"
    " c.sink = s.sink AND c.run_uid = s.run_uid) - (SELECT coalesce(sum(c.rejected), 0) FROM sink_counts c "
    "WHERE c.uid = s.uid AND c.dataset = s.dataset AND"
    " c.sink = s.sink AND c.run_uid = s.run_uid) ELSE (SELECT coalesce(sum(c.abandoned), 0) FROM sink_counts "
    "c WHERE c.uid = s.uid AND c.dataset = s.dataset AND"
    " c.sink = s.sink AND c.run_uid = s.run_uid) END AS abandoned"
    " FROM run_sinks s JOIN run_datasets d USING(run_uid, dataset);"
    /* a sink of a dataset, and where it starts without a stored position (JSON: [[partition, offset], ...])
     */
    "CREATE TABLE sinks(uid TEXT, dataset TEXT, sink TEXT, starts TEXT NOT NULL, PRIMARY KEY(uid, dataset, "
    "sink))"
    " WITHOUT ROWID;"
    "CREATE TABLE ends(uid TEXT, dataset TEXT, partition INTEGER, end INTEGER NOT NULL,"
    " PRIMARY KEY(uid, dataset, partition)) WITHOUT ROWID;"
    /* observations: the highest (epoch, position) */
    "CREATE TABLE sink_positions(uid TEXT, dataset TEXT, sink TEXT, partition INTEGER, epoch INTEGER NOT "
    "NULL,"
    " position INTEGER NOT NULL, log_end INTEGER NOT NULL, PRIMARY KEY(uid, dataset, sink, partition))"
    " WITHOUT ROWID;"
    "CREATE TABLE sink_counts(uid TEXT, dataset TEXT, sink TEXT, run_uid TEXT, partition INTEGER,"
    " epoch INTEGER NOT NULL, position INTEGER NOT NULL, delivered INTEGER NOT NULL, rejected INTEGER NOT "
    "NULL,"
    " abandoned INTEGER NOT NULL, PRIMARY KEY(uid, dataset, sink, run_uid, partition)) WITHOUT ROWID;"
    /* state: WAITING (for a worker), ASSIGNED, STOPPING, FAILED */
    "CREATE TABLE tasks(tenant TEXT, connector TEXT, task INTEGER, kind INTEGER NOT NULL, dataset TEXT NOT "
    "NULL,"
    " sink TEXT NOT NULL, run_uid TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, config_digest INTEGER NOT NULL, scope_digest INTEGER NOT NULL,"
    " worker TEXT NOT NULL, incarnation TEXT NOT NULL, error TEXT NOT NULL, retry_ms INTEGER NOT NULL,"
    " PRIMARY KEY(tenant, connector, task)) WITHOUT ROWID;"
    "CREATE TABLE epochs(tenant TEXT, connector TEXT, task INTEGER, epoch INTEGER NOT NULL,"
    " PRIMARY KEY(tenant, connector, task)) WITHOUT ROWID;"
    "CREATE TABLE alarms(id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, run_uid TEXT NOT NULL,"
    " text TEXT NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE TABLE idempotency(name TEXT, key TEXT, answer TEXT, at_ms INTEGER NOT NULL, PRIMARY KEY(name, "
    "key))"
    " WITHOUT ROWID;"
    "CREATE INDEX idempotency_age ON idempotency(at_ms);",
    /* 2: the audit trail; not bound to tenants, which it outlives */
    "CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT, peer TEXT,"
    " tenant TEXT, what TEXT NOT NULL, subject TEXT, before TEXT, after TEXT);"
    "CREATE INDEX audit_age ON audit(at_ms);"
    "CREATE INDEX audit_tenant ON audit(tenant, id);"
    "CREATE INDEX audit_what ON audit(what, id);",
    /* 3: sinks that were removed and are still registered on the bus; topic: theirs goes with them */
    "CREATE TABLE gone_sinks(uid TEXT, dataset TEXT, sink TEXT, due_ms INTEGER NOT NULL, topic INTEGER NOT "
    "NULL,"
    " PRIMARY KEY(uid, dataset, sink)) WITHOUT ROWID;",
    /* 4: what becomes of a schedule; schedule_note: the last times that were passed over, or why there is no
     * next one */
    "ALTER TABLE tenants ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';"
    "ALTER TABLE tenants ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tenants ADD COLUMN schedule_note TEXT;",
    /* 5: replays: what such a run reads; a dataset or run that is NULL: all */
    "CREATE TABLE replays(run_uid TEXT PRIMARY KEY, uid TEXT NOT NULL, dataset TEXT, of_run TEXT,"
    " force INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX runs_replays ON runs(finished_ms) WHERE removed = 0 AND trigger = 'replay';",
    /* 6: concurrency: 0 forbid, 1 allow, 2 replace; replaces: the run whose files such a run takes over */
    "ALTER TABLE tenants ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN replaces TEXT;"
    "CREATE INDEX runs_replaces ON runs(replaces) WHERE replaces IS NOT NULL;",
    /* 7: given_out: a source was given to a worker, and its last word has not been heard */
    "ALTER TABLE run_datasets ADD COLUMN given_out INTEGER NOT NULL DEFAULT 0;"
    "UPDATE run_datasets SET given_out = 1 WHERE state = 'OPEN';"
    "ALTER TABLE runs DROP COLUMN unsure;",
    /* 8: what would be read in full where there are many tenants and a long history */
    "CREATE UNIQUE INDEX tenants_uid ON tenants(uid);"
    "CREATE INDEX runs_newest ON runs(created_ms);"
    "CREATE INDEX runs_newest_of_tenant ON runs(uid, created_ms);"
    "CREATE INDEX uploads_run ON uploads(run_uid) WHERE run_uid IS NOT NULL;",
};

mr_err mr_state_migrate(mr_db *db, mr_error *ret_error)
{
    const int64_t newest = (int64_t)(sizeof steps / sizeof steps[0]);
    mr_db_script(db, "CREATE TABLE IF NOT EXISTS migrations(step INTEGER PRIMARY KEY, at TEXT NOT NULL)");
    int64_t last = mr_db_int(db, 0, "SELECT max(step) FROM migrations", "");
    if (last > newest)
        return mr_fail(
            ret_error, MR_EREFUSED,
            "coordinator.db was written by a newer version (step %lld, this one knows %lld): start that one",
            (long long)last, (long long)newest);
    for (int64_t step = last + 1; step <= newest && !mr_db_failed(db); step++) {
        mr_db_begin(db);
        mr_db_script(db, steps[step - 1]);
        mr_db_run(db, "INSERT INTO migrations VALUES(?, datetime('now'))", "i", step);
        mr_db_commit(db);
    }
    return mr_db_take_error(db, ret_error);
}
