/* db.c - see db.h. */
#include "coordinator/db.h"

#include "core/sqlite_disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATEMENTS = 512 }; /* slots of the cache; a power of two, well above the number of statements */

struct mr_query {
    mr_db *db;
    const char *sql; /* address of the literal; NULL: free */
    sqlite3_stmt *statement;
    bool busy;
    bool extra; /* not in the cache: freed at its end */
};

struct mr_db {
    sqlite3 *sqlite;
    char *path; /* for messages */
    mr_query cache[STATEMENTS];
    mr_query none; /* what a failed select gives */
    mr_error error;
    bool failed;
};

static mr_err code_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return MR_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MR_EDATALOSS;
    case SQLITE_BUSY: /* somebody looks at it from outside */
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
        return MR_EIO;
    default:
        return MR_EBUG;
    }
}

static void fail(mr_db *db, const char *what)
{
    if (db->failed)
        return;
    int code = sqlite3_extended_errcode(db->sqlite), errnum = mr_sqlite_disk_errno(db->sqlite, code);
    db->failed = true;
    if (errnum != 0)
        mr_fail_errno(&db->error, errnum, "%s", db->path);
    else
        mr_fail(&db->error, code_of(code), "%s: %s: %s", db->path, what, sqlite3_errmsg(db->sqlite));
}

void mr_db_script(mr_db *db, const char *sql)
{
    if (!db->failed && sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(db, "script");
}

mr_err mr_db_open(const char *path, mr_db **ret_db, mr_error *ret_error)
{
    mr_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "%s: out of memory", path);
    db->none.db = db;
    db->path = strdup(path);
    if (db->path == NULL) {
        free(db);
        return mr_fail(ret_error, MR_ENOMEM, "%s: out of memory", path);
    }
    int code = sqlite3_open_v2(path, &db->sqlite,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    mr_err err = MR_OK;
    if (code != SQLITE_OK) {
        fail(db, "open");
        err = mr_db_take_error(db, ret_error);
    } else {
        /* EXCLUSIVE before WAL: no shared-memory file, and a second coordinator is refused. */
        mr_db_script(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "PRAGMA foreign_keys=OFF; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"
                         "BEGIN EXCLUSIVE; COMMIT;");
        if (db->failed && sqlite3_errcode(db->sqlite) == SQLITE_BUSY)
            err = mr_fail(ret_error, MR_EREFUSED,
                          "%s is in use by another coordinator: stop it, or choose another "
                          "data.dir",
                          path);
        else if (db->failed)
            err = mr_db_take_error(db, ret_error);
    }
    if (err != MR_OK) {
        mr_db_close(&db);
        return err;
    }
    *ret_db = db;
    return MR_OK;
}

void mr_db_close(mr_db **db)
{
    if (*db == NULL)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize((*db)->cache[i].statement);
    sqlite3_close((*db)->sqlite);
    free((*db)->path);
    free(*db);
    *db = NULL;
}

/* The cached statement of that literal, a free slot for it, or a new query when the cached one is in use. */
static mr_query *query_for(mr_db *db, const char *sql)
{
    size_t slot = ((uintptr_t)sql * 0x9E3779B97F4A7C15u >> 40) % STATEMENTS;
    for (size_t i = 0; i < STATEMENTS; i++) {
        mr_query *query = &db->cache[(slot + i) % STATEMENTS];
        if (query->sql == sql && query->busy)
            break;
        if (query->sql == sql || query->sql == NULL)
            return query;
    }
    mr_query *query = calloc(1, sizeof *query);
    if (query != NULL)
        query->extra = true;
    return query;
}

static bool bind_all(sqlite3_stmt *statement, const char *types, va_list values)
{
    int code = SQLITE_OK;
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++) {
        switch (types[i]) {
        case 't':
            code = sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'i':
            code = sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t));
            break;
        case 'r':
            code = sqlite3_bind_double(statement, i + 1, va_arg(values, double));
            break;
        default:
            assert(false && "unknown type letter");
        }
    }
    return code == SQLITE_OK;
}

