/* text_value.h - a typed value from the text of a cell. No locale, no allocation. */
#ifndef MR_CORE_TEXT_VALUE_H
#define MR_CORE_TEXT_VALUE_H

#include "core/arena.h"
#include "core/schema.h"

/* Converts `text` to the type of `field`. Strings, bytes and fixed borrow `text`; what a logical type makes
 * of it, and nested values (which are JSON, core/json_value.h), go into `arena`. Fails with MR_EINVALID,
 * class MR_DATA, and a reason such as `column ONUID: "12x" is not an int` or `... is out of range for an
 * int`; strings must be valid UTF-8 without NUL. Numbers: optional sign, decimal; reals also exponent, and
 * NaN, Infinity, -Infinity; booleans: true, false (any case), 1, 0. Blanks around a number are not accepted.
 * Dates and times: core/iso_time.h; decimals: digits with a point, within precision and scale; UUIDs in any
 * case; enums by symbol. Not for nested types. */
mr_err mr_value_from_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                          mr_error *ret_error);

/* The same, with the reason alone: `"12x" is not an int`. MR_OK, MR_EINVALID, MR_ENOMEM. */
enum { MR_MISFIT_BYTES = 320 };
mr_err mr_value_fits_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                          char ret_misfit[MR_MISFIT_BYTES]);
/* The start of the text for a message: on one line, printable ASCII, in quotes. */
enum { MR_SHOWN_BYTES = 170 };
const char *mr_shown_text(mr_slice text, char out[MR_SHOWN_BYTES]);

/* Whether the bytes are valid UTF-8 (no surrogates, no overlong forms) without a NUL. In utf8.c. */
bool mr_utf8_valid(mr_slice text);

#endif
