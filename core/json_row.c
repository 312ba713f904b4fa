#include "core/json_row.h"

#include "core/json_check.h"
#include "core/json_scan.h"
#include "core/text_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

typedef struct member {
    mr_slice value; /* its JSON; data NULL: none */
    bool exact;     /* its name is that of the field, also in case */
} member;

struct mr_json_rows {
    const mr_field *fields;
    size_t field_count;
    json_checker *checker;
    member *members; /* one per field */
    mr_buf name;     /* of a member with escapes */
};

mr_err mr_json_rows_open(const mr_schema *schema, mr_json_rows **ret_rows, mr_error *ret_error)
{
    mr_json_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
    rows->fields = mr_schema_fields(schema, &rows->field_count);
    rows->members = calloc(rows->field_count, sizeof *rows->members);
    mr_err err = rows->members == NULL ? mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON")
                                       : json_checker_open(&rows->checker, ret_error);
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
    mr_buf_fini(&(*rows)->name);
    free((*rows)->members);
    free(*rows);
    *rows = NULL;
}

/* --- which member belongs to which field --- */

static bool is_name_of(const mr_field *field, mr_slice name)
{
    return strncasecmp(field->name, name.data, name.size) == 0 && field->name[name.size] == '\0';
}

/* Members mostly come in the order of the fields: `expected` is looked at first. NULL: none has that name. */
static const mr_field *find_field(const mr_json_rows *rows, mr_slice name, size_t expected)
{
    if (expected < rows->field_count && is_name_of(&rows->fields[expected], name))
        return &rows->fields[expected];
    for (size_t i = 0; i < rows->field_count; i++)
        if (is_name_of(&rows->fields[i], name))
            return &rows->fields[i];
    return NULL;
}

