/* value.h - one typed value, and a row of them: what connectors give and take.
 *
 * A row is an array with one value per field of the schema, in the schema's order. Types are those of the
 * Avro 1.11 specification; what a logical type makes of a value is said at mr_logical (core/schema.h).
 *
 * A record, an array or a map is one value: its bytes as Avro encodes it, complete and checked. So it costs a
 * row nothing to carry it, and an encoder no more than a copy. Who stores it takes its text
 * (core/plain_value.h), or goes through the bytes by the field's shape (core/avro_take.h).
 */
#ifndef MR_CORE_VALUE_H
#define MR_CORE_VALUE_H

#include "core/slice.h"

typedef enum mr_type {
    MR_TYPE_NULL,
    MR_TYPE_BOOLEAN, /* integer 0 or 1 */
    MR_TYPE_INT,     /* integer, 32 bits */
    MR_TYPE_LONG,    /* integer, 64 bits */
    MR_TYPE_FLOAT,   /* real */
    MR_TYPE_DOUBLE,  /* real */
    MR_TYPE_ENUM,    /* integer, index of the symbol */
    MR_TYPE_BYTES,   /* data, size; so are all that follow */
    MR_TYPE_STRING,  /* valid UTF-8 */
    MR_TYPE_FIXED,   /* as many bytes as the type has */
    MR_TYPE_RECORD,  /* as encoded, these three */
    MR_TYPE_ARRAY,
    MR_TYPE_MAP,
} mr_type;

typedef struct mr_value {
    uint32_t type; /* mr_type */
    uint32_t size; /* of data */
    union {
        int64_t integer;
        double real;
        const char *data; /* borrowed; the function that hands the value over says for how long */
    };
} mr_value;

static inline bool mr_type_is_nested(mr_type type)
{
    return type >= MR_TYPE_RECORD;
}

const char *mr_type_name(mr_type type); /* "long" */

#endif
