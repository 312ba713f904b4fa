/* schema_evolution.c - schemas from schemas: the next version, the key. */
#include "core/schema_impl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static bool same_default(const mr_field *a, const mr_field *b)
{
    if (a->has_default != b->has_default)
        return false;
    if (!a->has_default)
        return true;
    const mr_value *x = &a->default_value, *y = &b->default_value;
    if (x->type != y->type)
        return false;
    if (x->type == MR_TYPE_NULL)
        return true;
    if (x->type == MR_TYPE_FLOAT || x->type == MR_TYPE_DOUBLE)
        return memcmp(&x->real, &y->real, sizeof x->real) == 0;
    if (x->type < MR_TYPE_BYTES)
        return x->integer == y->integer;
    return mr_slice_equal((mr_slice){x->data, x->size}, (mr_slice){y->data, y->size});
}

static bool same_union(const mr_field *a, const mr_field *b)
{
    return a->nullable == b->nullable && a->null_first == b->null_first;
}

static bool same_shape(const mr_shape *a, const mr_shape *b)
{
    if (a == NULL || b == NULL || a == b)
        return a == b;
    if (strcmp(a->name, b->name) != 0 || a->size != b->size || a->count != b->count ||
        (a->symbols == NULL) != (b->symbols == NULL) || (a->fields == NULL) != (b->fields == NULL))
        return false;
    for (size_t i = 0; a->symbols != NULL && i < a->count; i++)
        if (strcmp(a->symbols[i], b->symbols[i]) != 0)
            return false;
    for (size_t i = 0; a->fields != NULL && i < a->count; i++) {
        const mr_field *x = &a->fields[i], *y = &b->fields[i];
        if (strcmp(x->name, y->name) != 0 || !same_union(x, y) || !schema_same_type(x, y) ||
            !same_default(x, y))
            return false;
    }
    return true;
}

bool schema_same_type(const mr_field *a, const mr_field *b)
{
    return a->type == b->type && a->logical == b->logical && a->precision == b->precision &&
           a->scale == b->scale && same_shape(a->shape, b->shape);
}

static const char *type_words(const mr_field *field, char *out, size_t out_size)
{
    char words[MR_TYPE_WORDS_BYTES];
    snprintf(out, out_size,
             !field->nullable    ? "%s"
             : field->null_first ? "[null, %s]"
                                 : "[%s, null]",
             mr_type_words(field, words));
    return out;
}

static mr_err check_same(const mr_field *last, const mr_field *next, mr_error *ret_error)
{
    char was[MR_TYPE_WORDS_BYTES + 10], is[MR_TYPE_WORDS_BYTES + 10];
    type_words(last, was, sizeof was);
    type_words(next, is, sizeof is);
    if (strcmp(was, is) != 0)
        return mr_fail(ret_error, MR_EEXISTS, "field \"%.100s\" was %s and cannot become %s", last->name, was,
                       is);
    if (!same_union(last, next) || !schema_same_type(last, next))
        return mr_fail(ret_error, MR_EEXISTS, "what is inside field \"%.100s\" (%s) cannot change",
                       last->name, was);
    if (!same_default(last, next))
        return mr_fail(ret_error, MR_EEXISTS, "the default of field \"%.100s\" cannot change", last->name);
    return MR_OK;
}

mr_err mr_schema_may_follow(const mr_schema *last, const mr_schema *next, mr_error *ret_error)
{
    if (strcmp(last->name, next->name) != 0)
        return mr_fail(ret_error, MR_EEXISTS, "the schema's name was \"%.100s\" and cannot become \"%.100s\"",
                       last->name, next->name);
    size_t expected = 0; /* index in last of the field that is due */
    for (size_t i = 0; i < next->field_count; i++) {
        const mr_field *field = &next->fields[i];
        int index = mr_schema_find(last, mr_slice_of(field->name));
        if (index < 0 && !field->nullable)
            return mr_fail(ret_error, MR_EEXISTS,
                           "the added field \"%.100s\" must be nullable, as in [\"null\", \"%s\"]",
                           field->name, mr_type_name(field->type));
        if (index < 0)
            continue;
        if ((size_t)index != expected)
            break;
        mr_err err = check_same(&last->fields[expected], field, ret_error);
        if (err != MR_OK)
            return err;
        expected++;
    }
    if (expected == last->field_count)
        return MR_OK;
    const char *due = last->fields[expected].name;
    if (mr_schema_find(next, mr_slice_of(due)) < 0)
        return mr_fail(ret_error, MR_EEXISTS, "field \"%.100s\" is missing; fields can only be added", due);
    return mr_fail(ret_error, MR_EEXISTS, "field \"%.100s\" has moved; the order of fields cannot change",
                   due);
}

