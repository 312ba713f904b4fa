#include "core/json.h"

#include <inttypes.h>

/* What jansson lets pass: it counts the levels itself, but its limit is 2,048, and passes over a NUL behind a
 * number, at which a copy of the text would end. */
static mr_err check_form(mr_slice text, const char *source, mr_error *ret_error)
{
    int depth = 0, line = 1;
    size_t line_start = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\0')
            return mr_fail(ret_error, MR_EINVALID, "%s: line %d, column %zu: a NUL", source, line,
                           i - line_start + 1);
        if (c == '\n') {
            line++;
            line_start = i + 1;
        }
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > MR_JSON_MAX_DEPTH)
            return mr_fail(ret_error, MR_EINVALID, "%s: line %d, column %zu: more than %d levels deep",
                           source, line, i - line_start + 1, MR_JSON_MAX_DEPTH);
    }
    return MR_OK;
}

mr_err mr_json_load(mr_slice text, const char *source, size_t max_bytes, json_t **ret_json,
                    mr_error *ret_error)
{
    json_error_t problem;
    if (max_bytes == 0)
        max_bytes = MR_JSON_MAX_BYTES;
    if (text.size > max_bytes)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s: %zu bytes of JSON; at most %zu are accepted", source,
                       text.size, max_bytes);
    mr_err err = check_form(text, source, ret_error);
    if (err != MR_OK)
        return err;
    json_t *json = json_loadb(text.size == 0 ? "" : text.data, text.size, JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s: line %d, column %d: %s", source, problem.line,
                       problem.column, problem.text);
    *ret_json = json;
    return MR_OK;
}

static mr_err refuse(const char *path, const char *field, const char *problem, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EINVALID, "\"%s%s%s\": %s", path, *path == '\0' ? "" : ".", field, problem);
}

static mr_err get(const json_t *object, const char *field, const char *path, json_type type,
                  const char *expected, json_t **ret_value, mr_error *ret_error)
{
    json_t *value = json_object_get(object, field);
    if (value == NULL)
        return refuse(path, field, "is missing", ret_error);
    if (json_typeof(value) != type)
        return refuse(path, field, expected, ret_error);
    *ret_value = value;
    return MR_OK;
}

mr_err mr_json_get_text(const json_t *object, const char *field, const char *path, const char **ret_text,
                        mr_error *ret_error)
{
    json_t *value = NULL;
    mr_err err = get(object, field, path, JSON_STRING, "a string is expected", &value, ret_error);
    if (err == MR_OK)
        *ret_text = json_string_value(value);
    return err;
}

mr_err mr_json_get_integer(const json_t *object, const char *field, const char *path, int64_t minimum,
                           int64_t maximum, int64_t *ret_integer, mr_error *ret_error)
{
    json_t *value = NULL;
    mr_err err = get(object, field, path, JSON_INTEGER, "a whole number is expected", &value, ret_error);
    if (err != MR_OK)
        return err;
    int64_t integer = json_integer_value(value);
    if (integer < minimum || integer > maximum) {
        char problem[120];
        snprintf(problem, sizeof problem, "%" PRId64 " is not within %" PRId64 " to %" PRId64, integer,
                 minimum, maximum);
        return refuse(path, field, problem, ret_error);
    }
    *ret_integer = integer;
    return MR_OK;
}

mr_err mr_json_get_boolean(const json_t *object, const char *field, const char *path, bool *ret_boolean,
                           mr_error *ret_error)
{
    const json_t *value = json_object_get(object, field);
    if (value == NULL)
        return refuse(path, field, "is missing", ret_error);
    if (!json_is_boolean(value))
        return refuse(path, field, "true or false is expected", ret_error);
    *ret_boolean = json_is_true(value);
    return MR_OK;
}

mr_err mr_json_get_object(const json_t *object, const char *field, const char *path, json_t **ret_object,
                          mr_error *ret_error)
{
    return get(object, field, path, JSON_OBJECT, "an object is expected", ret_object, ret_error);
}

mr_err mr_json_get_array(const json_t *object, const char *field, const char *path, json_t **ret_array,
                         mr_error *ret_error)
{
    return get(object, field, path, JSON_ARRAY, "an array is expected", ret_array, ret_error);
}

bool mr_json_has(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    return value != NULL && !json_is_null(value);
}
