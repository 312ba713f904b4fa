#include "connectors/files/columns.h"

#include "core/json_row.h"
#include "core/text_value.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_NULL_VALUES = 100 };

struct csv_columns {
    const mr_field *fields;
    size_t field_count;
    int *cells; /* per field: index of its cell, or -1 */
    size_t cell_count;
    bool has_header;
    mr_json_rows *nested; /* reads cells of JSON; NULL: the schema has none */
    json_t *null_texts;   /* owns what null_values point to */
    mr_slice null_values[MAX_NULL_VALUES];
    size_t null_value_count;
};

static mr_err parse_null_values(csv_columns *columns, const char *text, mr_error *ret_error)
{
    json_error_t where;
    size_t i;
    json_t *value;
    columns->null_texts = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_array(columns->null_texts))
        return mr_fail(ret_error, MR_EINVALID, "csv.null.values: not a JSON array of strings");
    if (json_array_size(columns->null_texts) > MAX_NULL_VALUES)
        return mr_fail(ret_error, MR_ETOOLARGE, "csv.null.values: over %d values", MAX_NULL_VALUES);
    json_array_foreach(columns->null_texts, i, value)
    {
        if (!json_is_string(value))
            return mr_fail(ret_error, MR_EINVALID, "csv.null.values[%zu]: not a string", i);
        columns->null_values[i] = (mr_slice){json_string_value(value), json_string_length(value)};
    }
    columns->null_value_count = json_array_size(columns->null_texts);
    return MR_OK;
}

mr_err columns_open(const mr_schema *schema, const char *null_values, csv_columns **ret_columns,
                    mr_error *ret_error)
{
    csv_columns *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for the columns");
    opened->fields = mr_schema_fields(schema, &opened->field_count);
    opened->cells = calloc(opened->field_count, sizeof *opened->cells);
    mr_err err = opened->cells == NULL ? mr_fail(ret_error, MR_ENOMEM, "no memory for the columns")
                                       : parse_null_values(opened, null_values, ret_error);
    bool nested = false;
    for (size_t i = 0; i < opened->field_count; i++)
        nested = nested || mr_type_is_nested(opened->fields[i].type);
    if (err == MR_OK && nested)
        err = mr_json_rows_open(schema, &opened->nested, ret_error);
    if (err != MR_OK) {
        columns_close(&opened);
        return err;
    }
    *ret_columns = opened;
    return MR_OK;
}

void columns_close(csv_columns **columns)
{
    if (*columns == NULL)
        return;
    mr_json_rows_close(&(*columns)->nested);
    json_decref((*columns)->null_texts);
    free((*columns)->cells);
    free(*columns);
    *columns = NULL;
}

void columns_without_header(csv_columns *columns)
{
    for (size_t i = 0; i < columns->field_count; i++)
        columns->cells[i] = (int)i;
    columns->cell_count = columns->field_count;
    columns->has_header = false;
}

/* How many cells of the header bear the field's name; *ret_cell is the first. */
static size_t find_cells(const mr_csv_row *header, const char *name, bool exact, int *ret_cell)
{
    size_t size = strlen(name), found = 0;
    for (size_t i = 0; i < header->field_count; i++) {
        mr_slice cell = header->fields[i].text;
        if (cell.size != size)
            continue;
        if (exact ? memcmp(cell.data, name, size) == 0 : strncasecmp(cell.data, name, size) == 0) {
            if (found++ == 0)
                *ret_cell = (int)i;
        }
    }
    return found;
}

static mr_err find_column(const mr_csv_row *header, const mr_field *field, int *ret_cell, mr_error *ret_error)
{
    int cell = -1;
    size_t found = find_cells(header, field->name, true, &cell);
    if (found == 0)
        found = find_cells(header, field->name, false, &cell);
    if (found > 1)
        return mr_fail(ret_error, MR_EINVALID, "the header has column %.100s %zu times", field->name, found);
    if (found == 0 && !field->nullable && !field->has_default)
        return mr_fail(
            ret_error, MR_EINVALID,
            "the header has no column %.100s, which is required: it is not nullable and has no default",
            field->name);
    *ret_cell = cell;
    return MR_OK;
}

mr_err columns_from_header(csv_columns *columns, const mr_csv_row *header, mr_error *ret_error)
{
    for (size_t i = 0; i < columns->field_count; i++) {
        mr_err err = find_column(header, &columns->fields[i], &columns->cells[i], ret_error);
        if (err != MR_OK)
            return err;
    }
    columns->cell_count = header->field_count;
    columns->has_header = true;
    return MR_OK;
}

static bool stands_for_null(const csv_columns *columns, const mr_csv_field *cell)
{
    if (cell->quoted)
        return false;
    if (cell->text.size == 0)
        return true;
    for (size_t i = 0; i < columns->null_value_count; i++) {
        if (mr_slice_equal(cell->text, columns->null_values[i]))
            return true;
    }
    return false;
}

static void absent(const mr_field *field, mr_value *ret_value)
{
    *ret_value = field->has_default ? field->default_value : (mr_value){.type = MR_TYPE_NULL};
}

static mr_err wrong_count(const csv_columns *columns, const mr_csv_row *row, mr_error *ret_error)
{
    mr_fail(ret_error, MR_EINVALID, "%zu cell%s, the %s has %zu", row->field_count,
            row->field_count == 1 ? "" : "s", columns->has_header ? "header" : "schema", columns->cell_count);
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

mr_err columns_find(const csv_columns *columns, const mr_csv_row *row, const mr_csv_field **ret_cells,
                    mr_error *ret_error)
{
    if (row->field_count != columns->cell_count)
        return wrong_count(columns, row, ret_error);
    for (size_t i = 0; i < columns->field_count; i++)
        ret_cells[i] = columns->cells[i] < 0 ? NULL : &row->fields[columns->cells[i]];
    return MR_OK;
}

mr_err columns_convert(const csv_columns *columns, const mr_csv_row *row, mr_arena *arena,
                       const mr_value **ret_values, mr_error *ret_error)
{
    if (row->field_count != columns->cell_count)
        return wrong_count(columns, row, ret_error);
    /* The row's text, unescaped, is never longer than the row: one allocation holds values and strings. */
    size_t values_size = columns->field_count * sizeof(mr_value);
    mr_value *values = mr_arena_alloc(arena, values_size + (size_t)(row->byte_end - row->byte_first));
    if (values == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
    char *text = (char *)values + values_size;
    for (size_t i = 0; i < columns->field_count; i++) {
        const mr_field *field = &columns->fields[i];
        if (columns->cells[i] < 0) {
            absent(field, &values[i]);
            continue;
        }
        const mr_csv_field *cell = &row->fields[columns->cells[i]];
        if (field->nullable && stands_for_null(columns, cell)) {
            values[i] = (mr_value){.type = MR_TYPE_NULL};
            continue;
        }
        mr_err err = mr_type_is_nested(field->type)
                         ? mr_json_cell(columns->nested, field, cell->text, arena, &values[i], ret_error)
                         : mr_value_from_text(field, cell->text, arena, &values[i], ret_error);
        if (err != MR_OK)
            return err;
        if (values[i].type >= MR_TYPE_BYTES && values[i].data == cell->text.data) {
            if (values[i].size > 0)
                memcpy(text, values[i].data, values[i].size);
            values[i].data = text;
            text += values[i].size;
        }
    }
    *ret_values = values;
    return MR_OK;
}
