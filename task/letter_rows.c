/* letter_rows.c - see letter_rows.h. A row is read as the second one of a small file, whose first one is the
 * header of the file that it came from. */
#include "task/letter_rows.h"

#include "connectors/files/columns.h"
#include "core/json_row.h"
#include "task/sink_decode.h"

#include <inttypes.h>
#include <stdlib.h>

struct letter_rows {
    letter_rows_spec spec;
    size_t field_count;
    mr_json_rows *objects; /* of NDJSON; else NULL */
    sink_decoder *decoder;
    mr_buf layout; /* of csv and columns: dialect and header of the letter before */
    mr_csv *csv;
    csv_columns *columns;
    mr_slice unread; /* what csv is given next */
    const mr_csv_field **cells;
};

static ssize_t read_unread(void *arg, char *data, size_t size)
{
    letter_rows *self = arg;
    if (size > self->unread.size)
        size = self->unread.size;
    memcpy(data, self->unread.data, size);
    self->unread.data += size;
    self->unread.size -= size;
    return (ssize_t)size;
}

mr_err letter_rows_open(const letter_rows_spec *spec, letter_rows **ret_rows, mr_error *ret_error)
{
    letter_rows *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->spec = *spec;
    (void)mr_schema_fields(spec->schema, &self->field_count);
    self->cells = calloc(self->field_count, sizeof *self->cells);
    mr_err err = self->cells == NULL ? mr_fail(ret_error, MR_ENOMEM, "out of memory")
                                     : sink_decoder_open(spec->schemas, spec->schema, spec->schema_id,
                                                         &self->decoder, ret_error);
    if (err == MR_OK && strcmp(spec->file_type, "ndjson") == 0)
        err = mr_json_rows_open(spec->schema, &self->objects, ret_error);
    if (err != MR_OK)
        letter_rows_close(&self);
    else
        *ret_rows = self;
    return err;
}

static void forget_layout(letter_rows *self)
{
    mr_csv_close(&self->csv);
    columns_close(&self->columns);
    self->layout.size = 0;
}

void letter_rows_close(letter_rows **rows)
{
    letter_rows *self = *rows;
    *rows = NULL;
    if (self == NULL)
        return;
    forget_layout(self);
    mr_buf_fini(&self->layout);
    sink_decoder_close(&self->decoder);
    mr_json_rows_close(&self->objects);
    free(self->cells);
    free(self);
}

/* --- the layout of its file --- */

static bool same_layout(const letter_rows *self, const dead_letter *letter)
{
    size_t dialect = letter->csv_dialect.size, header = letter->csv_header.size;
    return self->csv != NULL && self->layout.size == dialect + 1 + header &&
           self->layout.data[dialect] == '\0' &&
           memcmp(self->layout.data, letter->csv_dialect.data, dialect) == 0 &&
           memcmp(self->layout.data + dialect + 1, letter->csv_header.data, header) == 0;
}

static mr_err keep_layout(letter_rows *self, const dead_letter *letter, mr_error *ret_error)
{
    mr_err err = mr_buf_append(&self->layout, letter->csv_dialect.data, letter->csv_dialect.size);
    if (err == MR_OK)
        err = mr_buf_append(&self->layout, "", 1);
    if (err == MR_OK)
        err = mr_buf_append(&self->layout, letter->csv_header.data, letter->csv_header.size);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "out of memory");
}

static mr_err read_header(letter_rows *self, const dead_letter *letter, mr_error *ret_error)
{
    mr_csv_row header;
    bool end = false;
    self->unread = letter->csv_header;
    mr_csv_start_at(self->csv, 0, 1);
    mr_err err = mr_csv_next(self->csv, &header, &end, ret_error);
    if (err != MR_OK)
        return err;
    if (end || header.problem != NULL)
        return mr_fail(ret_error, MR_EINVALID, "the header of its file cannot be read");
    return columns_from_header(self->columns, &header, ret_error);
}

