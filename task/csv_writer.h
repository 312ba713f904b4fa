/* csv_writer.h - rows of a CSV file in a given dialect, so that they are read back as they were. Thread: one.
 */
#ifndef MR_TASK_CSV_WRITER_H
#define MR_TASK_CSV_WRITER_H

#include "core/csv.h"

#include <stdio.h>

typedef struct csv_writer {
    FILE *out;
    mr_csv_dialect dialect;
    bool started; /* the row has a cell */
} csv_writer;

/* Whether the dialect can write the text at all: without quotes a delimiter or a line end cannot stand in a
 * cell. */
bool csv_can_write(const csv_writer *writer, mr_slice text);
/* The next cell of the row; with `quoted` in quotes in any case (where there are any). */
void csv_write(csv_writer *writer, mr_slice text, bool quoted);
/* The same for people: what cannot be written becomes a blank. */
void csv_write_note(csv_writer *writer, const char *text);
void csv_end_row(csv_writer *writer);

#endif
