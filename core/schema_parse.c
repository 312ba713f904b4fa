/* schema_parse.c - an Avro schema from its JSON text. Errors and warnings name the place in the document. */
#include "core/schema_impl.h"
#include "core/schema_parser.h"

#include <float.h>
#include <stdlib.h>
#include <strings.h>

enum { TEXT_BYTES_MAX = 64 * 1024, FIELDS_MAX = 1000 };

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

static mr_err parse_default(schema_parser *p, const schema_place *parent, const json_t *json, mr_field *field)
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
static mr_err check_unique(schema_parser *p, const schema_place *at, const char *name)
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

static mr_err parse_field(schema_parser *p, const schema_place *at, const json_t *json)
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
    err = schema_parse_type(p, at, json, &field);
    if (err == MR_OK)
        err = parse_default(p, at, json, &field);
    if (err == MR_OK)
        p->schema->fields[p->schema->field_count++] = field;
    return err;
}

static mr_err parse_fields(schema_parser *p, const json_t *root)
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
    schema_place list = {"fields"};
    for (size_t i = 0; i < count; i++) {
        schema_place at = schema_place_at(&list, i);
        mr_err err = parse_field(p, &at, json_array_get(fields, i));
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* A name may be full ("org.example.orders"): its last part is what the schema is called. */
static mr_err parse_name(schema_parser *p, const json_t *root)
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

static mr_err parse_root(schema_parser *p, const json_t *root)
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
    schema_parser p = {schema, on_warning, warn_arg, ret_error};
    err = parse_root(&p, root);
    json_decref(root);
    if (err == MR_OK)
        *ret_schema = schema;
    else
        mr_schema_close(&schema);
    return err;
}
