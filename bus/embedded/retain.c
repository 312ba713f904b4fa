/* retain.c - removes old batches, a slice at a time, and gives pages back to the file system.
 *
 * Only whole batches go, from the start of a partition, so what is left has no holes. removed_below tells a
 * reader that comes too late from one that stands in a gap.
 */
#include "bus/embedded/embedded.h"
#include "core/fault.h"

enum {
    SLICE_BATCHES = 16,        /* removed in one transaction: about 4 MiB */
    VACUUM_PAGES = 1024,       /* given back in one transaction */
    FREE_PAGES_KEPT_SHARE = 4, /* a quarter of the file may be free: it is used again */
};

typedef struct cut {
    int64_t last_id;       /* of the batches to remove; -1: none */
    int64_t removed_below; /* after the last record of them */
    bool more;
} cut;

/* What the slowest sink of the log has not read yet. */
static mr_err lowest_position(embedded_db *db, int64_t log, int64_t *ret_offset, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    bool found = false;
    mr_err err =
        embedded_db_prepare(db, "SELECT min(next_offset) FROM sinks WHERE log=?", &select, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(select, 1, log);
    err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK)
        *ret_offset = sqlite3_column_type(select, 0) == SQLITE_NULL ? EMBEDDED_OFFSET_END
                                                                    : sqlite3_column_int64(select, 0);
    (void)sqlite3_finalize(select);
    return err;
}

static mr_err find_cut(embedded_db *db, int64_t log, int64_t before_ms, int64_t lowest, cut *ret_cut,
                       mr_error *ret_error)
{
    cut found = {.last_id = -1};
    sqlite3_stmt *select = NULL;
    bool row = false;
    int batches = 0;
    mr_err err = embedded_db_prepare(
        db, "SELECT id, span, newest_ms FROM batches WHERE id >= ?1 AND id < ?2 ORDER BY id", &select,
        ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(select, 1, embedded_batch_id(log, 0));
    (void)sqlite3_bind_int64(select, 2, embedded_batch_id(log + 1, 0));
    while ((err = embedded_db_next(db, select, &row, "cannot be read", ret_error)) == MR_OK && row) {
        int64_t id = sqlite3_column_int64(select, 0);
        int64_t last = embedded_batch_offset(id) + sqlite3_column_int64(select, 1);
        if (sqlite3_column_int64(select, 2) >= before_ms || last >= lowest)
            break;
        if (batches++ == SLICE_BATCHES) {
            found.more = true;
            break;
        }
        found.last_id = id;
        found.removed_below = last + 1;
    }
    (void)sqlite3_finalize(select);
    if (err == MR_OK)
        *ret_cut = found;
    return err;
}

static mr_err remove_batches(embedded_db *db, int64_t log, const cut *at, mr_error *ret_error)
{
    sqlite3_stmt *statement = NULL;
    mr_err err =
        embedded_db_prepare(db, "DELETE FROM batches WHERE id BETWEEN ?1 AND ?2", &statement, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(statement, 1, embedded_batch_id(log, 0));
    (void)sqlite3_bind_int64(statement, 2, at->last_id);
    err = embedded_db_run(db, statement, "cannot be written", ret_error);
    (void)sqlite3_finalize(statement);
    if (err == MR_OK)
        err = embedded_db_prepare(db, "UPDATE logs SET removed_below=?2 WHERE id=?1", &statement, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(statement, 1, log);
    (void)sqlite3_bind_int64(statement, 2, at->removed_below);
    err = embedded_db_run(db, statement, "cannot be written", ret_error);
    (void)sqlite3_finalize(statement);
    return err;
}

/* Positions are read inside the transaction that removes: a sink that is registered after it starts at what
 * is left. */
static mr_err retain_log(embedded_db *db, int64_t log, int64_t before_ms, cut *ret_cut, mr_error *ret_error)
{
    int64_t lowest = 0;
    mr_err err = lowest_position(db, log, &lowest, ret_error);
    if (err == MR_OK)
        err = find_cut(db, log, before_ms, lowest, ret_cut, ret_error);
    if (err == MR_OK && ret_cut->last_id >= 0)
        err = remove_batches(db, log, ret_cut, ret_error);
    return err;
}

/* One slice of one log. */
static mr_err retain_slice(embedded_db *db, int64_t log, int64_t before_ms, cut *ret_cut, mr_error *ret_error)
{
    mr_err err = embedded_db_begin(db, ret_error);
    if (err != MR_OK)
        return err;
    err = retain_log(db, log, before_ms, ret_cut, ret_error);
    if (err != MR_OK || ret_cut->last_id < 0) {
        embedded_db_rollback(db);
        return err;
    }
    MR_FAULT("bus_before_retain_commit");
    return embedded_db_commit(db, ret_error);
}

static mr_err pragma(embedded_db *db, const char *sql, int64_t *ret_value, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    bool found = false;
    mr_err err = embedded_db_prepare(db, sql, &select, ret_error);
    if (err != MR_OK)
        return err;
    err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK)
        *ret_value = sqlite3_column_int64(select, 0);
    (void)sqlite3_finalize(select);
    return err;
}

static mr_err give_pages_back(embedded_db *db, bool *ret_more, mr_error *ret_error)
{
    char sql[60];
    int64_t pages = 0, free_pages = 0;
    mr_err err = pragma(db, "PRAGMA page_count", &pages, ret_error);
    if (err == MR_OK)
        err = pragma(db, "PRAGMA freelist_count", &free_pages, ret_error);
    if (err != MR_OK || free_pages <= pages / FREE_PAGES_KEPT_SHARE)
        return err;
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
    err = embedded_db_execute(db, sql, "cannot be made smaller", ret_error);
    if (err == MR_OK)
        *ret_more = true;
    return err;
}

mr_err embedded_retain(mr_bus *base, const char *topic, int64_t before_ms, bool *ret_more,
                       mr_error *ret_error)
{
    embedded_db *db = &((embedded_bus *)base)->db;
    embedded_topic found;
    cut at = {.last_id = -1};
    bool more = false;
    mr_err err = embedded_topic_find(db, topic, &found, ret_error);
    for (int32_t i = 0; err == MR_OK && at.last_id < 0 && i < found.partitions; i++) {
        err = retain_slice(db, found.first_log + i, before_ms, &at, ret_error);
        more = at.last_id >= 0 && (at.more || i + 1 < found.partitions);
    }
    if (err == MR_OK && !more)
        err = give_pages_back(db, &more, ret_error);
    if (err == MR_OK)
        *ret_more = more;
    return err;
}
