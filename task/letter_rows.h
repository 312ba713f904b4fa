/* letter_rows.h - a dead letter as a row again: bytes of a file by the layout that the file had, a sink's
 * record by the schema that wrote it. Thread: one.
 */
#ifndef MR_TASK_LETTER_ROWS_H
#define MR_TASK_LETTER_ROWS_H

#include "core/csv.h"
#include "core/schema.h"
#include "task/dead_letter.h"

typedef struct letter_rows letter_rows;

typedef struct letter_rows_spec {
    const mr_schema *schema;
    uint32_t schema_id;
    const char *schemas;     /* as for sink_decode.h */
    const char *file_type;   /* "csv", "ndjson" */
    const char *null_values; /* as for connectors/files/columns.h */
} letter_rows_spec;

/* Borrows what the spec points to. */
mr_err letter_rows_open(const letter_rows_spec *spec, letter_rows **ret_rows, mr_error *ret_error);
void letter_rows_close(letter_rows **rows); /* NULL-safe */

/* One value per field of the schema, in the arena or pointing into the letter. Class MR_DATA: it cannot be
 * read (any more), and why. */
mr_err letter_rows_convert(letter_rows *rows, const dead_letter *letter, mr_arena *arena,
                           const mr_value **ret_values, mr_error *ret_error);

/* The cells of a row that came from a CSV file, one per field of the schema; NULL: its file had no such
 * column. Valid until the next call. Class MR_DATA: it does not fall into the cells that its header names. */
mr_err letter_rows_cells(letter_rows *rows, const dead_letter *letter, const mr_csv_field *const **ret_cells,
                         mr_error *ret_error);

#endif