static mr_err take_layout(letter_rows *self, const dead_letter *letter, mr_error *ret_error)
{
    if (same_layout(self, letter))
        return MR_OK;
    forget_layout(self);
    const mr_slice dialect_text = letter->csv_dialect;
    if (dialect_text.data == NULL || dialect_text.size == 0 || letter->csv_header.data == NULL)
        return mr_fail(ret_error, MR_EINVALID,
                       "the layout of its file was not kept with it: send the row again in a file");
    mr_csv_dialect dialect = {.delimiter = dialect_text.data[0],
                              .quote = dialect_text.size > 1 ? dialect_text.data[1] : '\0'};
    mr_err err = mr_csv_open(&dialect, read_unread, self, &self->csv, ret_error);
    if (err == MR_OK)
        err = columns_open(self->spec.schema, self->spec.null_values, &self->columns, ret_error);
    if (err == MR_OK)
        err = read_header(self, letter, ret_error);
    if (err == MR_OK)
        err = keep_layout(self, letter, ret_error);
    if (err != MR_OK)
        forget_layout(self);
    return err;
}

static mr_err check_whole(const dead_letter *letter, mr_error *ret_error)
{
    return letter->length == 0 ? MR_OK
                               : mr_fail(ret_error, MR_EINVALID,
                                         "only the first %zu of its %" PRId64
                                         " bytes were kept: send the row again in a file",
                                         letter->value.size, letter->length);
}

/* The row behind the header; a byte order mark is only one at byte 0. */
static mr_err read_row(letter_rows *self, const dead_letter *letter, mr_csv_row *ret_row, mr_error *ret_error)
{
    bool end = false;
    mr_err err = check_whole(letter, ret_error);
    if (err == MR_OK)
        err = take_layout(self, letter, ret_error);
    if (err != MR_OK)
        return err;
    self->unread = letter->value;
    mr_csv_start_at(self->csv, 1, letter->line > 0 ? letter->line : 1);
    err = mr_csv_next(self->csv, ret_row, &end, ret_error);
    if (err == MR_OK && end)
        return mr_fail(ret_error, MR_EINVALID, "it has no bytes");
    if (err == MR_OK && ret_row->problem != NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s", ret_row->problem);
    return err;
}

/* What is wrong with a letter is never the task's trouble. */
static mr_err classified(mr_err err, mr_error *ret_error)
{
    return err == MR_EINVALID ? mr_classify(ret_error, err, MR_DATA) : err;
}

/* --- rows --- */

static mr_err convert_record(letter_rows *self, const dead_letter *letter, mr_arena *arena,
                             const mr_value **ret_values, mr_error *ret_error)
{
    mr_value *values = mr_arena_alloc(arena, self->field_count * sizeof *values);
    if (values == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_err err = sink_decode(self->decoder, letter->value, values, ret_error);
    if (err == MR_ENOTFOUND) /* nobody writes newer ones than this run's while it reads */
        err = mr_classify(ret_error, MR_EINVALID, MR_DATA);
    if (err == MR_OK)
        *ret_values = values;
    return err;
}

mr_err letter_rows_convert(letter_rows *self, const dead_letter *letter, mr_arena *arena,
                           const mr_value **ret_values, mr_error *ret_error)
{
    mr_csv_row row;
    if (letter->topic != NULL)
        return convert_record(self, letter, arena, ret_values, ret_error);
    mr_err err;
    if (self->objects != NULL && letter->csv_dialect.data == NULL) {
        err = check_whole(letter, ret_error);
        if (err == MR_OK)
            err = mr_json_row(self->objects, letter->value, arena, ret_values, ret_error);
        return classified(err, ret_error);
    }
    err = read_row(self, letter, &row, ret_error);
    if (err == MR_OK)
        err = columns_convert(self->columns, &row, arena, ret_values, ret_error);
    return classified(err, ret_error);
}

mr_err letter_rows_cells(letter_rows *self, const dead_letter *letter, const mr_csv_field *const **ret_cells,
                         mr_error *ret_error)
{
    mr_csv_row row;
    mr_err err = read_row(self, letter, &row, ret_error);
    if (err == MR_OK)
        err = columns_find(self->columns, &row, self->cells, ret_error);
    if (err == MR_OK)
        *ret_cells = self->cells;
    return classified(err, ret_error);
}
