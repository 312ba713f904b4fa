/* schema_default.c - the default of a field, as the specification writes it: bytes and fixed as a string
 * whose characters U+0000 to U+00FF are the bytes, a union by its first type, what a logical type stands for
 * by the number or bytes below it. Inside, nothing may be missing that has no default of its own. */
#include "core/avro_put.h"
#include "core/logical.h"
#include "core/schema_impl.h"
#include "core/schema_parser.h"

#include <float.h>
#include <stdio.h>

enum { DEFAULT_BYTES_MAX = 256 * 1024 };

/* --- plain ones, in the pool --- */

static bool parse_bytes(mr_schema *schema, const json_t *json, mr_value *ret_value)
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json), used = 0;
    char *bytes = schema->pool + schema->pool_used;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > 0xC3)
            return false;
        if (c >= 0x80)
            c = (unsigned char)((c & 0x03) << 6 | ((unsigned char)text[++i] & 0x3F));
        bytes[used++] = (char)c;
    }
    schema->pool_used += used;
    ret_value->size = (uint32_t)used;
    ret_value->data = bytes;
    return true;
}

static bool parse_symbol(const mr_shape *shape, const json_t *json, mr_value *ret_value)
{
    for (size_t i = 0; json_is_string(json) && i < shape->count; i++) {
        if (strcmp(shape->symbols[i], json_string_value(json)) == 0) {
            ret_value->integer = (int64_t)i;
            return true;
        }
    }
    return false;
}

static bool parse_plain(mr_schema *schema, const mr_field *field, const json_t *json, mr_value *ret_value)
{
    ret_value->type = field->type;
    switch (field->type) {
    case MR_TYPE_BOOLEAN:
        ret_value->integer = json_is_true(json);
        return json_is_boolean(json);
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        ret_value->integer = json_integer_value(json);
        return json_is_integer(json) && (field->type == MR_TYPE_LONG || (ret_value->integer >= INT32_MIN &&
                                                                         ret_value->integer <= INT32_MAX));
    case MR_TYPE_FLOAT:
        ret_value->real = json_number_value(json);
        if (ret_value->real > (double)FLT_MAX || ret_value->real < (double)-FLT_MAX)
            return false;
        ret_value->real = (double)(float)ret_value->real;
        return json_is_number(json);
    case MR_TYPE_DOUBLE:
        ret_value->real = json_number_value(json);
        return json_is_number(json);
    case MR_TYPE_ENUM:
        return parse_symbol(field->shape, json, ret_value);
    case MR_TYPE_BYTES:
        return json_is_string(json) && parse_bytes(schema, json, ret_value);
    case MR_TYPE_FIXED:
        return json_is_string(json) && parse_bytes(schema, json, ret_value) &&
               ret_value->size == field->shape->size;
    case MR_TYPE_STRING:
        if (!json_is_string(json))
            return false;
        ret_value->size = (uint32_t)json_string_length(json);
        ret_value->data = schema_keep(schema, json_string_value(json), ret_value->size);
        return true;
    case MR_TYPE_NULL:
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        break;
    }
    return false;
}

/* --- nested ones, encoded --- */

/* MR_EINVALID without a text: it does not fit. */
static mr_err put_default(schema_parser *p, mr_buf *out, const mr_field *field, const json_t *json);

static mr_err put_member(schema_parser *p, mr_buf *out, const mr_field *member, const json_t *object)
{
    const json_t *value = json_object_get(object, member->name);
    if (value != NULL)
        return put_default(p, out, member, value);
    return member->has_default ? avro_put_value(out, member, &member->default_value) : MR_EINVALID;
}

static mr_err put_record(schema_parser *p, mr_buf *out, const mr_shape *shape, const json_t *json)
{
    size_t known = 0;
    mr_err err = json_is_object(json) ? MR_OK : MR_EINVALID;
    for (size_t i = 0; i < shape->count && err == MR_OK; i++) {
        known += json_object_get(json, shape->fields[i].name) != NULL;
        err = put_member(p, out, &shape->fields[i], json);
    }
    return err == MR_OK && known != json_object_size(json) ? MR_EINVALID : err;
}

