/* text_value.h - a typed value from the text of a cell. No locale, no allocation. */
#ifndef MR_CORE_TEXT_VALUE_H
#define MR_CORE_TEXT_VALUE_H

#include "core/schema.h"

/* Converts `text` to the type of `field`. Strings and bytes borrow `text`. Fails with MR_EINVALID, class
 * MR_DATA, and a reason such as `column ONUID: "12x" is not an int` or `... is out of range for an int`;
 * strings must be valid UTF-8 without NUL. Numbers: optional sign, decimal; reals also exponent, and NaN,
 * Infinity, -Infinity; booleans: true, false (any case), 1, 0. Blanks around a number are not accepted. */
mr_err mr_value_from_text(const mr_field *field, mr_slice text, mr_value *ret_value, mr_error *ret_error);

/* Whether the bytes are valid UTF-8 (no surrogates, no overlong forms) without a NUL. In utf8.c. */
bool mr_utf8_valid(mr_slice text);

#endif
