/* schema_parse.c - an Avro schema from its JSON text. Errors and warnings name the place in the document. */
#include "core/schema_impl.h"
#include "core/schema_parser.h"

#include <stdlib.h>
#include <strings.h>

enum { TEXT_BYTES_MAX = 64 * 1024, FIELDS_MAX = 1000 };

const char *schema_keep(mr_schema *schema, const char *data, size_t size)
{
    char *copy = schema->pool + schema->pool_used;
    memcpy(copy, data, size);
    copy[size] = '\0';
    schema->pool_used += size + 1;
    return copy;
}

bool schema_is_name(const char *text)
{
    static const char after_first[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *first = after_first + 10;
    return text[0] != '\0' && strchr(first, text[0]) != NULL && text[strspn(text, after_first)] == '\0';
}

/* Databases do not tell names apart by case alone. */
static mr_err check_unique(schema_parser *p, const schema_place *at, const char *name, const mr_field *fields,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *other = fields[i].name;
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

/* "logicalType" belongs in the type; beside it, its meaning is plain all the same. */
static mr_err parse_logical_beside(schema_parser *p, const schema_place *at, const json_t *json,
                                   mr_field *field)
{
    if (field->logical != MR_LOGICAL_NONE)
        return MR_OK;
    mr_err err = schema_parse_logical(p, at, json, field);
    schema_place place = schema_place_in(at, "logicalType");
    if (err == MR_OK && field->logical != MR_LOGICAL_NONE)
        schema_warn(p, &place, "stands beside the type; taken as part of it");
    return err;
}

static mr_err parse_field(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                          mr_field *fields, size_t *count)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    if (!json_is_object(json))
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be an object", at->path);
    if (name == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: has no \"name\"", at->path);
    if (!schema_is_name(name))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: name \"%.100s\" must be letters, digits and _, without a digit first",
                       at->path, name);
    mr_err err = check_unique(p, at, name, fields, *count);
    if (err != MR_OK)
        return err;
    mr_field field = {.name = schema_keep(p->schema, name, strlen(name))};
    err = schema_parse_type(p, at, json, "type", depth, &field);
    if (err == MR_OK)
        err = parse_logical_beside(p, at, json, &field);
    if (err == MR_OK)
        err = schema_parse_default(p, at, json, &field);
    if (err == MR_OK)
        fields[(*count)++] = field;
    return err;
}

mr_err schema_parse_fields(schema_parser *p, const schema_place *parent, const json_t *record, int depth,
                           size_t max, mr_field **ret_fields, size_t *ret_count)
{
    schema_place list = schema_place_in(parent, "fields");
    const json_t *json = json_object_get(record, "fields");
    size_t count = json_array_size(json);
    if (!json_is_array(json) || count == 0)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be an array of at least one field",
                       list.path);
    if (count > max)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: %zu are more than %zu", list.path, count, max);
    mr_field *fields = mr_arena_alloc(&p->schema->arena, count * sizeof *fields);
    if (fields == NULL)
        return mr_fail(p->error, MR_ENOMEM, "no memory for a schema of %zu fields", count);
    *ret_fields = fields;
    for (size_t i = 0; i < count; i++) {
        schema_place at = schema_place_at(&list, i);
        mr_err err = parse_field(p, &at, json_array_get(json, i), depth, fields, ret_count);
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
    if (!schema_is_name(simple))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: name \"%.100s\" must be letters, digits and _, without a digit first", name);
    p->schema->name = schema_keep(p->schema, simple, strlen(simple));
    const char *space = json_string_value(json_object_get(root, "namespace"));
    mr_slice around = last != NULL    ? (mr_slice){name, (size_t)(last - name)}
                      : space != NULL ? mr_slice_of(space)
                                      : (mr_slice){"", 0};
    p->namespace = mr_arena_copy(&p->schema->arena, around).data;
    return p->namespace != NULL ? MR_OK : mr_fail(p->error, MR_ENOMEM, "no memory for a schema");
}

static mr_err parse_root(schema_parser *p, const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    if (type == NULL || strcmp(type, "record") != 0)
        return mr_fail(p->error, MR_EINVALID, "schema: must be an object with \"type\": \"record\"");
    schema_place top = {""};
    mr_err err = parse_name(p, root);
    return err == MR_OK ? schema_parse_fields(p, &top, root, 1, FIELDS_MAX, &p->schema->fields,
                                              &p->schema->field_count)
                        : err;
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
    schema->text = (mr_slice){schema_keep(schema, text.data, text.size), text.size};
    schema_parser p = {.schema = schema, .warn = on_warning, .warn_arg = warn_arg, .error = ret_error};
    err = parse_root(&p, root);
    json_decref(root);
    if (err == MR_OK)
        *ret_schema = schema;
    else
        mr_schema_close(&schema);
    return err;
}
