/* schema_named.c - types with a name: enum, fixed, record. Once defined, the name stands for the type. */
#include "core/schema_impl.h"
#include "core/schema_parser.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIXED_BYTES_MAX = 64 * 1024, SYMBOLS_MAX = 10000 };

struct named_type {
    named_type *next;
    const char *name; /* in full */
    mr_type type;
    mr_logical logical; /* what its definition says of it */
    uint32_t precision, scale;
    const mr_shape *shape; /* NULL: its definition is not complete */
};

static mr_err no_memory(schema_parser *p)
{
    return mr_fail(p->error, MR_ENOMEM, "no memory for a schema");
}

/* "name" with the namespace before it, unless it has one; in the schema's arena. NULL: short of memory. */
static const char *full_name(schema_parser *p, const char *namespace, const char *name)
{
    if (namespace[0] == '\0' || strchr(name, '.') != NULL)
        return mr_arena_copy(&p->schema->arena, mr_slice_of(name)).data;
    size_t size = strlen(namespace) + strlen(name) + 2;
    char *full = mr_arena_alloc(&p->schema->arena, size);
    if (full != NULL)
        snprintf(full, size, "%s.%s", namespace, name);
    return full;
}

/* Names with dots between them. */
static bool is_full_name(const char *full)
{
    bool starts = true;
    for (const char *at = full; *at != '\0'; at++) {
        const char one[] = {*at, '\0'};
        if (*at == '.' ? starts : !schema_is_name(one) && (starts || *at < '0' || *at > '9'))
            return false;
        starts = *at == '.';
    }
    return !starts;
}

static named_type *find_named(const schema_parser *p, const char *full)
{
    for (named_type *at = p->named; at != NULL; at = at->next)
        if (strcmp(at->name, full) == 0)
            return at;
    return NULL;
}

mr_err schema_refer(schema_parser *p, const schema_place *at, const char *name, int depth, mr_field *field)
{
    const char *full = full_name(p, p->namespace, name);
    if (full == NULL)
        return no_memory(p);
    const named_type *named = find_named(p, full);
    if (named == NULL)
        return MR_ENOTFOUND;
    if (named->shape == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: \"%.100s\" holds itself, which is not supported",
                       at->path, name);
    if (depth + named->shape->depth > MR_SCHEMA_DEPTH_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: types are nested deeper than %d levels", at->path,
                       MR_SCHEMA_DEPTH_MAX);
    p->nodes += named->shape->nodes;
    if (p->nodes > MR_SCHEMA_NODES_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: more than %d types, with those inside others",
                       at->path, MR_SCHEMA_NODES_MAX);
    field->type = named->type;
    field->logical = named->logical;
    field->precision = named->precision;
    field->scale = named->scale;
    field->shape = named->shape;
    return MR_OK;
}

static mr_err parse_symbols(schema_parser *p, const schema_place *parent, const json_t *json, mr_shape *shape)
{
    schema_place list = schema_place_in(parent, "symbols");
    const json_t *symbols = json_object_get(json, "symbols");
    size_t count = json_array_size(symbols);
    if (count == 0 || count > SYMBOLS_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be an array of 1 to %d names", list.path,
                       SYMBOLS_MAX);
    const char **names = mr_arena_alloc(&p->schema->arena, count * sizeof *names);
    if (names == NULL)
        return no_memory(p);
    for (size_t i = 0; i < count; i++) {
        schema_place at = schema_place_at(&list, i);
        const char *name = json_string_value(json_array_get(symbols, i));
        if (name == NULL || !schema_is_name(name))
            return mr_fail(p->error, MR_EINVALID,
                           "schema: %s: must be a name of letters, digits and _, without a digit first",
                           at.path);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[j], name) == 0)
                return mr_fail(p->error, MR_EINVALID, "schema: %s: symbol \"%.100s\" stands twice", at.path,
                               name);
        names[i] = schema_keep(p->schema, name, strlen(name));
    }
    shape->symbols = names;
    shape->count = count;
    return MR_OK;
}