static mr_err plain_name(mr_json_rows *rows, mr_slice *name, mr_error *ret_error)
{
    if (memchr(name->data, '\\', name->size) == NULL)
        return MR_OK;
    rows->name.size = 0;
    if (mr_buf_reserve(&rows->name, name->size) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
    rows->name.size = json_unescape(*name, rows->name.data);
    *name = mr_buf_slice(&rows->name);
    return MR_OK;
}

static mr_err refuse(mr_error *ret_error, const mr_field *field, const char *why, mr_slice line,
                     const char *at)
{
    mr_fail(ret_error, MR_EINVALID, "column %.100s: %s, at byte %zu", field->name, why,
            (size_t)(at - line.data) + 1);
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

static mr_err take_member(mr_json_rows *rows, const mr_field *field, mr_slice name, mr_slice value,
                          mr_slice line, mr_error *ret_error)
{
    member *taken = &rows->members[field - rows->fields];
    bool exact = memcmp(field->name, name.data, name.size) == 0;
    if (taken->value.data != NULL && !exact && !taken->exact)
        return refuse(ret_error, field, "two members differ from its name by case only", line, value.data);
    if (taken->value.data == NULL || exact)
        *taken = (member){value, exact};
    return MR_OK;
}

static mr_err find_members(mr_json_rows *rows, mr_slice line, mr_error *ret_error)
{
    size_t expected = 0;
    memset(rows->members, 0, rows->field_count * sizeof *rows->members);
    json_scan scan = json_scan_of(line);
    for (json_enter(&scan); json_more(&scan);) {
        mr_slice name = json_name(&scan);
        mr_slice value = json_value(&scan);
        mr_err err = plain_name(rows, &name, ret_error);
        const mr_field *field = err == MR_OK ? find_field(rows, name, expected) : NULL;
        if (field != NULL) {
            expected = (size_t)(field - rows->fields) + 1;
            err = take_member(rows, field, name, value, line, ret_error);
        }
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* --- values --- */

static const char *kind_of(mr_slice json)
{
    switch (json.data[0]) {
    case '{':
        return "an object";
    case '[':
        return "an array";
    case '"':
        return "a string";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

/* Whether values of the type are JSON values of that kind, by the first byte. */
static bool may_be(mr_type type, char first)
{
    bool number = first == '-' || (first >= '0' && first <= '9');
    switch (type) {
    case MR_TYPE_NULL:
        return false;
    case MR_TYPE_BOOLEAN:
        return first == 't' || first == 'f';
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        return number;
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        return number || first == '"';
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
        return first == '"';
    }
    return false;
}

static bool is_no_number(mr_slice text)
{
    return mr_slice_equal(text, MR_SLICE_LITERAL("NaN")) ||
           mr_slice_equal(text, MR_SLICE_LITERAL("Infinity")) ||
           mr_slice_equal(text, MR_SLICE_LITERAL("-Infinity"));
}

/* Characters up to U+00FF, in place; false when there is another. */
static bool latin1_bytes(mr_slice *text)
{
    char *to = (char *)(uintptr_t)text->data;
    const char *start = to;
    for (const char *at = text->data, *end = at + text->size; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c > 0xC3)
            return false;
        if (c >= 0x80)
            c = (unsigned char)((c & 0x03) << 6 | ((unsigned char)*++at & 0x3F));
        *to++ = (char)c;
    }
    text->size = (size_t)(to - start);
    return true;
}

/* The string without quotes and escapes, in the arena. */
static mr_err string_of(mr_slice json, mr_arena *arena, mr_slice *ret_text, mr_error *ret_error)
{
    mr_slice raw = {json.data + 1, json.size - 2};
    char *text = mr_arena_alloc(arena, raw.size + 1);
    if (text == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
    *ret_text = (mr_slice){text, json_unescape(raw, text)};
    return MR_OK;
}

static bool fits(const mr_field *field, mr_slice json, mr_slice text, mr_value *ret_value,
                 char misfit[MR_MISFIT_BYTES])
{
    if (field->type == MR_TYPE_BYTES && !latin1_bytes(&text)) {
        snprintf(misfit, MR_MISFIT_BYTES, "bytes are written as characters up to U+00FF");
        return false;
    }
    if ((field->type == MR_TYPE_FLOAT || field->type == MR_TYPE_DOUBLE) && json.data[0] == '"' &&
        !is_no_number(text)) {
        snprintf(misfit, MR_MISFIT_BYTES, "a string is not a %s", mr_type_name(field->type));
        return false;
    }
    return mr_value_fits_text(field, text, ret_value, misfit);
}

static mr_err convert(const mr_field *field, mr_slice json, mr_slice line, mr_arena *arena,
                      mr_value *ret_value, mr_error *ret_error)
{
    char misfit[MR_MISFIT_BYTES];
    mr_slice text = json;
    if (json.data[0] == 'n' && field->nullable) {
        *ret_value = (mr_value){.type = MR_TYPE_NULL};
        return MR_OK;
    }
    if (!may_be(field->type, json.data[0])) {
        snprintf(misfit, sizeof misfit, "%s is not a%s %s", kind_of(json),
                 field->type == MR_TYPE_INT ? "n" : "", mr_type_name(field->type));
        return refuse(ret_error, field, misfit, line, json.data);
    }
    mr_err err = json.data[0] == '"' ? string_of(json, arena, &text, ret_error) : MR_OK;
    if (err != MR_OK)
        return err;
    return fits(field, json, text, ret_value, misfit) ? MR_OK
                                                      : refuse(ret_error, field, misfit, line, json.data);
}

static mr_err absent(const mr_field *field, mr_value *ret_value, mr_error *ret_error)
{
    if (!field->has_default && !field->nullable) {
        mr_fail(ret_error, MR_EINVALID,
                "column %.100s: is missing, and it is neither nullable nor has it a default", field->name);
        return mr_classify(ret_error, MR_EINVALID, MR_DATA);
    }
    *ret_value = field->has_default ? field->default_value : (mr_value){.type = MR_TYPE_NULL};
    return MR_OK;
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
        mr_fail(ret_error, MR_EINVALID, "%s is not an object", kind_of(object));
        return mr_classify(ret_error, MR_EINVALID, MR_DATA);
    }
    err = find_members(rows, line, ret_error);
    mr_value *values = err == MR_OK ? mr_arena_alloc(arena, rows->field_count * sizeof *values) : NULL;
    if (err == MR_OK && values == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
    for (size_t i = 0; i < rows->field_count && err == MR_OK; i++) {
        mr_slice json = rows->members[i].value;
        err = json.data != NULL ? convert(&rows->fields[i], json, line, arena, &values[i], ret_error)
                                : absent(&rows->fields[i], &values[i], ret_error);
    }
    if (err == MR_OK)
        *ret_values = values;
    return err;
}
