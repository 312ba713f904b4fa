/* schema.h - the schema of a dataset: an Avro record of primitives and of unions of null and a primitive.
 *
 * Source of the format: Apache Avro 1.11 specification. The text is kept as submitted. Immutable after parse;
 * thread: any.
 */
#ifndef MR_CORE_SCHEMA_H
#define MR_CORE_SCHEMA_H

#include "core/value.h"

typedef struct mr_schema mr_schema;

typedef struct mr_field {
    const char *name;
    mr_type type;     /* never MR_TYPE_NULL */
    bool nullable;    /* a union with null */
    bool null_first;  /* ["null", T]; else [T, "null"] */
    bool has_default; /* default_value is set (type MR_TYPE_NULL: null) */
    mr_value default_value;
} mr_field;

/* Told about what was accepted although it is odd: a logicalType that is unknown or does not fit its type is
 * dropped, as the specification says (one that fits is refused for now, since it would change what values
 * mean). `field` is the path in the document ("fields[14].logicalType"). */
typedef void (*mr_schema_warn)(void *arg, const char *field, const char *text);

/* Refuses with MR_EINVALID, naming field and reason: not JSON (line, column), not a record, no fields,
 * duplicate names or names that differ only by case, bad names, unknown, nested or logical types, wrong
 * defaults, text over 64 KiB, over 1,000 fields. `warn` may be NULL. */
mr_err mr_schema_parse(mr_slice text, mr_schema_warn warn, void *warn_arg, mr_schema **ret_schema,
                       mr_error *ret_error);
void mr_schema_close(mr_schema **schema); /* NULL-safe */

const char *mr_schema_name(const mr_schema *schema);
mr_slice mr_schema_text(const mr_schema *schema);
const mr_field *mr_schema_fields(const mr_schema *schema, size_t *ret_count);
/* Index of the field of that exact name, or -1. */
int mr_schema_find(const mr_schema *schema, mr_slice name);

/* Whether `next` may replace `last`: the same name, and the same fields (type, order of a union, default) in
 * the same order, with nothing but nullable fields added between or after them. Otherwise MR_EEXISTS with the
 * first difference in words. */
mr_err mr_schema_may_follow(const mr_schema *last, const mr_schema *next, mr_error *ret_error);

/* The schema of the key: a record "{name}_key" with the given columns of `schema`, which must not be
 * nullable. */
mr_err mr_schema_key(const mr_schema *schema, const int *columns, size_t count, mr_schema **ret_key,
                     mr_error *ret_error);

#endif
