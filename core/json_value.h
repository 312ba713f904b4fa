/* json_value.h - values of a schema from JSON that json_check has passed. Private to core/. */
#ifndef MR_CORE_JSON_VALUE_H
#define MR_CORE_JSON_VALUE_H

#include "core/arena.h"
#include "core/schema.h"

/* All nested values of one row are at most so many bytes as Avro encodes them: what has a default may be much
 * shorter in JSON. */
enum { JSON_NESTED_BYTES_MAX = 4 * 1024 * 1024 };

typedef struct json_member {
    mr_slice value; /* its JSON; data NULL: none */
    bool exact;     /* its name is that of the field, also in case */
} json_member;

/* Where a value stands, for messages: "address.lines[2]". */
typedef struct json_place {
    const struct json_place *parent; /* NULL: a column */
    mr_slice name;                   /* of a member or a key; data NULL: an element of an array */
    size_t index;
} json_place;

typedef struct json_values {
    mr_slice text;        /* all of it, for the byte in messages */
    json_member *members; /* of the records that are being read, the outermost first */
    size_t used;
    mr_buf name;      /* of a member with escapes */
    mr_buf encoded;   /* nested values of the row */
    mr_arena scratch; /* of what is encoded at once */
} json_values;

mr_err json_values_open(const mr_schema *schema, json_values *values, mr_error *ret_error);
void json_values_fini(json_values *values);
/* A new text begins. */
void json_values_start(json_values *values, mr_slice text);

/* The members of the object `json` that belong to `fields`, on values->members from `used` on; the caller
 * takes them off again. `place` is that of the object; NULL: of the row. */
mr_err json_find_members(json_values *values, const mr_field *fields, size_t count, mr_slice json,
                         const json_place *place, mr_error *ret_error);
/* The value of a field from its JSON, or, when there is none (data NULL), its default or null. Data is in
 * `arena` or the schema. */
mr_err json_convert(json_values *values, const mr_field *field, mr_slice json, const json_place *place,
                    mr_arena *arena, mr_value *ret_value, mr_error *ret_error);

/* "an object". */
const char *json_kind(mr_slice json);

#endif
