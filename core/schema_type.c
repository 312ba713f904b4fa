/* schema_type.c - the type of a field: a primitive, a named type, an array, a map, or a union of null and one
 * of these. */
#include "core/schema_impl.h"
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
    snprintf(p.path, sizeof p.path, "%.56s[%zu]", parent->path, index);
    return p;
}

void schema_warn(schema_parser *p, const schema_place *at, const char *text)
{
    if (p->warn != NULL)
        p->warn(p->warn_arg, at->path, text);
}

static const mr_type PRIMITIVES[] = {MR_TYPE_NULL,  MR_TYPE_BOOLEAN, MR_TYPE_INT,   MR_TYPE_LONG,
                                     MR_TYPE_FLOAT, MR_TYPE_DOUBLE,  MR_TYPE_BYTES, MR_TYPE_STRING};

static mr_err parse_type_name(schema_parser *p, const schema_place *at, const char *name, int depth,
                              mr_field *field)
{
    for (size_t i = 0; i < sizeof PRIMITIVES / sizeof *PRIMITIVES; i++) {
        if (strcmp(mr_type_name(PRIMITIVES[i]), name) == 0) {
            field->type = PRIMITIVES[i];
            return MR_OK;
        }
    }
    mr_err err = schema_refer(p, at, name, depth, field);
    if (err != MR_ENOTFOUND)
        return err;
    return mr_fail(p->error, MR_EINVALID,
                   "schema: %s: unknown type \"%.100s\"; known are boolean, int, long, float, double, bytes, "
                   "string, enum, fixed, record, array, map and types that were named before",
                   at->path, name);
}

/* An array or a map. */
static mr_err parse_collection(schema_parser *p, const schema_place *at, const json_t *json,
                               const char *member, int depth, mr_field *field)
{
    mr_shape *shape = mr_arena_alloc(&p->schema->arena, sizeof *shape);
    mr_field *element = mr_arena_alloc(&p->schema->arena, sizeof *element);
    if (shape == NULL || element == NULL)
        return mr_fail(p->error, MR_ENOMEM, "no memory for a schema");
    *element = (mr_field){.name = ""};
    size_t before = p->nodes;
    mr_err err = schema_parse_type(p, at, json, member, depth + 1, element);
    int below = element->shape != NULL ? element->shape->depth : 0;
    *shape =
        (mr_shape){.name = "", .fields = element, .count = 1, .nodes = p->nodes - before, .depth = below + 1};
    field->shape = shape;
    return err;
}

/* "int" or {"type": "int", ...}. */
static mr_err parse_single(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                           mr_field *field)
{
    if (depth > MR_SCHEMA_DEPTH_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: types are nested deeper than %d levels", at->path,
                       MR_SCHEMA_DEPTH_MAX);
    if (++p->nodes > MR_SCHEMA_NODES_MAX)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: more than %d types, with those inside others",
                       at->path, MR_SCHEMA_NODES_MAX);
    if (json_is_string(json))
        return parse_type_name(p, at, json_string_value(json), depth, field);
    if (!json_is_object(json))
        return mr_fail(p->error, MR_EINVALID,
                       "schema: %s: must be a type's name, an object with \"type\" or a union", at->path);
    const char *name = json_string_value(json_object_get(json, "type"));
    schema_place inner = schema_place_in(at, "type");
    if (name == NULL)
        return mr_fail(p->error, MR_EINVALID, "schema: %s: must be a type's name", inner.path);
    if (strcmp(name, "enum") == 0 || strcmp(name, "fixed") == 0 || strcmp(name, "record") == 0)
        return schema_parse_named(p, at, json, depth, field);
    mr_err err;
    if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0) {
        field->type = *name == 'a' ? MR_TYPE_ARRAY : MR_TYPE_MAP;
        err = parse_collection(p, at, json, *name == 'a' ? "items" : "values", depth, field);
    } else {
        err = parse_type_name(p, &inner, name, depth, field);
    }
    return err == MR_OK ? schema_parse_logical(p, at, json, field) : err;
}

static mr_err refuse_union(schema_parser *p, const schema_place *at)
{
    return mr_fail(p->error, MR_EINVALID, "schema: %s: a union must be of null and one other type", at->path);
}

static mr_err parse_union(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                          mr_field *field)
{
    mr_field branches[2] = {{.name = field->name}, {.name = field->name}};
    if (json_array_size(json) != 2)
        return refuse_union(p, at);
    for (size_t i = 0; i < 2; i++) {
        schema_place branch = schema_place_at(at, i);
        mr_err err = parse_single(p, &branch, json_array_get(json, i), depth, &branches[i]);
        if (err != MR_OK)
            return err;
    }
    if ((branches[0].type == MR_TYPE_NULL) == (branches[1].type == MR_TYPE_NULL))
        return refuse_union(p, at);
    bool null_first = branches[0].type == MR_TYPE_NULL;
    *field = branches[null_first];
    field->nullable = true;
    field->null_first = null_first;
    return MR_OK;
}

mr_err schema_parse_type(schema_parser *p, const schema_place *parent, const json_t *json, const char *member,
                         int depth, mr_field *field)
{
    schema_place at = schema_place_in(parent, member);
    const json_t *type = json_object_get(json, member);
    if (type == NULL)
        return field->name[0] != '\0'
                   ? mr_fail(p->error, MR_EINVALID, "schema: %s: field \"%.100s\" has no type", parent->path,
                             field->name)
                   : mr_fail(p->error, MR_EINVALID, "schema: %s: has no \"%s\"", parent->path, member);
    mr_err err = json_is_array(type) ? parse_union(p, &at, type, depth, field)
                                     : parse_single(p, &at, type, depth, field);
    if (err == MR_OK && field->type == MR_TYPE_NULL)
        err = mr_fail(p->error, MR_EINVALID, "schema: %s: a field of type null holds nothing", at.path);
    return err;
}
