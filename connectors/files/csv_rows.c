/* csv_rows.c - rows of a CSV file, by the columns that its header names. */
#include "connectors/files/columns.h"
#include "connectors/files/row_reader.h"
#include "connectors/option_tables.h"

#include <stdlib.h>

struct row_reader {
    const mr_schema *schema;
    mr_csv *csv;
    csv_columns *columns;
    bool has_header;
    char dialect[2]; /* delimiter and quote */
    mr_buf header;   /* the row that names the cells, as long as it is no longer than MAX_HEADER_BYTES */
};

enum { MAX_HEADER_BYTES = 8 * 1024 }; /* every rejected row carries it */

static mr_err csv_rows_open(const mr_env *env, mr_csv_read read, void *read_arg, row_reader **ret_reader,
                            mr_error *ret_error)
{
    const mr_option *table = mr_files_source_options;
    mr_csv_dialect dialect = {
        .delimiter = mr_option_char(table, env->config, "csv.delimiter"),
        .quote = mr_option_char(table, env->config, "csv.quote"),
        .max_row_bytes = (size_t)mr_option_integer(table, env->config, "csv.max.row.bytes"),
    };
    row_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV reader");
    *ret_reader = reader;
    reader->schema = env->schema;
    reader->dialect[0] = dialect.delimiter;
    reader->dialect[1] = dialect.quote;
    reader->has_header = mr_option_boolean(table, env->config, "csv.first.row.as.header");
    mr_err err = columns_open(env->schema, mr_option_text(table, env->config, "csv.null.values"),
                              &reader->columns, ret_error);
    return err == MR_OK ? mr_csv_open(&dialect, read, read_arg, &reader->csv, ret_error) : err;
}

static void csv_rows_close(row_reader **reader)
{
    if (*reader == NULL)
        return;
    mr_csv_close(&(*reader)->csv);
    columns_close(&(*reader)->columns);
    mr_buf_fini(&(*reader)->header);
    free(*reader);
    *reader = NULL;
}

static mr_err keep_header(row_reader *reader, mr_slice header, mr_error *ret_error)
{
    if (header.size > MAX_HEADER_BYTES)
        return MR_OK;
    return mr_buf_append(&reader->header, header.data, header.size) == MR_OK
               ? MR_OK
               : mr_fail(ret_error, MR_ENOMEM, "no memory for a header");
}

/* Without a header the schema names the cells: a later one may have more of them. Its names need no quotes,
 * unless a letter is the delimiter or the quote: then nothing is kept. */
static mr_err keep_schema_as_header(row_reader *reader, const mr_schema *schema, mr_error *ret_error)
{
    size_t count;
    mr_buf names = {0};
    mr_err err = MR_OK;
    const mr_field *fields = mr_schema_fields(schema, &count);
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        if (strpbrk(fields[i].name, (char[]){reader->dialect[0], reader->dialect[1], '\0'}) != NULL)
            break;
        err = mr_buf_printf(&names, "%.*s%s", i > 0, reader->dialect, fields[i].name);
        if (err == MR_OK && i + 1 == count)
            err = keep_header(reader, mr_buf_slice(&names), ret_error);
    }
    mr_buf_fini(&names);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory for a header");
}

/* An empty file has no header, and no rows. */
static mr_err read_header(row_reader *reader, int64_t *ret_byte, int64_t *ret_line, mr_err *ret_rejected,
                          mr_error *ret_error)
{
    mr_csv_row header;
    bool end = false;
    mr_err err = mr_csv_next(reader->csv, &header, &end, ret_error);
    if (err != MR_OK || end)
        return err;
    if (header.problem != NULL)
        *ret_rejected = mr_fail(ret_error, MR_EINVALID, "the header cannot be read: %s", header.problem);
    else
        *ret_rejected = columns_from_header(reader->columns, &header, ret_error);
    if (*ret_rejected == MR_OK && keep_header(reader, header.raw, ret_error) != MR_OK)
        return MR_ENOMEM;
    *ret_byte = header.byte_end;
    *ret_line = header.next_line;
    return MR_OK;
}

static mr_err csv_rows_begin(row_reader *reader, int64_t *ret_byte, int64_t *ret_line, mr_err *ret_rejected,
                             mr_error *ret_error)
{
    *ret_byte = 0;
    *ret_line = 1;
    *ret_rejected = MR_OK;
    mr_csv_start_at(reader->csv, 0, 1);
    reader->header.size = 0;
    if (reader->has_header)
        return read_header(reader, ret_byte, ret_line, ret_rejected, ret_error);
    columns_without_header(reader->columns);
    return keep_schema_as_header(reader, reader->schema, ret_error);
}

static void csv_rows_start_at(row_reader *reader, int64_t byte, int64_t line)
{
    mr_csv_start_at(reader->csv, byte, line);
}

static mr_err reject(const row_reader *reader, const mr_csv_row *row, const char *reason, mr_arena *arena,
                     file_row *ret_row, mr_error *ret_error)
{
    mr_err err = file_row_reject(row, reason, arena, ret_row, ret_error);
    if (err == MR_OK && reader->header.size > 0) {
        ret_row->csv_dialect = (mr_slice){reader->dialect, reader->dialect[1] != '\0' ? 2 : 1};
        ret_row->csv_header = mr_buf_slice(&reader->header);
    }
    return err;
}

static mr_err csv_rows_next(row_reader *reader, mr_arena *arena, file_row *ret_row, bool *ret_end,
                            mr_error *ret_error)
{
    mr_csv_row row;
    mr_error why;
    mr_err err = mr_csv_next(reader->csv, &row, ret_end, ret_error);
    if (err != MR_OK || *ret_end)
        return err;
    if (row.problem != NULL)
        return reject(reader, &row, row.problem, arena, ret_row, ret_error);
    *ret_row = file_row_of(&row);
    err = columns_convert(reader->columns, &row, arena, &ret_row->values, &why);
    if (err == MR_ENOMEM)
        return mr_fail(ret_error, MR_ENOMEM, "%s", why.text);
    return err == MR_OK ? MR_OK : reject(reader, &row, why.text, arena, ret_row, ret_error);
}

const row_reader_class csv_rows = {
    .file_type = "csv",
    .open = csv_rows_open,
    .close = csv_rows_close,
    .begin = csv_rows_begin,
    .start_at = csv_rows_start_at,
    .next = csv_rows_next,
};
