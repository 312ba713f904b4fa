/* row_reader.h - the rows of one kind of file, as files_source.c asks for them: CSV, NDJSON.
 *
 * What a row is depends on its own bytes only (core/csv.h): reading that starts again behind any row gives
 * the same ones. Thread: one.
 */
#ifndef MR_CONNECTORS_FILES_ROW_READER_H
#define MR_CONNECTORS_FILES_ROW_READER_H

#include "connectors/env.h"
#include "core/csv.h"

typedef struct row_reader row_reader;

typedef struct file_row {
    const mr_value *values; /* in the arena, one per field; NULL: rejected */
    const char *reason;     /* of a rejected row, in the arena */
    mr_slice raw;           /* its bytes as read, without the line end; valid until the next call; at
                               least the first 64 KiB */
    mr_slice csv_dialect, csv_header; /* of a rejected row: source.h; the reader's, until the next file */
    int64_t line, next_line;          /* its first line, from 1; the one behind it */
    int64_t byte_first, byte_end;     /* in the file, with the line end */
} file_row;

typedef struct row_reader_class {
    const char *file_type; /* "csv" */
    /* `read` gives the bytes of the present file. close follows even when open fails. */
    mr_err (*open)(const mr_env *env, mr_csv_read read, void *read_arg, row_reader **ret_reader,
                   mr_error *ret_error);
    void (*close)(row_reader **reader); /* NULL-safe */
    /* A file begins at its first byte: reads what stands before the first row and says where that is.
     * *ret_rejected, with *ret_error, says why the file cannot be read at all. */
    mr_err (*begin)(row_reader *reader, int64_t *ret_byte, int64_t *ret_line, mr_err *ret_rejected,
                    mr_error *ret_error);
    /* `read` now gives the bytes from `byte` on, which is in `line`. */
    void (*start_at)(row_reader *reader, int64_t byte, int64_t line);
    /* The next row, or *ret_end. Fails on read errors and short memory only. */
    mr_err (*next)(row_reader *reader, mr_arena *arena, file_row *ret_row, bool *ret_end,
                   mr_error *ret_error);
} row_reader_class;

extern const row_reader_class csv_rows, ndjson_rows;

/* Where the row is, still without values. */
file_row file_row_of(const mr_csv_row *row);
/* The same, rejected for `reason`. */
mr_err file_row_reject(const mr_csv_row *row, const char *reason, mr_arena *arena, file_row *ret_row,
                       mr_error *ret_error);

#endif
