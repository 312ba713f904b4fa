/* schema_type.c - the type of a field: a primitive or a union of null and one, and what annotates it. */
#include "core/schema_parser.h"

#include <stdio.h>

schema_place schema_place_in(const schema_place *parent, const char *member)
{
    schema_place p;
    snprintf(p.path, sizeof p.path, "%.60s%s%s", parent->path, parent->path[0] != '\0' ? "." : "", member);
    return p;
}

schema_place schema_place_at(const schema_place *parent, size_t index)
{
    schema_place p;
    snprintf(p.path, sizeof p.path, "%.40s[%zu]", parent->path, index);
    return p;
}

static const struct {
    const char *name;
    mr_type type;
} PRIMITIVES[] = {
    {"null", MR_TYPE_NULL},   {"boolean", MR_TYPE_BOOLEAN}, {"int", MR_TYPE_INT},
    {"long", MR_TYPE_LONG},   {"float", MR_TYPE_FLOAT},     {"double", MR_TYPE_DOUBLE},
    {"bytes", MR_TYPE_BYTES}, {"string", MR_TYPE_STRING},
};

static const char *const NESTED[] = {"record", "error", "array", "map", "enum", "fixed"};

static mr_err parse_type_name(schema_parser *p, const schema_place *at, const char *name, mr_type *ret_type)
{
    for (size_t i = 0; i < sizeof PRIMITIVES / sizeof *PRIMITIVES; i++) {
        if (strcmp(PRIMITIVES[i].name, name) == 0) {
            *ret_type = PRIMITIVES[i].type;
            return MR_OK;
        }
    }
    for (size_t i = 0; i < sizeof NESTED / sizeof *NESTED; i++)
        if (strcmp(NESTED[i], name) == 0)
            return mr_fail(
                p->error, MR_EINVALID,
                "schema: %s: type \"%s\" is not supported yet; use a primitive type or a union of null "
                "and one",
                at->path, name);
    return mr_fail(
        p->error, MR_EINVALID,
        "schema: %s: unknown type \"%.100s\"; known are boolean, int, long, float, double, bytes, string",
        at->path, name);
}

/* Which primitive types a logical type of the specification annotates. */
static const struct {
    const char *name;
    mr_type type; /* MR_TYPE_NULL: only fixed, which is never parsed this far */
} LOGICAL[] = {
    {"date", MR_TYPE_INT},
    {"time-millis", MR_TYPE_INT},
    {"time-micros", MR_TYPE_LONG},
    {"timestamp-millis", MR_TYPE_LONG},
    {"timestamp-micros", MR_TYPE_LONG},
    {"timestamp-nanos", MR_TYPE_LONG},
    {"local-timestamp-millis", MR_TYPE_LONG},
    {"local-timestamp-micros", MR_TYPE_LONG},
    {"local-timestamp-nanos", MR_TYPE_LONG},
    {"decimal", MR_TYPE_BYTES},
    {"big-decimal", MR_TYPE_BYTES},
    {"uuid", MR_TYPE_STRING},
    {"duration", MR_TYPE_NULL},
};

static void warn(schema_parser *p, const schema_place *at, const char *text)
{
    if (p->warn != NULL)
        p->warn(p->warn_arg, at->path, text);
}

/* Looks at the logicalType of `object`, which annotates `type`: one that fits would change what the values
 * mean, so it is refused; any other the specification tells to ignore. */
static mr_err check_logical_type(schema_parser *p, const schema_place *parent, const json_t *object,
                                 mr_type type)
{
    const json_t *logical = json_object_get(object, "logicalType");
    if (logical == NULL)
        return MR_OK;
    schema_place at = schema_place_in(parent, "logicalType");
    char text[200];
    if (!json_is_string(logical)) {
        warn(p, &at, "is not a string; ignored");
        return MR_OK;
    }
    const char *name = json_string_value(logical);
    for (size_t i = 0; i < sizeof LOGICAL / sizeof *LOGICAL; i++) {
        if (strcmp(LOGICAL[i].name, name) != 0)
            continue;
        if (LOGICAL[i].type == type)
            return mr_fail(
                p->error, MR_EINVALID,
                "schema: %s: logical type \"%s\" is not supported yet; leave it out to store plain %s values",
                at.path, name, mr_type_name(type));
        snprintf(text, sizeof text, "\"%s\" does not fit type %s; ignored", name, mr_type_name(type));
        warn(p, &at, text);
        return MR_OK;
    }
    snprintf(text, sizeof text, "\"%.100s\" is unknown; ignored", name);
    warn(p, &at, text);
    return MR_OK;
}

/* "int" or {"type": "int", ...}. */
static mr_err parse_primitive(schema_parser *p, const schema_place *at, const json_t *json, mr_type *ret_type)
{
    if (json_is_string(json))
        return parse_type_name(p, at, json_string_value(json), ret_type);
    if (!json_is_object(json))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: must be a type's name, an object with \"type\" or a union", at->path);
    const json_t *name = json_object_get(json, "type");
    schema_place inner = schema_place_in(at, "type");
    if (!json_is_string(name))
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be a type's name", inner.path);
    mr_type type;
    mr_err err = parse_type_name(p, &inner, json_string_value(name), &type);
    if (err == MR_OK)
        err = check_logical_type(p, at, json, type);
    if (err == MR_OK)
        *ret_type = type;
    return err;
}

static mr_err parse_union(schema_parser *p, const schema_place *at, const json_t *json, mr_field *field)
{
    mr_type types[2];
    if (json_array_size(json) != 2)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: a union must be of null and one primitive type",
                       at->path);
    for (size_t i = 0; i < 2; i++) {
        schema_place branch = schema_place_at(at, i);
        mr_err err = parse_primitive(p, &branch, json_array_get(json, i), &types[i]);
        if (err != MR_OK)
            return err;
    }
    if ((types[0] == MR_TYPE_NULL) == (types[1] == MR_TYPE_NULL))
        return mr_fail(p->error, MR_EINVALID, "schema: %s: a union must be of null and one primitive type",
                       at->path);
    field->nullable = true;
    field->null_first = types[0] == MR_TYPE_NULL;
    field->type = field->null_first ? types[1] : types[0];
    return MR_OK;
}

mr_err schema_parse_type(schema_parser *p, const schema_place *parent, const json_t *json, mr_field *field)
{
    schema_place at = schema_place_in(parent, "type");
    const json_t *type = json_object_get(json, "type");
    if (type == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: field \"%.100s\" has no type", parent->path,
                       field->name);
    mr_err err =
        json_is_array(type) ? parse_union(p, &at, type, field) : parse_primitive(p, &at, type, &field->type);
    if (err == MR_OK && field->type == MR_TYPE_NULL)
        err = mr_fail(p->error, MR_EINVALID, "schema: %s: a field of type null holds nothing", at.path);
    if (err == MR_OK)
        err = check_logical_type(p, parent, json, field->type);
    return err;
}
