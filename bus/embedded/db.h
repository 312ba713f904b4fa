/* db.h - one connection to the tenant's file; private to bus/embedded.
 *
 * Waits for locks with a bound and, where it has a holder, frees a lock that a frozen older epoch of its task
 * holds. Errors name the file. Thread: one at a time.
 */
#ifndef MR_BUS_EMBEDDED_DB_H
#define MR_BUS_EMBEDDED_DB_H

#include "core/holder.h"
#include "core/slice.h"

#include <sqlite3.h>

typedef struct embedded_db {
    sqlite3 *handle;
    const char *path; /* borrowed */
    int64_t lock_timeout_ms;
    int64_t waiting_since_ms;
    mr_holder *holder; /* borrowed; NULL: waits only */
} embedded_db;

int64_t embedded_now_ms(void); /* monotonic */

/* The file must exist. `cache_kib` bounds the pages kept in memory. */
mr_err embedded_db_open(embedded_db *db, const char *path, int64_t lock_timeout_ms, int cache_kib,
                        mr_error *ret_error);
void embedded_db_close(embedded_db *db); /* after its statements; {0} is closed */

/* The error of the last call on the connection, which said `rc`; `doing` ends "FILE: cannot ...". */
mr_err embedded_db_fail(const embedded_db *db, int rc, const char *doing, mr_error *ret_error);

mr_err embedded_db_execute(embedded_db *db, const char *sql, const char *doing, mr_error *ret_error);
mr_err embedded_db_prepare(embedded_db *db, const char *sql, sqlite3_stmt **ret_statement,
                           mr_error *ret_error);
/* Steps a statement that gives no rows, and resets it. */
mr_err embedded_db_run(embedded_db *db, sqlite3_stmt *statement, const char *doing, mr_error *ret_error);
/* Steps to the next row; *ret_row false: there is none. The caller resets. */
mr_err embedded_db_next(embedded_db *db, sqlite3_stmt *statement, bool *ret_row, const char *doing,
                        mr_error *ret_error);

mr_err embedded_db_begin(embedded_db *db,
                         mr_error *ret_error); /* BEGIN IMMEDIATE; says so to the holder's file */
mr_err embedded_db_commit(embedded_db *db,
                          mr_error *ret_error); /* for set-up, where the outcome does not matter */
void embedded_db_rollback(embedded_db *db);     /* nothing when no transaction is open */

#endif
