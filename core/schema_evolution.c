/* schema_evolution.c - schemas from schemas: the next version, the key. */
#include "core/schema_impl.h"

#include <jansson.h>
#include <math.h>
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
    switch ((mr_type)x->type) {
    case MR_TYPE_NULL:
        return true;
    case MR_TYPE_BOOLEAN:
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        return x->integer == y->integer;
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        return memcmp(&x->real, &y->real, sizeof x->real) == 0;
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
        return mr_slice_equal((mr_slice){x->data, x->size}, (mr_slice){y->data, y->size});
    }
    return false;
}

static const char *type_words(const mr_field *field, char *out, size_t out_size)
{
    const char *type = mr_type_name(field->type);
    if (!field->nullable)
        return type;
    snprintf(out, out_size, field->null_first ? "[null, %s]" : "[%s, null]", type);
    return out;
}

static mr_err check_same(const mr_field *last, const mr_field *next, mr_error *ret_error)
{
    char was[40], is[40];
    if (last->type != next->type || last->nullable != next->nullable || last->null_first != next->null_first)
        return mr_fail(ret_error, MR_EEXISTS, "field \"%.100s\" was %s and cannot become %s", last->name,
                       type_words(last, was, sizeof was), type_words(next, is, sizeof is));
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

static mr_err append_key_field(const mr_schema *schema, int column, json_t *fields, mr_error *ret_error)
{
    if (column < 0 || (size_t)column >= schema->field_count)
        return mr_fail(ret_error, MR_EINVALID, "key column %d is not in schema \"%.100s\"", column,
                       schema->name);
    const mr_field *field = &schema->fields[column];
    if (field->nullable)
        return mr_fail(ret_error, MR_EINVALID,
                       "key column \"%.100s\" of schema \"%.100s\" must not be nullable", field->name,
                       schema->name);
    json_t *json = json_pack("{s:s, s:s}", "name", field->name, "type", mr_type_name(field->type));
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
        err = append_key_field(schema, columns[i], fields, ret_error);
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
