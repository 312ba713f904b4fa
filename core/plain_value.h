/* plain_value.h - what a store keeps that does not have Avro's types: values of the plain types null,
 * boolean, int, long, float, double, bytes and string.
 *
 *     date, time, timestamp   ISO 8601 text of one width, which sorts: 2026-11-24, 21:38:15.000,
 *                             2026-11-24T21:38:15.000Z
 *     decimal                 text with all digits behind the point
 *     uuid, enum              text
 *     fixed                   bytes
 *     record, array, map      JSON text: as it is read by core/json_row.h, records with all fields, decimals
 * and times as strings
 */
#ifndef MR_CORE_PLAIN_VALUE_H
#define MR_CORE_PLAIN_VALUE_H

#include "core/arena.h"
#include "core/schema.h"

/* The plain type that values of the field have; never MR_TYPE_NULL. */
mr_type mr_plain_type(const mr_field *field);

/* A value as such; data in `arena`, or where that of `value` is. MR_ETOOLARGE, class MR_DATA: its JSON is
 * over 16 MiB; MR_ENOMEM. */
mr_err mr_plain_value(const mr_field *field, const mr_value *value, mr_arena *arena, mr_value *ret_value,
                      mr_error *ret_error);

/* Appends any value as JSON; fails likewise. */
mr_err mr_value_json(const mr_field *field, const mr_value *value, mr_buf *out, mr_error *ret_error);

#endif
