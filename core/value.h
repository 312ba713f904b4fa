/* value.h - one typed value, and a row of them: what connectors give and take.
 *
 * A row is an array with one value per field of the schema, in the schema's order. Types are Avro's
 * primitives (Avro 1.11 specification, "Primitive Types").
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
    MR_TYPE_BYTES,   /* data, size */
    MR_TYPE_STRING,  /* data, size: valid UTF-8 */
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

const char *mr_type_name(mr_type type); /* "long" */

#endif
