#include "connectors/sqlite/row_writer.h"

#include "connectors/sqlite/table.h"

#include <stdio.h>

mr_err row_writer_open(row_writer *writer, sqlite_store *store, const char *table, const mr_env *env,
                       mr_error *ret_error)
{
    writer->store = store;
    writer->table = table;
    writer->key_column_count = env->key_column_count;
    (void)mr_schema_fields(env->schema, &writer->field_count);
    mr_err err = table_prepare_upsert(store, table, env, &writer->upsert, ret_error);
    return err == MR_OK ? table_prepare_delete(store, table, env, &writer->delete, ret_error) : err;
}

void row_writer_close(row_writer *writer)
{
    sqlite3_finalize(writer->upsert);
    sqlite3_finalize(writer->delete);
    *writer = (row_writer){0};
}

static void bind(sqlite3_stmt *statement, int index, const mr_value *value)
{
    switch ((mr_type)value->type) {
    case MR_TYPE_NULL:
        sqlite3_bind_null(statement, index);
        return;
    case MR_TYPE_BOOLEAN:
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        sqlite3_bind_int64(statement, index, value->integer);
        return;
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        sqlite3_bind_double(statement, index, value->real);
        return;
    case MR_TYPE_STRING:
        sqlite3_bind_text(statement, index, value->size == 0 ? "" : value->data, (int)value->size,
                          SQLITE_STATIC);
        return;
    case MR_TYPE_BYTES:
        if (value->size == 0)
            sqlite3_bind_zeroblob(statement, index, 0);
        else
            sqlite3_bind_blob(statement, index, value->data, (int)value->size, SQLITE_STATIC);
        return;
    case MR_TYPE_ENUM: /* not plain */
    case MR_TYPE_FIXED:
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        return;
    }
}

static bool is_about_the_row(int result)
{
    switch (result & 0xff) {
    case SQLITE_CONSTRAINT: /* also RAISE(ABORT) of a trigger */
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return true;
    default:
        return false;
    }
}

static mr_err run(row_writer *writer, sqlite3_stmt *statement, char refusal[REFUSAL_BYTES],
                  mr_error *ret_error)
{
    int result = sqlite3_step(statement);
    mr_err err = MR_OK;
    refusal[0] = '\0';
    if (result != SQLITE_DONE && result != SQLITE_ROW) {
        if (!is_about_the_row(result))
            err = store_fail(writer->store, result, "write a row", ret_error);
        else if (sqlite3_get_autocommit(writer->store->db) !=
                 0) /* ON CONFLICT ROLLBACK in a table of others */
            err = mr_fail(ret_error, MR_EINVALID,
                          "store %s: table %s ends the transaction of a row that it refuses: %s",
                          writer->store->path, writer->table, sqlite3_errmsg(writer->store->db));
        else
            snprintf(refusal, REFUSAL_BYTES, "table %s refuses the row: %s", writer->table,
                     sqlite3_errmsg(writer->store->db));
    }
    sqlite3_reset(statement);
    return err;
}

mr_err row_writer_upsert(row_writer *writer, const mr_value *values, char refusal[REFUSAL_BYTES],
                         mr_error *ret_error)
{
    for (size_t i = 0; i < writer->field_count; i++)
        bind(writer->upsert, (int)i + 1, &values[i]);
    return run(writer, writer->upsert, refusal, ret_error);
}

mr_err row_writer_delete(row_writer *writer, const mr_value *key_values, char refusal[REFUSAL_BYTES],
                         mr_error *ret_error)
{
    for (size_t i = 0; i < writer->key_column_count; i++)
        bind(writer->delete, (int)i + 1, &key_values[i]);
    return run(writer, writer->delete, refusal, ret_error);
}
