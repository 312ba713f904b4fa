#include "core/json_value.h"

#include "core/avro_put.h"
#include "core/json_scan.h"
#include "core/text_value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

mr_err json_values_open(const mr_schema *schema, json_values *values, mr_error *ret_error)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    size_t nodes = count; /* records that are read at once lie on one path through the types */
    for (size_t i = 0; i < count; i++)
        nodes += fields[i].shape != NULL ? fields[i].shape->nodes : 0;
    *values = (json_values){.members = calloc(nodes, sizeof *values->members)};
    return values->members != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
}

void json_values_fini(json_values *values)
{
    free(values->members);
    mr_buf_fini(&values->name);
    mr_buf_fini(&values->encoded);
    mr_arena_fini(&values->scratch);
}

void json_values_start(json_values *values, mr_slice text)
{
    values->text = text;
    values->used = 0;
    values->encoded.size = 0;
    mr_arena_reset(&values->scratch);
}

/* --- messages --- */

enum { PATH_BYTES = 200 };

static bool is_plain(mr_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_')
            return false;
    return name.size > 0 && name.size <= 60;
}

/* The keys of maps are anything. */
static size_t print_place(const json_place *place, char *out)
{
    char shown[MR_SHOWN_BYTES];
    size_t used = place->parent != NULL ? print_place(place->parent, out) : 0;
    size_t room = PATH_BYTES - used;
    const char *dot = used > 0 ? "." : "";
    int more = place->name.data == NULL ? snprintf(out + used, room, "[%zu]", place->index)
               : is_plain(place->name)
                   ? snprintf(out + used, room, "%s%.*s", dot, (int)place->name.size, place->name.data)
                   : snprintf(out + used, room, "%s%s", dot, mr_shown_text(place->name, shown));
    return used + ((size_t)more < room ? (size_t)more : room - 1);
}

