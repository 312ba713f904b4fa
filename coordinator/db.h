/* db.h - SQLite with less to write: one connection, cached statements, errors that stay.
 *
 * The first error is kept: from then on every call does nothing and yields "no row", until mr_db_take_error()
 * hands it out. So a sequence of statements is written straight, and checked once at its end; state.c commits
 * nothing while an error is kept.
 *
 * `types` has a letter per parameter of the statement: t const char * (NULL: null), i int64_t, r double. SQL
 * texts are literals: statements are cached by address. Thread: one.
 */
#ifndef MR_COORDINATOR_DB_H
#define MR_COORDINATOR_DB_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mr_db mr_db;
typedef struct mr_query mr_query;

/* Exclusive to this process: MR_EREFUSED when another one has it. WAL, synchronous=FULL. */
mr_err mr_db_open(const char *path, mr_db **ret_db, mr_error *ret_error);
void mr_db_close(mr_db **db); /* NULL-safe */

void mr_db_begin(mr_db *db);
void mr_db_commit(mr_db *db); /* rolls back and keeps the error when it fails */
void mr_db_rollback(mr_db *db);

/* Several statements without parameters or rows. */
void mr_db_script(mr_db *db, const char *sql);
/* One statement that gives no rows; returns how many rows it changed. */
int64_t mr_db_run(mr_db *db, const char *sql, const char *types, ...);

/* Rows: `for (mr_query *q = mr_db_select(...); mr_query_next(q);)`. A loop that is left early calls
 * mr_query_end. Never NULL. Texts live until the next call of next or end. */
mr_query *mr_db_select(mr_db *db, const char *sql, const char *types, ...);
bool mr_query_next(mr_query *query);
void mr_query_end(mr_query *query);
int64_t mr_query_int(mr_query *query, int column);      /* 0 for null */
const char *mr_query_text(mr_query *query, int column); /* "" for null */
bool mr_query_null(mr_query *query, int column);

/* The first column of the first row; `otherwise` when there is none or it is null. */
int64_t mr_db_int(mr_db *db, int64_t otherwise, const char *sql, const char *types, ...);
/* As text into `buf`; false (and "") when there is no row, it is null, or it does not fit. */
bool mr_db_text(mr_db *db, char *buf, size_t size, const char *sql, const char *types, ...);

int64_t mr_db_last_id(mr_db *db);
int64_t mr_db_changes(const mr_db *db); /* rows changed since the opening */
/* Rows that were read one by one since the opening: where that grows with the history, an index is missing.
 */
int64_t mr_db_scanned(const mr_db *db);

bool mr_db_failed(const mr_db *db);
/* MR_OK when nothing failed; else the error, which is forgotten. */
mr_err mr_db_take_error(mr_db *db, mr_error *ret_error);
/* Keeps an error that was found elsewhere, as if a statement had failed. */
void mr_db_keep_error(mr_db *db, const mr_error *error);

#endif
