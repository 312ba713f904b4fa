/* table.h - aligned columns for people, in flat memory: widths come from the first rows, later ones follow
 * them.
 *
 * Cells are made safe for a terminal: control characters are shown as \n, \t, \x1b. Columns whose cells are
 * all numbers are aligned right.
 */
#ifndef MR_CLI_TABLE_H
#define MR_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

typedef struct text_table text_table;

/* NULL when memory is short. Titles are borrowed until the first rows are printed, which close() does at the
 * latest. */
text_table *table_open(FILE *out, const char *const *titles, size_t columns);
/* One cell a column; NULL is shown as an empty cell. */
void table_row(text_table *table, const char *const *cells);
/* Prints what is left, the titles in any case. NULL-safe. */
void table_close(text_table **table);

/* A copy that does nothing to a terminal; to be freed. NULL when memory is short. */
char *text_safe(const char *text);
/* Columns on a terminal that the text takes: characters, not bytes. */
size_t text_width(const char *text);

#endif
