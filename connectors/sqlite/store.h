/* store.h - one SQLite file as a store: opened with our settings, its write lock taken with a deadline, a
 * frozen older epoch of ours removed while waiting, SQLite's results turned into errors. Thread: one.
 */
#ifndef MR_CONNECTORS_SQLITE_STORE_H
#define MR_CONNECTORS_SQLITE_STORE_H

#include "core/holder.h"
#include "core/slice.h"

#include <sqlite3.h>

typedef struct store_settings {
    int64_t cache_bytes;
    int64_t wal_bytes; /* a commit that leaves the log longer copies it into the file */
    int lock_timeout_ms;
} store_settings;

/* {0} is closed. */
typedef struct sqlite_store {
    sqlite3 *db;
    mr_holder *holder;
    char *path;
    sqlite3_stmt *begin, *commit, *rollback;
    int lock_timeout_ms; /* of the next wait */
    int64_t waiting_since_ms;
    int page_bytes;
    int64_t wal_bytes;
    int64_t log_bytes; /* of the log after the last commit */
    bool in_transaction;
} sqlite_store;

/* Opens or creates {dir}/{tenant}/{key_space}.db; the folders are made and are durable when this returns.
 * `identity` is for core/holder.h. store_close follows even when open fails. */
mr_err store_open(sqlite_store *store, const char *dir, const char *tenant, const char *key_space,
                  const char *identity, int64_t epoch, const store_settings *settings, mr_error *ret_error);
void store_close(sqlite_store *store); /* rolls back; statements made by others are finalized before */

/* Takes the write lock. MR_EUNAVAILABLE when another writer keeps it for the whole lock timeout. */
mr_err store_begin(sqlite_store *store, mr_error *ret_error);
/* MR_EUNKNOWN when the disk failed in it; otherwise an error means rolled back. */
mr_err store_commit(sqlite_store *store, mr_error *ret_error);
void store_rollback(sqlite_store *store);

mr_err store_prepare(sqlite_store *store, const char *sql, sqlite3_stmt **ret_statement, mr_error *ret_error);
mr_err store_exec(sqlite_store *store, const char *sql, mr_error *ret_error);
/* Fails with the code that fits the result of SQLite and its text; `doing` is the context ("insert"). */
mr_err store_fail(sqlite_store *store, int result, const char *doing, mr_error *ret_error);

/* Appends an identifier in quotes. */
mr_err store_quote(mr_buf *sql, const char *name);

#endif
