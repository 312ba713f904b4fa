#include "core/real_text.h"

#include "core/words.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DIGITS_EXACT = 19,   /* decimal digits that always fit 64 bits */
    DIGITS_KEPT = 800,   /* no halfway point between doubles has more than 767 */
    EXPONENT_FAR = 99999 /* far beyond any double */
};

static const int64_t EXPONENT_MAX = INT64_C(1000000000000000); /* more than a text has digits */

/* What the text says: digits, as an integer, times a power of ten. */
typedef struct decimal {
    bool negative;
    uint64_t mantissa;               /* the digits, unless there are more than DIGITS_EXACT */
    int digit_count;                 /* without leading zeros; stops above DIGITS_EXACT */
    int64_t exponent;                /* of ten */
    const char *digits, *digits_end; /* where they stand, perhaps with a point between */
} decimal;

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline const char *scan_digits(const char *at, const char *end, decimal *d)
{
    for (; at < end && is_digit(*at); at++) {
        if (d->digit_count < DIGITS_EXACT)
            d->mantissa = d->mantissa * 10 + (uint64_t)(*at - '0');
        d->digit_count += d->digit_count <= DIGITS_EXACT && (d->digit_count > 0 || *at != '0');
    }
    return at;
}

static const char *scan_exponent(const char *at, const char *end, int64_t *ret_exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    int64_t exponent = 0;
    for (; at < end && is_digit(*at); at++)
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*at - '0');
    *ret_exponent = negative ? -exponent : exponent;
    return at;
}

static bool scan_decimal(mr_slice text, decimal *d)
{
    const char *at = text.data, *end = at + text.size;
    *d = (decimal){.negative = at < end && *at == '-'};
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    d->digits = at;
    const char *point = at = scan_digits(at, end, d);
    bool any = point > d->digits;
    if (at < end && *at == '.') {
        at = scan_digits(at + 1, end, d);
        any = any || at > point + 1;
        d->exponent = -(int64_t)(at - point - 1);
    }
    d->digits_end = at;
    if (!any)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        int64_t exponent;
        at = scan_exponent(at + 1, end, &exponent);
        if (at == NULL)
            return false;
        d->exponent += exponent;
    }
    return at == end;
}

/* The same for what most texts are: at most 8 digits, one of them perhaps a point. */
static inline bool scan_short(mr_slice text, decimal *d)
{
    const char *at = text.data, *end = at + text.size;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    size_t size = (size_t)(end - at);
    if (size == 0 || size > 8)
        return false;
    uint64_t word = word_fill_zeros(word_load_short(at, size), size);
    size_t point = word_find(word, '.');
    int64_t exponent = 0;
    if (point < 8) { /* taken out: the digits before it move up */
        uint64_t before = (UINT64_C(1) << (8 * point)) - 1;
        uint64_t behind = point < 7 ? UINT64_MAX << (8 * (point + 1)) : 0;
        word = (word & behind) | (word & before) << 8 | '0';
        exponent = (int64_t)point - 7;
    }
    if (!word_is_digits(word) || (point < 8 && size == 1))
        return false;
    *d = (decimal){.negative = negative,
                   .mantissa = word_number(word),
                   .exponent = exponent,
                   .digits = at,
                   .digits_end = end};
    return true;
}

/* Where mantissa and power of ten are both exact, one operation rounds correctly (Clinger 1990). */
static bool exact_double(const decimal *d, double *ret_real)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->digit_count > DIGITS_EXACT || d->mantissa > UINT64_C(1) << 53 || d->exponent < -22 ||
        d->exponent > 22)
        return false;
    double real = (double)d->mantissa;
    real = d->exponent < 0 ? real / powers[-d->exponent] : real * powers[d->exponent];
    *ret_real = d->negative ? -real : real;
    return true;
}

static bool exact_float(const decimal *d, double *ret_real)
{
    static const float powers[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    if (d->digit_count > DIGITS_EXACT || d->mantissa > UINT64_C(1) << 24 || d->exponent < -10 ||
        d->exponent > 10)
        return false;
    float real = (float)d->mantissa;
    real = d->exponent < 0 ? real / powers[-d->exponent] : real * powers[d->exponent];
    *ret_real = (double)(d->negative ? -real : real);
    return true;
}

/* By the C library, from a text of bounded length: digits beyond those kept matter only by not being zero. */
static double rounded(const decimal *d, bool single)
{
    char text[DIGITS_KEPT + 40];
    size_t size = 0;
    int64_t exponent = d->exponent;
    bool dropped = false;
    for (const char *at = d->digits; at < d->digits_end; at++) {
        if (*at == '.' || (*at == '0' && size == 0))
            continue;
        if (size < DIGITS_KEPT) {
            text[size++] = *at;
        } else {
            dropped = dropped || *at != '0';
            exponent++;
        }
    }
    if (dropped) {
        text[size++] = '1';
        exponent--;
    }
    if (exponent > EXPONENT_FAR)
        exponent = EXPONENT_FAR;
    if (exponent < -EXPONENT_FAR)
        exponent = -EXPONENT_FAR;
    snprintf(text + size, sizeof text - size, "%se%d", size == 0 ? "0" : "", (int)exponent);
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's own static one: cannot fail */
    double real = single ? (double)strtof_l(text, NULL, locale) : strtod_l(text, NULL, locale);
    freelocale(locale);
    return d->negative ? -real : real;
}

static bool special(mr_slice text, double *ret_real)
{
    if (mr_slice_equal(text, MR_SLICE_LITERAL("NaN")))
        *ret_real = (double)NAN;
    else if (mr_slice_equal(text, MR_SLICE_LITERAL("Infinity")))
        *ret_real = (double)INFINITY;
    else if (mr_slice_equal(text, MR_SLICE_LITERAL("-Infinity")))
        *ret_real = (double)-INFINITY;
    else
        return false;
    return true;
}

real_verdict real_from_text(mr_slice text, bool single, double *ret_real)
{
    decimal d;
    if (!scan_short(text, &d) && !scan_decimal(text, &d))
        return special(text, ret_real) ? REAL_FITS : REAL_IS_NONE;
    if (single ? exact_float(&d, ret_real) : exact_double(&d, ret_real))
        return REAL_FITS;
    double real = rounded(&d, single);
    if (isinf(real))
        return REAL_OUT_OF_RANGE;
    *ret_real = real;
    return REAL_FITS;
}
