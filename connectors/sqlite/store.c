#include "connectors/sqlite/store.h"

#include "core/fault.h"
#include "core/sqlite_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WAIT_STEP_MS = 5,
    PAGE_BYTES = 16384,     /* a transaction touches most pages of the key's index: fewer, larger calls */
    READERS_WAIT_MS = 1000, /* for readers to let the log go, when it has become too long */
    LOG_TOO_LONG_FACTOR = 4,
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* SQLite calls it while another connection holds a lock that ours needs. Nothing tells when a lock is let go,
 * so this looks again in short steps. */
static int wait_for_lock(void *arg, int count)
{
    sqlite_store *store = arg;
    if (count == 0)
        store->waiting_since_ms = now_ms();
    if (now_ms() - store->waiting_since_ms >= store->lock_timeout_ms)
        return 0;
    if (!mr_holder_evict(store->holder))
        nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_MS * 1000000L}, NULL);
    return 1;
}

mr_err store_fail(sqlite_store *store, int result, const char *doing, mr_error *ret_error)
{
    const char *text = store->db == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(store->db);
    int errnum = mr_sqlite_disk_errno(store->db, result);
    mr_err code = MR_EIO;
    if (errnum != 0)
        return mr_fail_errno(ret_error, errnum, "store %s: %s", store->path, doing);
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        code = MR_ENOMEM;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return mr_fail(ret_error, MR_EUNAVAILABLE, "store %s: %s: another writer held its lock for %d ms",
                       store->path, doing, store->lock_timeout_ms);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = MR_EDATALOSS;
        break;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        code = MR_EBUG;
        break;
    default:
        break;
    }
    return mr_fail(ret_error, code, "store %s: %s: %s", store->path, doing, text);
}

mr_err store_prepare(sqlite_store *store, const char *sql, sqlite3_stmt **ret_statement, mr_error *ret_error)
{
    int result = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return result == SQLITE_OK ? MR_OK : store_fail(store, result, "prepare a statement", ret_error);
}

mr_err store_exec(sqlite_store *store, const char *sql, mr_error *ret_error)
{
    int result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? MR_OK : store_fail(store, result, sql, ret_error);
}

mr_err store_quote(mr_buf *sql, const char *name)
{
    mr_err err = mr_buf_append(sql, "\"", 1);
    for (; err == MR_OK && *name != '\0'; name++) {
        err = mr_buf_append(sql, name, 1);
        if (err == MR_OK && *name == '"')
            err = mr_buf_append(sql, name, 1);
    }
    return err == MR_OK ? mr_buf_append(sql, "\"", 1) : err;
}

static mr_err sync_folder(const char *path, mr_error *ret_error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "store: open the folder %s", path);
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return failed == 0 ? MR_OK : mr_fail_errno(ret_error, failed, "store: sync the folder %s", path);
}

/* Makes the folder, and its name durable. */
static mr_err make_folder(const char *parent, const char *path, mr_error *ret_error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return mr_fail_errno(ret_error, errno, "store: make the folder %s", path);
    return sync_folder(parent, ret_error);
}

static mr_err make_folders(const char *dir, const char *tenant, mr_error *ret_error)
{
    char path[4096], parent[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, tenant) >= (int)sizeof path)
        return mr_fail(ret_error, MR_EINVALID, "store.dir %s: the path is too long", dir);
    snprintf(parent, sizeof parent, "%s", dir);
    mr_err err = make_folder(dirname(parent), dir, ret_error);
    return err == MR_OK ? make_folder(dir, path, ret_error) : err;
}

static mr_err open_database(sqlite_store *store, const char *path, mr_error *ret_error)
{
    /* One thread: SQLite's own locking of the connection would only cost. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(path, &store->db, flags, NULL);
    return result == SQLITE_OK ? MR_OK : store_fail(store, result, "open", ret_error);
}

static mr_err make_aside(sqlite_store *store, const char *path, mr_error *ret_error)
{
    char sql[120];
    (void)unlink(path); /* of one that was killed, and had our pid */
    snprintf(sql, sizeof sql, "PRAGMA synchronous = FULL; PRAGMA page_size = %d; PRAGMA journal_mode = WAL",
             PAGE_BYTES);
    mr_err err = open_database(store, path, ret_error);
    if (err == MR_OK)
        err = store_exec(store, sql, ret_error);
    sqlite3_close(store->db);
    store->db = NULL;
    return err;
}

/* An empty file in WAL mode is made under another name: the locks of its making, which no holder is recorded
 * for, could otherwise be those of a frozen process. Somebody may be faster. */
static mr_err ensure_file(sqlite_store *store, mr_error *ret_error)
{
    char *aside, folder[4096];
    if (access(store->path, F_OK) == 0)
        return MR_OK;
    if (asprintf(&aside, "%s.new-%d", store->path, (int)getpid()) < 0)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a path");
    mr_err err = make_aside(store, aside, ret_error);
    MR_FAULT("sqlite_file_made");
    if (err == MR_OK && renameat2(AT_FDCWD, aside, AT_FDCWD, store->path, RENAME_NOREPLACE) != 0 &&
        errno != EEXIST)
        err = mr_fail_errno(ret_error, errno, "store: make the file %s", store->path);
    (void)unlink(aside); /* where it was not renamed */
    free(aside);
    snprintf(folder, sizeof folder, "%s", store->path);
    return err == MR_OK ? sync_folder(dirname(folder), ret_error) : err;
}

