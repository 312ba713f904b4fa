#include "core/json_row.h"

#include "core/json_check.h"
#include "core/json_scan.h"
#include "core/json_value.h"

#include <stdlib.h>

struct mr_json_rows {
    const mr_field *fields;
    size_t field_count;
    json_checker *checker;
    json_values values;
};

mr_err mr_json_rows_open(const mr_schema *schema, mr_json_rows **ret_rows, mr_error *ret_error)
{
    mr_json_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
    rows->fields = mr_schema_fields(schema, &rows->field_count);
    mr_err err = json_values_open(schema, &rows->values, ret_error);
    if (err == MR_OK)
        err = json_checker_open(&rows->checker, ret_error);
    if (err == MR_OK)
        *ret_rows = rows;
    else
        mr_json_rows_close(&rows);
    return err;
}

void mr_json_rows_close(mr_json_rows **rows)
{
    if (*rows == NULL)
        return;
    json_checker_close(&(*rows)->checker);
    json_values_fini(&(*rows)->values);
    free(*rows);
    *rows = NULL;
}

static json_place column_place(const mr_field *field)
{
    return (json_place){NULL, mr_slice_of(field->name), 0};
}

mr_err mr_json_row(mr_json_rows *rows, mr_slice line, mr_arena *arena, const mr_value **ret_values,
                   mr_error *ret_error)
{
    mr_err err = json_check(rows->checker, line, ret_error);
    if (err != MR_OK)
        return err;
    json_scan scan = json_scan_of(line);
    mr_slice object = json_value(&scan);
    if (object.data[0] != '{') {
        mr_fail(ret_error, MR_EINVALID, "%s is not an object", json_kind(object));
        return mr_classify(ret_error, MR_EINVALID, MR_DATA);
    }
    json_values_start(&rows->values, line);
    err = json_find_members(&rows->values, rows->fields, rows->field_count, object, NULL, ret_error);
    mr_value *values = err == MR_OK ? mr_arena_alloc(arena, rows->field_count * sizeof *values) : NULL;
    if (err == MR_OK && values == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
    for (size_t i = 0; i < rows->field_count && err == MR_OK; i++) {
        json_place place = column_place(&rows->fields[i]);
        err = json_convert(&rows->values, &rows->fields[i], rows->values.members[i].value, &place, arena,
                           &values[i], ret_error);
    }
    if (err == MR_OK)
        *ret_values = values;
    return err;
}

mr_err mr_json_cell(mr_json_rows *rows, const mr_field *field, mr_slice text, mr_arena *arena,
                    mr_value *ret_value, mr_error *ret_error)
{
    json_place place = column_place(field);
    mr_err err = json_check(rows->checker, text, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "column %.100s", field->name);
    json_scan scan = json_scan_of(text);
    json_values_start(&rows->values, text);
    return json_convert(&rows->values, field, json_value(&scan), &place, arena, ret_value, ret_error);
}
