/* schema_parse.c - an Avro schema from its JSON text. Errors and warnings name the place in the document. */
#include "core/schema_impl.h"

#include <float.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TEXT_BYTES_MAX = 64 * 1024, FIELDS_MAX = 1000 };

typedef struct parser {
    mr_schema *schema;
    mr_schema_warn warn;
    void *warn_arg;
    mr_error *error; /* may be NULL */
} parser;

/* A place in the document: "fields[14].type". */
typedef struct place {
    char path[80];
} place;

static place place_in(const place *parent, const char *member)
{
    place p;
    snprintf(p.path, sizeof p.path, "%.60s%s%s", parent->path, parent->path[0] != '\0' ? "." : "", member);
    return p;
}

static place place_at(const place *parent, size_t index)
{
    place p;
    snprintf(p.path, sizeof p.path, "%.40s[%zu]", parent->path, index);
    return p;
}

static const char *keep(mr_schema *schema, const char *data, size_t size)
{
    char *copy = schema->pool + schema->pool_used;
    memcpy(copy, data, size);
    copy[size] = '\0';
    schema->pool_used += size + 1;
    return copy;
}

static bool is_name(const char *text)
{
    static const char after_first[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *first = after_first + 10;
    return text[0] != '\0' && strchr(first, text[0]) != NULL && text[strspn(text, after_first)] == '\0';
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

static mr_err parse_type_name(parser *p, const place *at, const char *name, mr_type *ret_type)
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

static void warn(parser *p, const place *at, const char *text)
{
    if (p->warn != NULL)
        p->warn(p->warn_arg, at->path, text);
}

/* Looks at the logicalType of `object`, which annotates `type`: one that fits would change what the values
 * mean, so it is refused; any other the specification tells to ignore. */
static mr_err check_logical_type(parser *p, const place *parent, const json_t *object, mr_type type)
{
    const json_t *logical = json_object_get(object, "logicalType");
    if (logical == NULL)
        return MR_OK;
    place at = place_in(parent, "logicalType");
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
static mr_err parse_primitive(parser *p, const place *at, const json_t *json, mr_type *ret_type)
{
    if (json_is_string(json))
        return parse_type_name(p, at, json_string_value(json), ret_type);
    if (!json_is_object(json))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: must be a type's name, an object with \"type\" or a union", at->path);
    const json_t *name = json_object_get(json, "type");
    place inner = place_in(at, "type");
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

static mr_err parse_union(parser *p, const place *at, const json_t *json, mr_field *field)
{
    mr_type types[2];
    if (json_array_size(json) != 2)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: a union must be of null and one primitive type",
                       at->path);
    for (size_t i = 0; i < 2; i++) {
        place branch = place_at(at, i);
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

static mr_err parse_type(parser *p, const place *parent, const json_t *json, mr_field *field)
{
    place at = place_in(parent, "type");
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

/* A bytes default is a string whose characters U+0000 to U+00FF are the bytes. */
static bool parse_bytes_default(mr_schema *schema, const json_t *json, mr_value *ret_value)
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

static bool parse_default_value(mr_schema *schema, mr_type type, const json_t *json, mr_value *ret_value)
{
    ret_value->type = type;
    switch (type) {
    case MR_TYPE_NULL:
        return json_is_null(json);
    case MR_TYPE_BOOLEAN:
        ret_value->integer = json_is_true(json);
        return json_is_boolean(json);
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        ret_value->integer = json_integer_value(json);
        return json_is_integer(json) &&
               (type == MR_TYPE_LONG || (ret_value->integer >= INT32_MIN && ret_value->integer <= INT32_MAX));
    case MR_TYPE_FLOAT:
        ret_value->real = json_number_value(json);
        if (ret_value->real > (double)FLT_MAX || ret_value->real < (double)-FLT_MAX)
            return false;
        ret_value->real = (double)(float)ret_value->real;
        return json_is_number(json);
    case MR_TYPE_DOUBLE:
        ret_value->real = json_number_value(json);
        return json_is_number(json);
    case MR_TYPE_BYTES:
        return json_is_string(json) && parse_bytes_default(schema, json, ret_value);
    case MR_TYPE_STRING:
        if (!json_is_string(json))
            return false;
        ret_value->size = (uint32_t)json_string_length(json);
        ret_value->data = keep(schema, json_string_value(json), ret_value->size);
        return true;
    }
    return false;
}

static mr_err parse_default(parser *p, const place *parent, const json_t *json, mr_field *field)
{
    const json_t *value = json_object_get(json, "default");
    if (value == NULL)
        return MR_OK;
    /* the default of a union is one of its first type */
    mr_type type = field->nullable && field->null_first ? MR_TYPE_NULL : field->type;
    field->has_default = true;
    if (parse_default_value(p->schema, type, value, &field->default_value))
        return MR_OK;
    return mr_fail(p->error, MR_EINVALID, "schema: %s.default: is not a valid %s%s", parent->path,
                   mr_type_name(type), field->nullable ? ", the first type of the union" : "");
}

/* Databases do not tell names apart by case alone. */
static mr_err check_unique(parser *p, const place *at, const char *name)
{
    for (size_t i = 0; i < p->schema->field_count; i++) {
        const char *other = p->schema->fields[i].name;
        if (strcmp(other, name) == 0)
            return mr_fail(p->error, MR_EINVALID, "schema: %s: field \"%.100s\" stands twice", at->path,
                           name);
        if (strcasecmp(other, name) == 0)
            return mr_fail(p->error, MR_EINVALID,
                           "schema: %s: fields \"%.100s\" and \"%.100s\" differ only by case; rename one",
                           at->path, other, name);
    }
    return MR_OK;
}

static mr_err parse_field(parser *p, const place *at, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    if (!json_is_object(json))
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be an object", at->path);
    if (name == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: has no \"name\"", at->path);
    if (!is_name(name))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: name \"%.100s\" must be letters, digits and _, without a digit first",
                       at->path, name);
    mr_err err = check_unique(p, at, name);
    if (err != MR_OK)
        return err;
    mr_field field = {.name = keep(p->schema, name, strlen(name))};
    err = parse_type(p, at, json, &field);
    if (err == MR_OK)
        err = parse_default(p, at, json, &field);
    if (err == MR_OK)
        p->schema->fields[p->schema->field_count++] = field;
    return err;
}

static mr_err parse_fields(parser *p, const json_t *root)
{
    const json_t *fields = json_object_get(root, "fields");
    size_t count = json_array_size(fields);
    if (!json_is_array(fields) || count == 0)
        return mr_fail(p->error, MR_EINVALID, "schema: fields: must be an array of at least one field");
    if (count > FIELDS_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: fields: %zu are more than %d", count, FIELDS_MAX);
    p->schema->fields = calloc(count, sizeof *p->schema->fields);
    if (p->schema->fields == NULL)
        return mr_fail(p->error, MR_ENOMEM, "no memory for a schema of %zu fields", count);
    place list = {"fields"};
    for (size_t i = 0; i < count; i++) {
        place at = place_at(&list, i);
        mr_err err = parse_field(p, &at, json_array_get(fields, i));
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* A name may be full ("org.example.orders"): its last part is what the schema is called. */
static mr_err parse_name(parser *p, const json_t *root)
{
    const char *name = json_string_value(json_object_get(root, "name"));
    if (name == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: has no \"name\"");
    const char *last = strrchr(name, '.');
    const char *simple = last != NULL ? last + 1 : name;
    if (!is_name(simple))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: name \"%.100s\" must be letters, digits and _, without a digit first", name);
    p->schema->name = keep(p->schema, simple, strlen(simple));
    return MR_OK;
}

static mr_err parse_root(parser *p, const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    if (type == NULL || strcmp(type, "record") != 0)
        return mr_fail(p->error, MR_EINVALID, "schema: must be an object with \"type\": \"record\"");
    mr_err err = parse_name(p, root);
    return err == MR_OK ? parse_fields(p, root) : err;
}

static mr_err load(mr_slice text, json_t **ret_root, mr_error *ret_error)
{
    json_error_t json_error;
    if (text.size > TEXT_BYTES_MAX)
        return mr_fail(ret_error, MR_EINVALID, "schema: %zu bytes are more than %d", text.size,
                       TEXT_BYTES_MAX);
    *ret_root = json_loadb(text.size > 0 ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &json_error);
    if (*ret_root != NULL)
        return MR_OK;
    if (json_error_code(&json_error) == json_error_out_of_memory ||
        json_error.text[0] == '\0') /* says nothing */
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a schema");
    return mr_fail(ret_error, MR_EINVALID, "schema: line %d, column %d: %s", json_error.line,
                   json_error.column, json_error.text);
}

mr_err mr_schema_parse(mr_slice text, mr_schema_warn on_warning, void *warn_arg, mr_schema **ret_schema,
                       mr_error *ret_error)
{
    json_t *root;
    mr_err err = load(text, &root, ret_error);
    if (err != MR_OK)
        return err;
    mr_schema *schema = calloc(1, sizeof *schema);
    char *pool = malloc(2 * text.size + 1);
    if (schema == NULL || pool == NULL) {
        free(schema);
        free(pool);
        json_decref(root);
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a schema");
    }
    schema->pool = pool;
    schema->text = (mr_slice){keep(schema, text.data, text.size), text.size};
    parser p = {schema, on_warning, warn_arg, ret_error};
    err = parse_root(&p, root);
    json_decref(root);
    if (err == MR_OK)
        *ret_schema = schema;
    else
        mr_schema_close(&schema);
    return err;
}