static mr_err put_array(schema_parser *p, mr_buf *out, const mr_shape *shape, const json_t *json)
{
    size_t count = json_array_size(json);
    mr_err err = json_is_array(json) ? MR_OK : MR_EINVALID;
    if (err == MR_OK && count > 0)
        err = avro_put_long(out, (int64_t)count);
    for (size_t i = 0; i < count && err == MR_OK; i++)
        err = put_default(p, out, &shape->fields[0], json_array_get(json, i));
    return err == MR_OK ? avro_put_long(out, 0) : err;
}

static mr_err put_map(schema_parser *p, mr_buf *out, const mr_shape *shape, const json_t *json)
{
    const char *key;
    json_t *value;
    mr_err err = json_is_object(json) ? MR_OK : MR_EINVALID;
    if (err == MR_OK && json_object_size(json) > 0)
        err = avro_put_long(out, (int64_t)json_object_size(json));
    json_object_foreach((json_t *)json, key, value)
    {
        if (err == MR_OK)
            err = avro_put_text(out, mr_slice_of(key));
        if (err == MR_OK)
            err = put_default(p, out, &shape->fields[0], value);
    }
    return err == MR_OK ? avro_put_long(out, 0) : err;
}

static mr_err put_default(schema_parser *p, mr_buf *out, const mr_field *field, const json_t *json)
{
    mr_value value = {.type = MR_TYPE_NULL};
    if (out->size > DEFAULT_BYTES_MAX)
        return MR_EINVALID;
    if (field->nullable && field->null_first)
        return json_is_null(json) ? avro_put_value(out, field, &value) : MR_EINVALID;
    if (!mr_type_is_nested(field->type)) {
        size_t pool_used = p->schema->pool_used; /* what is kept there is needed for the moment only */
        mr_err err = MR_EINVALID;
        if (parse_plain(p->schema, field, json, &value) && logical_problem(field, &value) == NULL)
            err = avro_put_value(out, field, &value);
        p->schema->pool_used = pool_used;
        return err;
    }
    mr_err err = avro_put_present(out, field);
    if (err != MR_OK)
        return err;
    return field->type == MR_TYPE_RECORD  ? put_record(p, out, field->shape, json)
           : field->type == MR_TYPE_ARRAY ? put_array(p, out, field->shape, json)
                                          : put_map(p, out, field->shape, json);
}

static mr_err parse_nested(schema_parser *p, const mr_field *field, const json_t *json, mr_value *ret_value)
{
    mr_buf bytes = {0};
    mr_field bare = *field; /* a value carries no index of its union */
    bare.nullable = false;
    mr_err err = put_default(p, &bytes, &bare, json);
    if (err == MR_OK) {
        mr_slice copy = mr_arena_copy(&p->schema->arena, mr_buf_slice(&bytes));
        *ret_value = (mr_value){.type = field->type, .size = (uint32_t)copy.size, .data = copy.data};
        err = copy.data != NULL ? MR_OK : MR_ENOMEM;
    }
    mr_buf_fini(&bytes);
    return err;
}

static mr_err parse_value(schema_parser *p, const mr_field *field, const json_t *json, mr_value *ret_value)
{
    /* the default of a union is one of its first type */
    if (field->nullable && field->null_first) {
        ret_value->type = MR_TYPE_NULL;
        return json_is_null(json) ? MR_OK : MR_EINVALID;
    }
    if (mr_type_is_nested(field->type))
        return parse_nested(p, field, json, ret_value);
    if (!parse_plain(p->schema, field, json, ret_value))
        return MR_EINVALID;
    return logical_problem(field, ret_value) == NULL ? MR_OK : MR_EINVALID;
}

mr_err schema_parse_default(schema_parser *p, const schema_place *parent, const json_t *json, mr_field *field)
{
    const json_t *value = json_object_get(json, "default");
    char words[MR_TYPE_WORDS_BYTES];
    if (value == NULL)
        return MR_OK;
    field->has_default = true;
    mr_err err = parse_value(p, field, value, &field->default_value);
    if (err == MR_ENOMEM)
        return mr_fail(p->error, MR_ENOMEM, "no memory for a schema");
    if (err == MR_OK)
        return MR_OK;
    const char *type = field->nullable && field->null_first ? "null" : mr_type_words(field, words);
    return mr_fail(p->error, MR_EINVALID, "schema: %s.default: is not a valid %s%s%s", parent->path, type,
                   field->nullable ? ", the first type of the union" : "",
                   mr_type_is_nested(field->type) ? "; nothing may be missing in it that has no default"
                                                  : "");
}
