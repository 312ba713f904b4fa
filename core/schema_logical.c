/* schema_logical.c - logical types: which there are, and which types they annotate. */
#include "core/decimal.h"
#include "core/schema_impl.h"
#include "core/schema_parser.h"

#include <stdio.h>

static const struct {
    const char *name;
    mr_logical logical; /* MR_LOGICAL_NONE: known, but not to us */
    mr_type type, other_type;
} LOGICALS[] = {
    {"date", MR_LOGICAL_DATE, MR_TYPE_INT, MR_TYPE_INT},
    {"time-millis", MR_LOGICAL_TIME_MILLIS, MR_TYPE_INT, MR_TYPE_INT},
    {"time-micros", MR_LOGICAL_TIME_MICROS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"timestamp-millis", MR_LOGICAL_TIMESTAMP_MILLIS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"timestamp-micros", MR_LOGICAL_TIMESTAMP_MICROS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"timestamp-nanos", MR_LOGICAL_TIMESTAMP_NANOS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"local-timestamp-millis", MR_LOGICAL_LOCAL_TIMESTAMP_MILLIS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"local-timestamp-micros", MR_LOGICAL_LOCAL_TIMESTAMP_MICROS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"local-timestamp-nanos", MR_LOGICAL_LOCAL_TIMESTAMP_NANOS, MR_TYPE_LONG, MR_TYPE_LONG},
    {"decimal", MR_LOGICAL_DECIMAL, MR_TYPE_BYTES, MR_TYPE_FIXED},
    {"uuid", MR_LOGICAL_UUID, MR_TYPE_STRING, MR_TYPE_STRING},
    {"big-decimal", MR_LOGICAL_NONE, MR_TYPE_BYTES, MR_TYPE_BYTES},
    {"duration", MR_LOGICAL_NONE, MR_TYPE_FIXED, MR_TYPE_FIXED},
};

enum { LOGICAL_COUNT = sizeof LOGICALS / sizeof *LOGICALS };

const char *mr_type_words(const mr_field *field, char out[MR_TYPE_WORDS_BYTES])
{
    if (field->logical == MR_LOGICAL_DECIMAL) {
        snprintf(out, MR_TYPE_WORDS_BYTES, "decimal(%u, %u)", field->precision, field->scale);
        return out;
    }
    for (size_t i = 0; field->logical != MR_LOGICAL_NONE && i < LOGICAL_COUNT; i++)
        if (LOGICALS[i].logical == field->logical)
            return LOGICALS[i].name;
    if (field->shape == NULL || field->shape->name[0] == '\0')
        return mr_type_name(field->type);
    snprintf(out, MR_TYPE_WORDS_BYTES, "%s %.100s", mr_type_name(field->type), field->shape->name);
    return out;
}

static void drop(schema_parser *p, const schema_place *at, const char *name, const mr_field *field,
                 const char *why)
{
    char text[300];
    snprintf(text, sizeof text, "\"%.100s\" %s%s; ignored", name, why,
             why[strlen(why) - 1] == ' ' ? mr_type_name(field->type) : "");
    schema_warn(p, at, text);
}

static bool read_number(const json_t *object, const char *name, int64_t otherwise, int64_t *ret_number)
{
    const json_t *value = json_object_get(object, name);
    *ret_number = value == NULL ? otherwise : json_integer_value(value);
    return value == NULL || json_is_integer(value);
}

/* NULL, or why precision and scale are none. */
static const char *read_decimal(const json_t *object, mr_field *field)
{
    int64_t precision, scale;
    if (!read_number(object, "precision", 0, &precision) || precision < 1)
        return "needs a precision of at least 1";
    if (!read_number(object, "scale", 0, &scale) || scale < 0 || scale > precision)
        return "needs a scale from 0 to its precision";
    if (field->type == MR_TYPE_FIXED && precision > decimal_digits_of(field->shape->size))
        return "has more digits than its bytes can hold";
    field->precision = precision > DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX + 1 : (uint32_t)precision;
    field->scale = (uint32_t)scale;
    return NULL;
}

static mr_err apply_decimal(schema_parser *p, const schema_place *at, const json_t *object, mr_field *field)
{
    const char *problem = read_decimal(object, field);
    if (problem != NULL) {
        drop(p, at, "decimal", field, problem);
        return MR_OK;
    }
    if (field->precision > DECIMAL_PRECISION_MAX)
        return mr_fail(
            p->error, MR_EINVALID,
            "schema: %s: a decimal of more than %d digits is not supported; leave the logical type out "
            "to store plain bytes",
            at->path, DECIMAL_PRECISION_MAX);
    if (field->type == MR_TYPE_FIXED && field->shape->size > DECIMAL_FIXED_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: a decimal in more than %d bytes is not supported",
                       at->path, DECIMAL_FIXED_MAX);
    field->logical = MR_LOGICAL_DECIMAL;
    return MR_OK;
}

mr_err schema_parse_logical(schema_parser *p, const schema_place *parent, const json_t *object,
                            mr_field *field)
{
    const json_t *logical = json_object_get(object, "logicalType");
    if (logical == NULL)
        return MR_OK;
    schema_place at = schema_place_in(parent, "logicalType");
    if (!json_is_string(logical)) {
        schema_warn(p, &at, "is not a string; ignored");
        return MR_OK;
    }
    const char *name = json_string_value(logical);
    size_t i = 0;
    while (i < LOGICAL_COUNT && strcmp(LOGICALS[i].name, name) != 0)
        i++;
    if (i == LOGICAL_COUNT) {
        drop(p, &at, name, field, "is unknown");
        return MR_OK;
    }
    if (LOGICALS[i].type != field->type && LOGICALS[i].other_type != field->type) {
        drop(p, &at, name, field, "does not fit type ");
        return MR_OK;
    }
    if (LOGICALS[i].logical == MR_LOGICAL_NONE)
        return mr_fail(
            p->error, MR_EINVALID,
            "schema: %s: logical type \"%s\" is not supported; leave it out to store plain %s values",
            at.path, name, mr_type_name(field->type));
    if (LOGICALS[i].logical == MR_LOGICAL_DECIMAL)
        return apply_decimal(p, &at, object, field);
    field->logical = LOGICALS[i].logical;
    return MR_OK;
}
