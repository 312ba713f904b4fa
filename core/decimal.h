/* decimal.h - exact decimal numbers between their text and Avro's bytes: number times 10^scale in two's
 * complement, big endian (Avro 1.11, "Decimal"). Private to core/.
 */
#ifndef MR_CORE_DECIMAL_H
#define MR_CORE_DECIMAL_H

#include "core/slice.h"

enum {
    DECIMAL_PRECISION_MAX = 76,
    DECIMAL_BYTES_MAX = 32, /* hold 76 digits and a sign */
    DECIMAL_FIXED_MAX = 64,
    DECIMAL_TEXT_BYTES = DECIMAL_PRECISION_MAX + 4, /* sign, point, zero before it, NUL */
};

typedef enum decimal_verdict {
    DECIMAL_FITS,
    DECIMAL_IS_NONE,
    DECIMAL_TOO_LARGE, /* too many digits before the point */
    DECIMAL_TOO_FINE,  /* too many behind it, other than zeros at the end */
} decimal_verdict;

/* `text` is an optional sign and digits with at most one point, without exponent. The bytes are as few as
 * hold the number. */
decimal_verdict decimal_from_text(mr_slice text, uint32_t precision, uint32_t scale,
                                  char ret_bytes[DECIMAL_BYTES_MAX], size_t *ret_size);

/* With exactly `scale` digits behind the point. False: the bytes are none, or a number of more digits than
 * precision. */
bool decimal_to_text(mr_slice bytes, uint32_t precision, uint32_t scale, char ret_text[DECIMAL_TEXT_BYTES]);

/* Digits that any number of so many bytes' range has: floor(log10(2^(8 * bytes - 1) - 1)). */
int64_t decimal_digits_of(uint32_t bytes);

#endif
