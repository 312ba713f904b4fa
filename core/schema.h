/* schema.h - the schema of a dataset: an Avro record. Of unions, those of null and one type are known:
 * whatever may be null. No type holds itself, so every value has a bounded depth.
 *
 * Source of the format: Apache Avro 1.11 specification. The text is kept as submitted. Immutable after parse;
 * thread: any.
 */
#ifndef MR_CORE_SCHEMA_H
#define MR_CORE_SCHEMA_H

#include "core/value.h"

typedef struct mr_schema mr_schema;

/* What a value stands for, beyond its type. */
typedef enum mr_logical {
    MR_LOGICAL_NONE,
    MR_LOGICAL_DATE,             /* int: days since 1970-01-01 */
    MR_LOGICAL_TIME_MILLIS,      /* int: since midnight, within the day */
    MR_LOGICAL_TIME_MICROS,      /* long */
    MR_LOGICAL_TIMESTAMP_MILLIS, /* long: since 1970-01-01T00:00Z, these three */
    MR_LOGICAL_TIMESTAMP_MICROS,
    MR_LOGICAL_TIMESTAMP_NANOS,
    MR_LOGICAL_LOCAL_TIMESTAMP_MILLIS, /* long: the same, in whatever zone the reader has in mind */
    MR_LOGICAL_LOCAL_TIMESTAMP_MICROS,
    MR_LOGICAL_LOCAL_TIMESTAMP_NANOS,
    MR_LOGICAL_DECIMAL, /* bytes, fixed: number times 10^scale, two's complement, big endian */
    MR_LOGICAL_UUID,    /* string: 8-4-4-4-12 lower-case hexadecimal digits */
} mr_logical;

typedef struct mr_shape mr_shape;

typedef struct mr_field {
    const char *name; /* of an element of an array or map: "" */
    mr_type type;     /* never MR_TYPE_NULL */
    mr_logical logical;
    uint32_t precision, scale; /* of a decimal */
    const mr_shape *shape;     /* of enum, fixed, record, array, map; else NULL */
    bool nullable;             /* a union with null */
    bool null_first;           /* ["null", T]; else [T, "null"] */
    bool has_default;          /* default_value is set (type MR_TYPE_NULL: null) */
    mr_value default_value;
} mr_field;

/* What is inside a type. Types of one name share it. */
struct mr_shape {
    const char *name;           /* full name of enum, fixed, record; else "" */
    uint32_t size;              /* of fixed, in bytes */
    const char *const *symbols; /* of enum */
    const mr_field *fields;     /* of record; of array and map: one, the element */
    size_t count;               /* of symbols or fields */
    size_t nodes;               /* types in it, all told */
    int depth;                  /* levels of types in it */
};

enum { MR_SCHEMA_DEPTH_MAX = 16, MR_SCHEMA_NODES_MAX = 4096 };

/* Told about what was accepted although it is odd: a logicalType that is unknown or does not fit its type is
 * dropped, as the specification says; one that stands beside the type instead of in it is taken all the same.
 * `field` is the path in the document ("fields[14].logicalType"). */
typedef void (*mr_schema_warn)(void *arg, const char *field, const char *text);

/* Refuses with MR_EINVALID, naming field and reason: not JSON (line, column), not a record, no fields,
 * duplicate names or names that differ only by case, bad names, unknown types, other unions, types that hold
 * themselves, wrong or incomplete defaults, text over 64 KiB, over 1,000 fields, over MR_SCHEMA_DEPTH_MAX
 * levels or MR_SCHEMA_NODES_MAX types. `warn` may be NULL. */
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

/* The type for people: "long", "timestamp-millis", "decimal(10, 2)", "enum Colour"; `out` is for those that
 * are put together. */
enum { MR_TYPE_WORDS_BYTES = 120 };
const char *mr_type_words(const mr_field *field, char out[MR_TYPE_WORDS_BYTES]);

/* The schema of the key: a record "{name}_key" with the given columns of `schema`, which must be neither
 * nullable nor nested. */
mr_err mr_schema_key(const mr_schema *schema, const int *columns, size_t count, mr_schema **ret_key,
                     mr_error *ret_error);

#endif
