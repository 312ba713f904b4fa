/* json_row.h - rows of values from JSON objects, one a line; nested values from JSON alone.
 *
 * A member belongs to the field of exactly its name, else to the one whose name differs by case only; others
 * are passed over. A field without a member has its default, else null. What a member must be:
 *
 *     boolean         true, false
 *     int, long       a number without point and exponent, within 32 and 64 bits: 3, but not 3.0 or 1e2
 *     float, double   any number in range; "NaN", "Infinity", "-Infinity"
 *     string, enum    a string
 *     bytes, fixed    a string whose characters U+0000 to U+00FF are the bytes, as in Avro's JSON
 *     date, time, timestamp, uuid   a string, as in a cell of CSV (core/text_value.h)
 *     decimal         a number without exponent, taken digit by digit, or a string that holds one
 *     record, map     an object
 *     array           an array
 *
 * and null where the field may be null. Thread: one at a time.
 */
#ifndef MR_CORE_JSON_ROW_H
#define MR_CORE_JSON_ROW_H

#include "core/arena.h"
#include "core/schema.h"

typedef struct mr_json_rows mr_json_rows;

/* Borrows the schema. */
mr_err mr_json_rows_open(const mr_schema *schema, mr_json_rows **ret_rows, mr_error *ret_error);
void mr_json_rows_close(mr_json_rows **rows); /* NULL-safe */

/* The values of the object in `line`, one per field, in `arena`. Hostile input: MR_EINVALID, class MR_DATA,
 * with a reason that names column and byte, from 1: `column ONUID: "3.5" is not an int, at byte 17`. */
mr_err mr_json_row(mr_json_rows *rows, mr_slice line, mr_arena *arena, const mr_value **ret_values,
                   mr_error *ret_error);

/* The value of one field of the schema from its JSON; fails likewise. */
mr_err mr_json_cell(mr_json_rows *rows, const mr_field *field, mr_slice text, mr_arena *arena,
                    mr_value *ret_value, mr_error *ret_error);

#endif