static mr_query *select_rows(mr_db *db, const char *sql, const char *types, va_list values)
{
    if (db->failed)
        return &db->none;
    mr_query *query = query_for(db, sql);
    if (query == NULL) {
        mr_fail(&db->error, MR_ENOMEM, "%s: out of memory", db->path);
        db->failed = true;
        return &db->none;
    }
    query->db = db;
    if (query->statement == NULL) {
        unsigned flags = query->extra ? 0 : SQLITE_PREPARE_PERSISTENT;
        if (sqlite3_prepare_v3(db->sqlite, sql, -1, flags, &query->statement, NULL) != SQLITE_OK) {
            fail(db, sql);
            if (query->extra)
                free(query);
            return &db->none;
        }
        query->sql = sql;
    }
    query->busy = true;
    assert((size_t)sqlite3_bind_parameter_count(query->statement) == strlen(types));
    if (!bind_all(query->statement, types, values)) {
        fail(db, sql);
        mr_query_end(query);
        return &db->none;
    }
    return query;
}

mr_query *mr_db_select(mr_db *db, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    mr_query *query = select_rows(db, sql, types, values);
    va_end(values);
    return query;
}

bool mr_query_next(mr_query *query)
{
    if (query->statement == NULL || query->db->failed) {
        mr_query_end(query);
        return false;
    }
    int code = sqlite3_step(query->statement);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        fail(query->db, query->sql);
    mr_query_end(query);
    return false;
}

void mr_query_end(mr_query *query)
{
    if (query->statement == NULL)
        return;
    if (query->extra) {
        sqlite3_finalize(query->statement);
        free(query);
        return;
    }
    sqlite3_reset(query->statement);
    sqlite3_clear_bindings(query->statement);
    query->busy = false;
}

int64_t mr_query_int(mr_query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

const char *mr_query_text(mr_query *query, int column)
{
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    return text != NULL ? text : "";
}

bool mr_query_null(mr_query *query, int column)
{
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

int64_t mr_db_run(mr_db *db, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    mr_query *query = select_rows(db, sql, types, values);
    va_end(values);
    while (mr_query_next(query))
        continue;
    return db->failed ? 0 : sqlite3_changes64(db->sqlite);
}

int64_t mr_db_int(mr_db *db, int64_t otherwise, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    mr_query *query = select_rows(db, sql, types, values);
    va_end(values);
    if (!mr_query_next(query))
        return otherwise;
    int64_t value = mr_query_null(query, 0) ? otherwise : mr_query_int(query, 0);
    mr_query_end(query);
    return value;
}

bool mr_db_text(mr_db *db, char *buf, size_t size, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    mr_query *query = select_rows(db, sql, types, values);
    va_end(values);
    buf[0] = '\0';
    if (!mr_query_next(query))
        return false;
    const char *text = mr_query_text(query, 0);
    bool found = !mr_query_null(query, 0) && strlen(text) < size;
    if (found)
        memcpy(buf, text, strlen(text) + 1);
    mr_query_end(query);
    return found;
}

void mr_db_begin(mr_db *db)
{
    mr_db_run(db, "BEGIN IMMEDIATE", "");
}

void mr_db_commit(mr_db *db)
{
    mr_db_run(db, "COMMIT", "");
    if (db->failed)
        mr_db_rollback(db);
}

void mr_db_rollback(mr_db *db)
{
    if (sqlite3_get_autocommit(db->sqlite) == 0)
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

int64_t mr_db_last_id(mr_db *db)
{
    return sqlite3_last_insert_rowid(db->sqlite);
}

int64_t mr_db_changes(const mr_db *db)
{
    return sqlite3_total_changes64(db->sqlite);
}

int64_t mr_db_scanned(const mr_db *db)
{
    int64_t rows = 0;
    for (size_t i = 0; i < STATEMENTS; i++)
        if (db->cache[i].statement != NULL)
            rows += sqlite3_stmt_status(db->cache[i].statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
    return rows;
}

bool mr_db_failed(const mr_db *db)
{
    return db->failed;
}

mr_err mr_db_take_error(mr_db *db, mr_error *ret_error)
{
    if (!db->failed)
        return MR_OK;
    db->failed = false;
    if (ret_error != NULL)
        *ret_error = db->error;
    return db->error.code;
}

void mr_db_keep_error(mr_db *db, const mr_error *error)
{
    if (db->failed)
        return;
    db->error = *error;
    db->failed = true;
}