/* The symbol that stands for unknown ones when a schema changes; here it never does. */
static mr_err check_enum_default(schema_parser *p, const schema_place *parent, const json_t *json,
                                 const mr_shape *shape)
{
    const json_t *value = json_object_get(json, "default");
    if (value == NULL)
        return MR_OK;
    for (size_t i = 0; json_is_string(value) && i < shape->count; i++)
        if (strcmp(shape->symbols[i], json_string_value(value)) == 0)
            return MR_OK;
    return mr_fail(p->error, MR_EINVALID, "schema: %s.default: is no symbol of the enum", parent->path);
}

static mr_err parse_size(schema_parser *p, const schema_place *parent, const json_t *json, mr_shape *shape)
{
    const json_t *size = json_object_get(json, "size");
    json_int_t bytes = json_integer_value(size);
    if (!json_is_integer(size) || bytes < 1 || bytes > FIXED_BYTES_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s.size: must be a number from 1 to %d", parent->path,
                       FIXED_BYTES_MAX);
    shape->size = (uint32_t)bytes;
    return MR_OK;
}

static mr_err parse_record(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                           mr_shape *shape)
{
    mr_field *fields = NULL;
    size_t count = 0, before = p->nodes;
    mr_err err = schema_parse_fields(p, at, json, depth + 1, MR_SCHEMA_NODES_MAX, &fields, &count);
    for (size_t i = 0; i < count; i++)
        if (fields[i].shape != NULL && fields[i].shape->depth > shape->depth)
            shape->depth = fields[i].shape->depth;
    shape->depth++;
    shape->nodes = p->nodes - before;
    shape->fields = fields;
    shape->count = count;
    return err;
}

static mr_err parse_inside(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                           mr_type type, mr_shape *shape)
{
    if (type == MR_TYPE_FIXED)
        return parse_size(p, at, json, shape);
    if (type == MR_TYPE_RECORD)
        return parse_record(p, at, json, depth, shape);
    mr_err err = parse_symbols(p, at, json, shape);
    return err == MR_OK ? check_enum_default(p, at, json, shape) : err;
}

static mr_err define(schema_parser *p, const schema_place *at, const json_t *json, named_type **ret_named)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *space = json_string_value(json_object_get(json, "namespace"));
    if (name == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: has no \"name\"", at->path);
    named_type *named = mr_arena_alloc(&p->schema->arena, sizeof *named);
    const char *full = full_name(p, space != NULL ? space : p->namespace, name);
    if (named == NULL || full == NULL)
        return no_memory(p);
    if (!is_full_name(full))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: name \"%.100s\" must be letters, digits and _, without a digit first",
                       at->path, full);
    if (find_named(p, full) != NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: \"%.100s\" is defined twice", at->path, full);
    *named = (named_type){.next = p->named, .name = full};
    p->named = named;
    *ret_named = named;
    return MR_OK;
}

/* What stands before the last dot of a full name. */
static const char *namespace_of(schema_parser *p, const char *full)
{
    const char *dot = strrchr(full, '.');
    return dot == NULL ? "" : mr_arena_copy(&p->schema->arena, (mr_slice){full, (size_t)(dot - full)}).data;
}

mr_err schema_parse_named(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                          mr_field *field)
{
    const char *kind = json_string_value(json_object_get(json, "type"));
    field->type = *kind == 'e' ? MR_TYPE_ENUM : *kind == 'f' ? MR_TYPE_FIXED : MR_TYPE_RECORD;
    named_type *named = NULL;
    mr_shape *shape = mr_arena_alloc(&p->schema->arena, sizeof *shape);
    mr_err err = shape != NULL ? define(p, at, json, &named) : no_memory(p);
    if (err != MR_OK)
        return err;
    const char *around = p->namespace;
    if ((p->namespace = namespace_of(p, named->name)) == NULL)
        return no_memory(p);
    *shape = (mr_shape){.name = named->name};
    err = parse_inside(p, at, json, depth, field->type, shape);
    p->namespace = around;
    field->shape = shape;
    if (err == MR_OK)
        err = schema_parse_logical(p, at, json, field);
    if (err != MR_OK)
        return err;
    named->type = field->type;
    named->logical = field->logical;
    named->precision = field->precision;
    named->scale = field->scale;
    named->shape = shape;
    return MR_OK;
}
