/* csv_row.h - finds the end and the fields of one row in memory; private to core/csv*.c.
 *
 * Pure: what a row is depends on the bytes from its start only (at most max_row_bytes + 2 of them), never on
 * how they arrived. That is what lets a reader start again behind any row and see the same rows.
 */
#ifndef MR_CORE_CSV_ROW_H
#define MR_CORE_CSV_ROW_H

#include "core/csv.h"

enum {
    CSV_BLOCK_BYTES = 64,  /* this many bytes behind the data must be readable */
    CSV_FIELDS_MAX = 16384 /* bounds the memory for a row of nothing but delimiters */
};

/* Where delimiters, quotes and line ends stand in the block at `base`; those before the present place are
 * gone. */
typedef struct csv_marks {
    const char *base;
    uint64_t bits;
} csv_marks;

typedef struct csv_fields {
    mr_csv_field *items;
    size_t count;
    size_t capacity;
} csv_fields;

typedef enum csv_status {
    CSV_ROW,        /* all of csv_extent is set */
    CSV_NEEDS_MORE, /* call again with more bytes, or with at_end */
    CSV_ENDLESS,    /* no end within the bound: goes on to the next line end; `bytes` have been looked at */
    CSV_NO_MEMORY,
} csv_status;

typedef struct csv_extent {
    size_t content_bytes; /* without the line end */
    size_t bytes;         /* with it */
    int64_t line_ends;    /* in `bytes` */
    const char *problem;  /* NULL, or why the row cannot be read */
    bool has_quoted;      /* some field is quoted, and may hold doubled quotes */
} csv_extent;

void csv_marks_seek(csv_marks *marks, const mr_csv_dialect *dialect, const char *place);

/* Reads the row that starts at `row`, where the marks must stand as well; `at_end` says that nothing follows
 * the available bytes. Fields point into the row, still with doubled quotes. Leaves the marks behind the row,
 * except after a problem or another status than CSV_ROW: then they must be sought again. */
csv_status csv_row_parse(const mr_csv_dialect *dialect, csv_marks *marks, mr_slice available, bool at_end,
                         csv_fields *fields, csv_extent *ret_extent);

#endif
