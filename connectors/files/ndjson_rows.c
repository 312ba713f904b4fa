/* ndjson_rows.c - rows of an NDJSON file (https://github.com/ndjson/ndjson-spec): one object a line. */
#include "connectors/files/row_reader.h"
#include "connectors/option_tables.h"
#include "core/json_row.h"

#include <stdlib.h>

struct row_reader {
    mr_csv *lines;
    mr_json_rows *rows;
};

static mr_err ndjson_rows_open(const mr_env *env, mr_csv_read read, void *read_arg, row_reader **ret_reader,
                               mr_error *ret_error)
{
    int64_t bound = mr_option_integer(mr_files_source_options, env->config, "ndjson.max.row.bytes");
    row_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for an NDJSON reader");
    *ret_reader = reader;
    mr_err err = mr_json_rows_open(env->schema, &reader->rows, ret_error);
    return err == MR_OK ? mr_csv_open_lines((size_t)bound, read, read_arg, &reader->lines, ret_error) : err;
}

static void ndjson_rows_close(row_reader **reader)
{
    if (*reader == NULL)
        return;
    mr_csv_close(&(*reader)->lines);
    mr_json_rows_close(&(*reader)->rows);
    free(*reader);
    *reader = NULL;
}

static mr_err ndjson_rows_begin(row_reader *reader, int64_t *ret_byte, int64_t *ret_line,
                                mr_err *ret_rejected, mr_error *ret_error)
{
    (void)ret_error;
    *ret_byte = 0;
    *ret_line = 1;
    *ret_rejected = MR_OK;
    mr_csv_start_at(reader->lines, 0, 1);
    return MR_OK;
}

static void ndjson_rows_start_at(row_reader *reader, int64_t byte, int64_t line)
{
    mr_csv_start_at(reader->lines, byte, line);
}

static bool is_blank(mr_slice line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

static mr_err ndjson_rows_next(row_reader *reader, mr_arena *arena, file_row *ret_row, bool *ret_end,
                               mr_error *ret_error)
{
    mr_csv_row line;
    mr_error why;
    do {
        mr_err err = mr_csv_next(reader->lines, &line, ret_end, ret_error);
        if (err != MR_OK || *ret_end)
            return err;
    } while (line.problem == NULL && is_blank(line.raw));
    if (line.problem != NULL)
        return file_row_reject(&line, line.problem, arena, ret_row, ret_error);
    *ret_row = file_row_of(&line);
    mr_err err = mr_json_row(reader->rows, line.raw, arena, &ret_row->values, &why);
    if (err == MR_ENOMEM)
        return mr_fail(ret_error, MR_ENOMEM, "%s", why.text);
    return err == MR_OK ? MR_OK : file_row_reject(&line, why.text, arena, ret_row, ret_error);
}

const row_reader_class ndjson_rows = {
    .file_type = "ndjson",
    .open = ndjson_rows_open,
    .close = ndjson_rows_close,
    .begin = ndjson_rows_begin,
    .start_at = ndjson_rows_start_at,
    .next = ndjson_rows_next,
};
