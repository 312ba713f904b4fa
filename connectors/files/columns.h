/* columns.h - which cell of a row belongs to which field, and rows of cells to rows of values.
 *
 * Null: in a nullable field, an unquoted cell that is empty or equals one of csv.null.values. In any other
 * field such a cell is converted like the rest: the empty one is an empty string, and no number. A quoted
 * cell is never null. A cell of a record, an array or a map is JSON. A column that the header lacks gives the
 * field's default, or null.
 */
#ifndef MR_CONNECTORS_FILES_COLUMNS_H
#define MR_CONNECTORS_FILES_COLUMNS_H

#include "core/arena.h"
#include "core/csv.h"
#include "core/schema.h"

typedef struct csv_columns csv_columns;

/* `null_values` is a JSON array of strings. Borrows the schema. */
mr_err columns_open(const mr_schema *schema, const char *null_values, csv_columns **ret_columns,
                    mr_error *ret_error);
void columns_close(csv_columns **columns);

/* The cells are the schema's fields, in its order. */
void columns_without_header(csv_columns *columns);
/* The cells are named: exactly, else without regard to case. MR_EINVALID says which column is missing or
 * ambiguous: the file cannot be read. */
mr_err columns_from_header(csv_columns *columns, const mr_csv_row *header, mr_error *ret_error);

/* The cell of each field, NULL where the header has none. MR_EINVALID, class MR_DATA: another number of
 * cells. */
mr_err columns_find(const csv_columns *columns, const mr_csv_row *row, const mr_csv_field **ret_cells,
                    mr_error *ret_error);

/* The values of a row, in `arena`. MR_EINVALID, class MR_DATA, names the column. */
mr_err columns_convert(const csv_columns *columns, const mr_csv_row *row, mr_arena *arena,
                       const mr_value **ret_values, mr_error *ret_error);

#endif
