/* table.h - the table of a dataset: made from the schema, or compared with it, and the statements that write
 * it.
 *
 * boolean, int, long -> INTEGER; float, double -> REAL; string -> TEXT; bytes -> BLOB. A field that is not
 * nullable is NOT NULL; the primary key is the dataset's. A rowid table on purpose: what a sorted transaction
 * rewrites is then the key's index, and rows are appended. WITHOUT ROWID saves a tenth of the time with 2
 * million narrow rows, but it rewrites pages of whole rows, which grows with their number and width.
 */
#ifndef MR_CONNECTORS_SQLITE_TABLE_H
#define MR_CONNECTORS_SQLITE_TABLE_H

#include "connectors/env.h"
#include "connectors/sqlite/store.h"

/* Within a transaction: creates the table, or adds to it the nullable columns that it lacks. Any other
 * difference that keeps rows of the schema out is MR_EINVALID and told in words. Columns that the schema does
 * not know may be there if they are nullable or have a default. */
mr_err table_adopt(sqlite_store *store, const char *table, const mr_env *env, mr_error *ret_error);

/* ?1.. are the schema's fields in its order. */
mr_err table_prepare_upsert(sqlite_store *store, const char *table, const mr_env *env,
                            sqlite3_stmt **ret_upsert, mr_error *ret_error);
/* ?1.. are the columns of the primary key in its order. */
mr_err table_prepare_delete(sqlite_store *store, const char *table, const mr_env *env,
                            sqlite3_stmt **ret_delete, mr_error *ret_error);

#endif
