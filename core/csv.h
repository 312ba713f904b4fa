/* csv.h - rows of a CSV file, as in RFC 4180 and as real files hold them.
 *
 * Beyond the RFC: a UTF-8 BOM at the start; LF, CRLF; another delimiter or quote; quotes inside a field that
 * is not quoted are kept as they are, and so is a CR that no LF or end of the file follows. Every row is one
 * of: complete, or not readable with a reason. Reading always goes on behind a row that cannot be read:
 * - a quote that is not closed, or that text follows, spoils no more than its line: there the row ends;
 * - a row longer than max_row_bytes ends at its line end.
 * What a row is depends on its own bytes only: reading that starts again at a row's byte_end gives the same
 * rows. Memory is bounded by max_row_bytes. Thread: one.
 */
#ifndef MR_CORE_CSV_H
#define MR_CORE_CSV_H

#include "core/slice.h"

#include <sys/types.h>

typedef struct mr_csv mr_csv;

typedef struct mr_csv_dialect {
    char delimiter;       /* '\0': ',' */
    char quote;           /* usually '"'; '\0': no quoting */
    size_t max_row_bytes; /* without the line end; a longer row is not readable; 0: 1 MiB; at most 1 GiB */
} mr_csv_dialect;

/* Fills up to `size` bytes; 0 is the end of the file, -1 an error in errno. Called only from mr_csv_next. */
typedef ssize_t (*mr_csv_read)(void *arg, char *data, size_t size);

typedef struct mr_csv_field {
    mr_slice text; /* unquoted, unescaped */
    bool quoted;   /* "" is an empty string where an empty unquoted field may stand for null */
} mr_csv_field;

typedef struct mr_csv_row {
    const mr_csv_field *fields;
    size_t field_count;
    const char *problem; /* NULL, or why the row cannot be read; then no fields */
    mr_slice raw;        /* the bytes as read, without the line end; at most 64 KiB when there is a problem */
    int64_t line;        /* first line of the row, from 1 */
    int64_t next_line;   /* first line after the row */
    int64_t byte_first;  /* in the file */
    int64_t byte_end;    /* one past the line end */
} mr_csv_row;

/* MR_EINVALID when delimiter and quote are equal or a line end, or the bound is too large. */
mr_err mr_csv_open(const mr_csv_dialect *dialect, mr_csv_read read, void *read_arg, mr_csv **ret_csv,
                   mr_error *ret_error);
/* For files that are no CSV: each line is a row of one field, without delimiters and quotes. */
mr_err mr_csv_open_lines(size_t max_row_bytes, mr_csv_read read, void *read_arg, mr_csv **ret_csv,
                         mr_error *ret_error);
void mr_csv_close(mr_csv **csv);

/* Starts at the reader's present place, which is said to be `byte` and `line` of the file (0, 1: the start).
 * Drops what was buffered. */
void mr_csv_start_at(mr_csv *csv, int64_t byte, int64_t line);

/* The next row: *ret_row is valid until the next call, *ret_end is true and there is no row at the end of the
 * file. Fields point into what was read, those with doubled quotes into a copy with single ones; `raw` stays
 * as read. An empty line is no row. Fails only on a read error or short memory; then only start_at and close
 * may follow. */
mr_err mr_csv_next(mr_csv *csv, mr_csv_row *ret_row, bool *ret_end, mr_error *ret_error);

#endif