/* The type of a field as a schema has it; a named one whole at first, then by its name. NULL: short of
 * memory. */
static json_t *type_json(const mr_field *field, bool named_before)
{
    char words[MR_TYPE_WORDS_BYTES];
    const mr_shape *shape = field->shape;
    if (shape != NULL && named_before)
        return json_string(shape->name);
    if (shape == NULL && field->logical == MR_LOGICAL_NONE)
        return json_string(mr_type_name(field->type));
    json_t *json = json_pack("{s:s}", "type", mr_type_name(field->type));
    if (shape != NULL)
        json_object_set_new(json, "name", json_string(shape->name));
    if (field->type == MR_TYPE_FIXED)
        json_object_set_new(json, "size", json_integer((json_int_t)shape->size));
    if (field->type == MR_TYPE_ENUM) {
        json_t *symbols = json_array();
        for (size_t i = 0; i < shape->count; i++)
            json_array_append_new(symbols, json_string(shape->symbols[i]));
        json_object_set_new(json, "symbols", symbols);
    }
    if (field->logical == MR_LOGICAL_DECIMAL) {
        json_object_set_new(json, "logicalType", json_string("decimal"));
        json_object_set_new(json, "precision", json_integer((json_int_t)field->precision));
        json_object_set_new(json, "scale", json_integer((json_int_t)field->scale));
    } else if (field->logical != MR_LOGICAL_NONE) {
        json_object_set_new(json, "logicalType", json_string(mr_type_words(field, words)));
    }
    return json;
}

static mr_err check_key_field(const mr_schema *schema, int column, mr_error *ret_error)
{
    if (column < 0 || (size_t)column >= schema->field_count)
        return mr_fail(ret_error, MR_EINVALID, "key column %d is not in schema \"%.100s\"", column,
                       schema->name);
    const mr_field *field = &schema->fields[column];
    if (field->nullable)
        return mr_fail(ret_error, MR_EINVALID,
                       "key column \"%.100s\" of schema \"%.100s\" must not be nullable", field->name,
                       schema->name);
    if (mr_type_is_nested(field->type))
        return mr_fail(ret_error, MR_EINVALID,
                       "key column \"%.100s\" of schema \"%.100s\" must not be a record, an array or a map",
                       field->name, schema->name);
    return MR_OK;
}

static mr_err append_key_field(const mr_schema *schema, const int *columns, size_t index, json_t *fields,
                               mr_error *ret_error)
{
    mr_err err = check_key_field(schema, columns[index], ret_error);
    if (err != MR_OK)
        return err;
    const mr_field *field = &schema->fields[columns[index]];
    bool named_before = false;
    for (size_t i = 0; i < index; i++)
        named_before = named_before || schema->fields[columns[i]].shape == field->shape;
    json_t *json = json_pack("{s:s, s:o}", "name", field->name, "type", type_json(field, named_before));
    if (json_array_append_new(fields, json) != 0)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a key schema");
    return MR_OK;
}

/* The key schema's text; to be freed. NULL when memory is short. */
static char *key_text(const mr_schema *schema, json_t *fields)
{
    json_t *root =
        json_pack("{s:s, s:s+, s:O}", "type", "record", "name", schema->name, "_key", "fields", fields);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

mr_err mr_schema_key(const mr_schema *schema, const int *columns, size_t count, mr_schema **ret_key,
                     mr_error *ret_error)
{
    json_t *fields = json_array();
    if (fields == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a key schema");
    mr_err err = MR_OK;
    for (size_t i = 0; i < count && err == MR_OK; i++)
        err = append_key_field(schema, columns, i, fields, ret_error);
    char *text = err == MR_OK ? key_text(schema, fields) : NULL;
    json_decref(fields);
    if (err != MR_OK)
        return err;
    if (text == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a key schema");
    err = mr_schema_parse(mr_slice_of(text), NULL, NULL, ret_key, ret_error);
    free(text);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "key of schema \"%.100s\"", schema->name);
}
