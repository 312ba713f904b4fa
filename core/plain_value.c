#include "core/plain_value.h"

#include "core/logical.h"

mr_type mr_plain_type(const mr_field *field)
{
    if (field->logical != MR_LOGICAL_NONE || field->type == MR_TYPE_ENUM || mr_type_is_nested(field->type))
        return MR_TYPE_STRING;
    return field->type == MR_TYPE_FIXED ? MR_TYPE_BYTES : field->type;
}

static mr_err string_value(mr_slice text, mr_arena *arena, mr_value *ret_value, mr_error *ret_error)
{
    mr_slice copy = mr_arena_copy(arena, text);
    if (copy.data == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a value");
    *ret_value = (mr_value){.type = MR_TYPE_STRING, .size = (uint32_t)copy.size, .data = copy.data};
    return MR_OK;
}

static mr_err json_text(const mr_field *field, const mr_value *value, mr_arena *arena, mr_value *ret_value,
                        mr_error *ret_error)
{
    mr_buf json = {0};
    mr_err err = mr_value_json(field, value, &json, ret_error);
    if (err == MR_OK)
        err = string_value(mr_buf_slice(&json), arena, ret_value, ret_error);
    mr_buf_fini(&json);
    return err;
}

mr_err mr_plain_value(const mr_field *field, const mr_value *value, mr_arena *arena, mr_value *ret_value,
                      mr_error *ret_error)
{
    char text[LOGICAL_TEXT_BYTES];
    if (value->type == MR_TYPE_NULL || mr_plain_type(field) == field->type) {
        *ret_value = *value;
        return MR_OK;
    }
    if (field->logical != MR_LOGICAL_NONE) {
        logical_to_text(field, value, text);
        return string_value(mr_slice_of(text), arena, ret_value, ret_error);
    }
    if (mr_type_is_nested(field->type))
        return json_text(field, value, arena, ret_value, ret_error);
    if (field->type == MR_TYPE_ENUM) { /* the schema's own text */
        const char *symbol = field->shape->symbols[value->integer];
        *ret_value = (mr_value){.type = MR_TYPE_STRING, .size = (uint32_t)strlen(symbol), .data = symbol};
        return MR_OK;
    }
    *ret_value = *value;
    ret_value->type = MR_TYPE_BYTES;
    return MR_OK;
}