static mr_err refuse(const json_values *values, const json_place *place, const char *why, const char *at,
                     mr_error *ret_error)
{
    char path[PATH_BYTES] = "";
    print_place(place, path);
    if (at != NULL)
        mr_fail(ret_error, MR_EINVALID, "column %s: %s, at byte %zu", path, why,
                (size_t)(at - values->text.data) + 1);
    else
        mr_fail(ret_error, MR_EINVALID, "column %s: %s", path, why);
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

static mr_err no_memory(mr_error *ret_error)
{
    return mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
}

const char *json_kind(mr_slice json)
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

static mr_err refuse_kind(const json_values *values, const mr_field *field, mr_slice json,
                          const json_place *place, mr_error *ret_error)
{
    char words[MR_TYPE_WORDS_BYTES], why[MR_MISFIT_BYTES];
    const char *type = mr_type_words(field, words);
    snprintf(why, sizeof why, "%s is not a%s %s", json_kind(json),
             strchr("aeiou", type[0]) != NULL ? "n" : "", type);
    return refuse(values, place, why, json.data, ret_error);
}

/* --- which member belongs to which field --- */

static bool is_name_of(const mr_field *field, mr_slice name)
{
    return strlen(field->name) == name.size && strncasecmp(field->name, name.data, name.size) == 0;
}

/* Members mostly come in the order of the fields: `expected` is looked at first. NULL: none has that name. */
static const mr_field *find_field(const mr_field *fields, size_t count, mr_slice name, size_t expected)
{
    if (expected < count && is_name_of(&fields[expected], name))
        return &fields[expected];
    for (size_t i = 0; i < count; i++)
        if (is_name_of(&fields[i], name))
            return &fields[i];
    return NULL;
}

static mr_err plain_name(json_values *values, mr_slice *name, mr_error *ret_error)
{
    if (memchr(name->data, '\\', name->size) == NULL)
        return MR_OK;
    values->name.size = 0;
    if (mr_buf_reserve(&values->name, name->size) != MR_OK)
        return no_memory(ret_error);
    values->name.size = json_unescape(*name, values->name.data);
    *name = mr_buf_slice(&values->name);
    return MR_OK;
}

static mr_err take_member(json_values *values, json_member *taken, const mr_field *field, mr_slice name,
                          mr_slice value, const json_place *place, mr_error *ret_error)
{
    json_place at = {place, mr_slice_of(field->name), 0};
    bool exact = memcmp(field->name, name.data, name.size) == 0;
    if (taken->value.data != NULL && !exact && !taken->exact)
        return refuse(values, &at, "two members differ from its name by case only", value.data, ret_error);
    if (taken->value.data == NULL || exact)
        *taken = (json_member){value, exact};
    return MR_OK;
}

mr_err json_find_members(json_values *values, const mr_field *fields, size_t count, mr_slice json,
                         const json_place *place, mr_error *ret_error)
{
    size_t expected = 0;
    json_member *members = values->members + values->used;
    values->used += count;
    memset(members, 0, count * sizeof *members);
    json_scan scan = json_scan_of(json);
    for (json_enter(&scan); json_more(&scan);) {
        mr_slice name = json_name(&scan);
        mr_slice value = json_value(&scan);
        mr_err err = plain_name(values, &name, ret_error);
        const mr_field *field = err == MR_OK ? find_field(fields, count, name, expected) : NULL;
        if (field != NULL) {
            expected = (size_t)(field - fields) + 1;
            err = take_member(values, &members[field - fields], field, name, value, place, ret_error);
        }
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* --- plain values --- */

/* Whether values of the field are JSON values of that kind, by the first byte. */
static bool may_be(const mr_field *field, char first)
{
    bool number = first == '-' || (first >= '0' && first <= '9');
    if (field->logical == MR_LOGICAL_DECIMAL)
        return number || first == '"';
    if (field->logical != MR_LOGICAL_NONE)
        return first == '"';
    switch (field->type) {
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
    case MR_TYPE_ENUM:
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
    case MR_TYPE_FIXED:
        return first == '"';
    case MR_TYPE_ARRAY:
        return first == '[';
    case MR_TYPE_RECORD:
    case MR_TYPE_MAP:
        return first == '{';
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
static bool latin1_bytes(char *text, size_t *size)
{
    char *to = text;
    for (const char *at = text, *end = text + *size; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c > 0xC3)
            return false;
        if (c >= 0x80)
            c = (unsigned char)((c & 0x03) << 6 | ((unsigned char)*++at & 0x3F));
        *to++ = (char)c;
    }
    *size = (size_t)(to - text);
    return true;
}

/* The text to be read as a value: a string without quotes and escapes, in the arena; a number as it is. */
static mr_err text_of(const mr_field *field, mr_slice json, mr_arena *arena, mr_slice *ret_text,
                      char ret_misfit[MR_MISFIT_BYTES])
{
    *ret_text = json;
    if (json.data[0] != '"')
        return MR_OK;
    mr_slice raw = {json.data + 1, json.size - 2};
    char *text = mr_arena_alloc(arena, raw.size + 1);
    if (text == NULL)
        return MR_ENOMEM;
    size_t size = json_unescape(raw, text);
    *ret_text = (mr_slice){text, size};
    bool bytes = field->type == MR_TYPE_BYTES || field->type == MR_TYPE_FIXED;
    if (bytes && field->logical == MR_LOGICAL_NONE && !latin1_bytes(text, &ret_text->size)) {
        snprintf(ret_misfit, MR_MISFIT_BYTES, "bytes are written as characters up to U+00FF");
        return MR_EINVALID;
    }
    if ((field->type == MR_TYPE_FLOAT || field->type == MR_TYPE_DOUBLE) && !is_no_number(*ret_text)) {
        snprintf(ret_misfit, MR_MISFIT_BYTES, "a string is not a %s", mr_type_name(field->type));
        return MR_EINVALID;
    }
    return MR_OK;
}

static mr_err convert_plain(json_values *values, const mr_field *field, mr_slice json,
                            const json_place *place, mr_arena *arena, mr_value *ret_value,
                            mr_error *ret_error)
{
    char misfit[MR_MISFIT_BYTES];
    mr_slice text;
    mr_err err = text_of(field, json, arena, &text, misfit);
    if (err == MR_OK)
        err = mr_value_fits_text(field, text, arena, ret_value, misfit);
    if (err == MR_ENOMEM)
        return no_memory(ret_error);
    return err == MR_OK ? MR_OK : refuse(values, place, misfit, json.data, ret_error);
}

/* --- nested values, encoded --- */

static mr_err put_value(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                        mr_error *ret_error);

static mr_err put_record(json_values *values, const mr_shape *shape, mr_slice json, const json_place *place,
                         mr_error *ret_error)
{
    size_t first = values->used;
    mr_err err = json_find_members(values, shape->fields, shape->count, json, place, ret_error);
    for (size_t i = 0; i < shape->count && err == MR_OK; i++) {
        json_place at = {place, mr_slice_of(shape->fields[i].name), 0};
        err = put_value(values, &shape->fields[i], values->members[first + i].value, &at, ret_error);
    }
    values->used = first;
    return err;
}

static int64_t count_elements(mr_slice json, bool named)
{
    int64_t count = 0;
    json_scan scan = json_scan_of(json);
    for (json_enter(&scan); json_more(&scan); count++) {
        if (named)
            (void)json_name(&scan);
        (void)json_value(&scan);
    }
    return count;
}

static mr_err put_key(json_values *values, const json_place *place, mr_error *ret_error)
{
    mr_slice name = place->name;
    mr_err err = plain_name(values, &name, ret_error);
    if (err == MR_OK && memchr(name.data, '\0', name.size) != NULL)
        err = refuse(values, place, "a key holds a NUL", place->name.data, ret_error);
    if (err == MR_OK && avro_put_text(&values->encoded, name) != MR_OK)
        err = no_memory(ret_error);
    return err;
}

static mr_err put_elements(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                           mr_error *ret_error)
{
    bool named = field->type == MR_TYPE_MAP;
    int64_t count = count_elements(json, named);
    mr_err err = count == 0 || avro_put_long(&values->encoded, count) == MR_OK ? MR_OK : no_memory(ret_error);
    json_place at = {place, {NULL, 0}, 0};
    json_scan scan = json_scan_of(json);
    for (json_enter(&scan); err == MR_OK && json_more(&scan); at.index++) {
        if (named) {
            at.name = json_name(&scan);
            err = put_key(values, &at, ret_error);
        }
        if (err == MR_OK)
            err = put_value(values, &field->shape->fields[0], json_value(&scan), &at, ret_error);
    }
    return err == MR_OK && avro_put_long(&values->encoded, 0) != MR_OK ? no_memory(ret_error) : err;
}

/* What is inside: without the index of a union. */
static mr_err put_nested(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                         mr_error *ret_error)
{
    return field->type == MR_TYPE_RECORD ? put_record(values, field->shape, json, place, ret_error)
                                         : put_elements(values, field, json, place, ret_error);
}

static mr_err check_size(const json_values *values, const json_place *place, mr_error *ret_error)
{
    if (values->encoded.size <= JSON_NESTED_BYTES_MAX)
        return MR_OK;
    return refuse(values, place, "the nested values of a row are over 4 MiB", NULL, ret_error);
}

static mr_err put_value(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                        mr_error *ret_error)
{
    mr_value value;
    mr_err err = check_size(values, place, ret_error);
    bool nested = mr_type_is_nested(field->type) && json.data != NULL && may_be(field, json.data[0]);
    if (err == MR_OK && nested) {
        if (avro_put_present(&values->encoded, field) != MR_OK)
            return no_memory(ret_error);
        return put_nested(values, field, json, place, ret_error);
    }
    if (err == MR_OK)
        err = json_convert(values, field, json, place, &values->scratch, &value, ret_error);
    if (err == MR_OK && avro_put_value(&values->encoded, field, &value) != MR_OK)
        err = no_memory(ret_error);
    return err;
}

static mr_err convert_nested(json_values *values, const mr_field *field, mr_slice json,
                             const json_place *place, mr_arena *arena, mr_value *ret_value,
                             mr_error *ret_error)
{
    size_t first = values->encoded.size;
    mr_err err = put_nested(values, field, json, place, ret_error);
    if (err == MR_OK)
        err = check_size(values, place, ret_error);
    if (err != MR_OK)
        return err;
    mr_slice copy =
        mr_arena_copy(arena, (mr_slice){values->encoded.data + first, values->encoded.size - first});
    if (copy.data == NULL)
        return no_memory(ret_error);
    *ret_value = (mr_value){.type = field->type, .size = (uint32_t)copy.size, .data = copy.data};
    return MR_OK;
}

/* --- any value --- */

static mr_err absent(const json_values *values, const mr_field *field, const json_place *place,
                     mr_value *ret_value, mr_error *ret_error)
{
    if (!field->has_default && !field->nullable)
        return refuse(values, place, "is missing, and it is neither nullable nor has it a default", NULL,
                      ret_error);
    *ret_value = field->has_default ? field->default_value : (mr_value){.type = MR_TYPE_NULL};
    return MR_OK;
}

mr_err json_convert(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                    mr_arena *arena, mr_value *ret_value, mr_error *ret_error)
{
    if (json.data == NULL)
        return absent(values, field, place, ret_value, ret_error);
    if (json.data[0] == 'n' && field->nullable) {
        *ret_value = (mr_value){.type = MR_TYPE_NULL};
        return MR_OK;
    }
    if (!may_be(field, json.data[0]))
        return refuse_kind(values, field, json, place, ret_error);
    return mr_type_is_nested(field->type)
               ? convert_nested(values, field, json, place, arena, ret_value, ret_error)
               : convert_plain(values, field, json, place, arena, ret_value, ret_error);
}