/* The switch to WAL, of a file that others have made, does not wait for a lock by itself. */
static mr_err set_wal(sqlite_store *store, mr_error *ret_error)
{
    int result;
    for (int i = 0;; i++) {
        result = sqlite3_exec(store->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((result & 0xff) != SQLITE_BUSY || !wait_for_lock(store, i))
            break;
    }
    return result == SQLITE_OK ? MR_OK : store_fail(store, result, "switch to WAL", ret_error);
}

static int note_log(void *arg, sqlite3 *db, const char *schema, int pages)
{
    sqlite_store *store = arg;
    (void)db;
    (void)schema;
    store->log_bytes = (int64_t)pages * store->page_bytes;
    return SQLITE_OK;
}

/* Copies the log into the file when it is long enough. Readers of an old state keep that from ending; a log
 * that is far too long waits for them, so that the next transaction can start it anew. Failing is no harm:
 * the next commit tries again. */
static void shorten_log(sqlite_store *store)
{
    int kept_ms = store->lock_timeout_ms;
    if (store->log_bytes < store->wal_bytes)
        return;
    bool too_long = store->log_bytes >= LOG_TOO_LONG_FACTOR * store->wal_bytes;
    store->lock_timeout_ms = READERS_WAIT_MS;
    (void)sqlite3_wal_checkpoint_v2(
        store->db, "main", too_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    store->lock_timeout_ms = kept_ms;
}

static mr_err read_page_size(sqlite_store *store, mr_error *ret_error)
{
    sqlite3_stmt *read = NULL;
    mr_err err = store_prepare(store, "PRAGMA page_size", &read, ret_error);
    if (err == MR_OK && sqlite3_step(read) == SQLITE_ROW)
        store->page_bytes = sqlite3_column_int(read, 0);
    sqlite3_finalize(read);
    return err;
}

static mr_err configure(sqlite_store *store, const store_settings *settings, mr_error *ret_error)
{
    char sql[300];
    sqlite3_busy_handler(store->db, wait_for_lock, store);
    mr_err err = set_wal(store, ret_error);
    if (err == MR_OK)
        err = read_page_size(store, ret_error);
    if (err != MR_OK)
        return err;
    store->wal_bytes = settings->wal_bytes;
    sqlite3_wal_hook(store->db, note_log, store);
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous = FULL; PRAGMA cache_size = -%" PRId64
             "; PRAGMA journal_size_limit = %" PRId64 "; PRAGMA temp_store = MEMORY",
             settings->cache_bytes / 1024, settings->wal_bytes);
    err = store_exec(store, sql, ret_error);
    if (err == MR_OK)
        err = store_prepare(store, "BEGIN IMMEDIATE", &store->begin, ret_error);
    if (err == MR_OK)
        err = store_prepare(store, "COMMIT", &store->commit, ret_error);
    if (err == MR_OK)
        err = store_prepare(store, "ROLLBACK", &store->rollback, ret_error);
    return err;
}

mr_err store_open(sqlite_store *store, const char *dir, const char *tenant, const char *key_space,
                  const char *identity, int64_t epoch, const store_settings *settings, mr_error *ret_error)
{
    mr_err err = make_folders(dir, tenant, ret_error);
    if (err != MR_OK)
        return err;
    if (asprintf(&store->path, "%s/%s/%s.db", dir, tenant, key_space) < 0) {
        store->path = NULL;
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a path");
    }
    store->lock_timeout_ms = settings->lock_timeout_ms;
    err = mr_holder_open(store->path, identity, epoch, &store->holder, ret_error);
    if (err == MR_OK)
        err = ensure_file(store, ret_error);
    if (err == MR_OK)
        err = open_database(store, store->path, ret_error);
    return err == MR_OK ? configure(store, settings, ret_error) : err;
}

void store_close(sqlite_store *store)
{
    store_rollback(store);
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->rollback);
    sqlite3_close(store->db);
    mr_holder_close(&store->holder);
    free(store->path);
    *store = (sqlite_store){0};
}

static int run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

mr_err store_begin(sqlite_store *store, mr_error *ret_error)
{
    int result = run(store->begin);
    if (result != SQLITE_OK)
        return store_fail(store, result, "begin", ret_error);
    mr_holder_enter(store->holder);
    store->in_transaction = true;
    return MR_OK;
}

/* The mark in the holder file stays during COMMIT, where most of the time under the lock is spent, and after
 * it: what it may cause then is the end of an older epoch, which a newer one that writes has fenced anyway.
 */
mr_err store_commit(sqlite_store *store, mr_error *ret_error)
{
    int result = run(store->commit);
    if (result == SQLITE_OK) {
        store->in_transaction = false;
        shorten_log(store);
        return MR_OK;
    }
    mr_error cause;
    mr_err err = store_fail(store, result, "commit", &cause);
    store_rollback(store);
    /* A full disk is found before the log holds the whole transaction; after any other failure the next one
     * to open it might find it there. */
    if (result != SQLITE_FULL && err != MR_EUNAVAILABLE)
        return mr_fail(ret_error, MR_EUNKNOWN, "the outcome of a commit is not known: %s", cause.text);
    if (ret_error != NULL)
        *ret_error = cause;
    return err;
}

void store_rollback(sqlite_store *store)
{
    if (!store->in_transaction)
        return;
    mr_holder_leave(store->holder);
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)run(store->rollback);
    store->in_transaction = false;
}
