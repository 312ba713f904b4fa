/* db.c - see db.h.
 *
 * The holder's record is never cleared: COMMIT holds the lock while it waits for the disk, which is where a
 * process is most likely to be frozen. A record that outlives its transaction names, to a newer epoch of the
 * same task, only a process that may not write any more.
 */
#include "bus/embedded/db.h"

#include "core/sqlite_disk.h"

#include <stdio.h>
#include <time.h>

enum { EVICT_AFTER_MS = 100, SHORT_WAITS_MS = 20 };

int64_t embedded_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int on_busy(void *arg, int calls)
{
    embedded_db *db = arg;
    int64_t now = embedded_now_ms();
    if (calls == 0)
        db->waiting_since_ms = now;
    int64_t waited = now - db->waiting_since_ms;
    if (waited >= db->lock_timeout_ms)
        return 0;
    if (waited >= EVICT_AFTER_MS && db->holder != NULL)
        (void)mr_holder_evict(db->holder);
    struct timespec pause = {.tv_nsec = waited < SHORT_WAITS_MS ? 500000 : 5000000};
    nanosleep(&pause, NULL);
    return 1;
}

mr_err embedded_db_open(embedded_db *db, const char *path, int64_t lock_timeout_ms, int cache_kib,
                        mr_error *ret_error)
{
    char settings[200];
    *db = (embedded_db){.path = path, .lock_timeout_ms = lock_timeout_ms};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_handler(db->handle, on_busy, db);
    if (rc != SQLITE_OK) {
        mr_err err = embedded_db_fail(db, rc, "cannot be opened", ret_error);
        embedded_db_close(db);
        return err;
    }
    snprintf(settings, sizeof settings,
             "PRAGMA synchronous=FULL; PRAGMA cache_size=-%d; PRAGMA wal_autocheckpoint=512; PRAGMA "
             "journal_size_limit=16777216; "
             "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF",
             cache_kib);
    mr_err err = embedded_db_execute(db, settings, "cannot be opened", ret_error);
    if (err != MR_OK)
        embedded_db_close(db);
    return err;
}

void embedded_db_close(embedded_db *db)
{
    (void)sqlite3_close(db->handle);
    db->handle = NULL;
}

mr_err embedded_db_fail(const embedded_db *db, int rc, const char *doing, mr_error *ret_error)
{
    char holder[200];
    const char *reason = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    int errnum = mr_sqlite_disk_errno(db->handle, rc);
    if (errnum != 0)
        return mr_fail_errno(ret_error, errnum, "bus file %s %s", db->path, doing);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return mr_fail(ret_error, MR_ENOMEM, "bus file %s %s: memory is short", db->path, doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        if (!mr_holder_name(db->path, holder, sizeof holder))
            snprintf(holder, sizeof holder, "another process");
        return mr_fail(ret_error, MR_EUNAVAILABLE, "bus file %s %s: %s has held its lock for %lld ms",
                       db->path, doing, holder, (long long)db->lock_timeout_ms);
    case SQLITE_NOTADB:
        return mr_fail(ret_error, MR_EINVALID, "bus file %s %s: it is not a SQLite file; move it away",
                       db->path, doing);
    case SQLITE_CORRUPT:
        return mr_classify(ret_error,
                           mr_fail(ret_error, MR_EIO,
                                   "bus file %s %s: it is damaged (%s); restore it from a backup", db->path,
                                   doing, reason),
                           MR_CONFIG);
    default:
        return mr_fail(ret_error, MR_EIO, "bus file %s %s: %s", db->path, doing, reason);
    }
}

mr_err embedded_db_execute(embedded_db *db, const char *sql, const char *doing, mr_error *ret_error)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? MR_OK : embedded_db_fail(db, rc, doing, ret_error);
}

mr_err embedded_db_prepare(embedded_db *db, const char *sql, sqlite3_stmt **ret_statement,
                           mr_error *ret_error)
{
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return rc == SQLITE_OK ? MR_OK : embedded_db_fail(db, rc, "cannot be used", ret_error);
}

mr_err embedded_db_run(embedded_db *db, sqlite3_stmt *statement, const char *doing, mr_error *ret_error)
{
    mr_err err = MR_OK;
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE)
        err = embedded_db_fail(db, rc, doing, ret_error);
    (void)sqlite3_reset(statement);
    return err;
}

mr_err embedded_db_next(embedded_db *db, sqlite3_stmt *statement, bool *ret_row, const char *doing,
                        mr_error *ret_error)
{
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        mr_err err = embedded_db_fail(db, rc, doing, ret_error);
        (void)sqlite3_reset(statement);
        return err;
    }
    *ret_row = rc == SQLITE_ROW;
    return MR_OK;
}

mr_err embedded_db_begin(embedded_db *db, mr_error *ret_error)
{
    mr_err err = embedded_db_execute(db, "BEGIN IMMEDIATE", "cannot be written", ret_error);
    if (err == MR_OK && db->holder != NULL)
        mr_holder_enter(db->holder);
    return err;
}

mr_err embedded_db_commit(embedded_db *db, mr_error *ret_error)
{
    mr_err err = embedded_db_execute(db, "COMMIT", "cannot be written", ret_error);
    if (err != MR_OK)
        embedded_db_rollback(db);
    return err;
}

void embedded_db_rollback(embedded_db *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}
