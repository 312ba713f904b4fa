/* row_writer.h - writes single rows into the table of a dataset and tells a row that the store refuses from a
 * store that fails. Within a transaction of the store. */
#ifndef MR_CONNECTORS_SQLITE_ROW_WRITER_H
#define MR_CONNECTORS_SQLITE_ROW_WRITER_H

#include "connectors/env.h"
#include "connectors/sqlite/row_queue.h"
#include "connectors/sqlite/store.h"

enum { REFUSAL_BYTES = 300 };

/* {0} is closed. Borrows store and env. */
typedef struct row_writer {
    sqlite_store *store;
    const char *table;
    sqlite3_stmt *upsert, *delete;
    size_t field_count, key_column_count;
} row_writer;

mr_err row_writer_open(row_writer *writer, sqlite_store *store, const char *table, const mr_env *env,
                       mr_error *ret_error);
void row_writer_close(row_writer *writer);

/* `refusal` is made the reason when the store refuses the row because of what is in it, else empty: the
 * transaction goes on in both cases. An error is about the store. */
mr_err row_writer_upsert(row_writer *writer, const mr_value *values, char refusal[REFUSAL_BYTES],
                         mr_error *ret_error);
/* Deleting what is not there is fine. `key_values` are in the order of the key. */
mr_err row_writer_delete(row_writer *writer, const mr_value *key_values, char refusal[REFUSAL_BYTES],
                         mr_error *ret_error);

#endif
