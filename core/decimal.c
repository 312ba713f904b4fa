#include "core/decimal.h"

#include <math.h>

/* The magnitude of a number, big endian. */
typedef struct magnitude {
    unsigned char bytes[DECIMAL_BYTES_MAX];
} magnitude;

/* Precision bounds the digits, so nothing is carried out at the top. */
static void times_ten_plus(magnitude *number, unsigned digit)
{
    unsigned carry = digit;
    for (int i = DECIMAL_BYTES_MAX - 1; i >= 0; i--) {
        unsigned product = number->bytes[i] * 10U + carry;
        number->bytes[i] = (unsigned char)product;
        carry = product >> 8;
    }
}

/* Returns the remainder. */
static unsigned divide_by_ten(magnitude *number)
{
    unsigned rest = 0;
    for (int i = 0; i < DECIMAL_BYTES_MAX; i++) {
        unsigned dividend = rest << 8 | number->bytes[i];
        number->bytes[i] = (unsigned char)(dividend / 10);
        rest = dividend % 10;
    }
    return rest;
}

static void negate(magnitude *number)
{
    unsigned carry = 1;
    for (int i = DECIMAL_BYTES_MAX - 1; i >= 0; i--) {
        unsigned sum = (unsigned char)~number->bytes[i] + carry;
        number->bytes[i] = (unsigned char)sum;
        carry = sum >> 8;
    }
}

typedef struct parts {
    bool negative;
    mr_slice whole; /* digits without leading zeros */
    mr_slice rest;  /* digits behind the point, without zeros at the end */
} parts;

static mr_slice take_digits(const char **at, const char *end)
{
    const char *start = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    return (mr_slice){start, (size_t)(*at - start)};
}

static bool split(mr_slice text, parts *ret_parts)
{
    const char *at = text.data, *end = at + text.size;
    parts p = {.negative = at < end && *at == '-'};
    at += at < end && (*at == '-' || *at == '+');
    p.whole = take_digits(&at, end);
    p.rest = (mr_slice){at, 0};
    size_t digits = p.whole.size;
    if (at < end && *at == '.') {
        at++;
        p.rest = take_digits(&at, end);
        digits += p.rest.size;
    }
    if (at != end || digits == 0)
        return false;
    while (p.whole.size > 0 && p.whole.data[0] == '0')
        p.whole = (mr_slice){p.whole.data + 1, p.whole.size - 1};
    while (p.rest.size > 0 && p.rest.data[p.rest.size - 1] == '0')
        p.rest.size--;
    *ret_parts = p;
    return true;
}

/* As few bytes as keep the sign. */
static size_t put_shortest(const magnitude *number, char *out)
{
    int first = 0;
    while (first < DECIMAL_BYTES_MAX - 1) {
        unsigned char byte = number->bytes[first];
        bool next_negative = (number->bytes[first + 1] & 0x80) != 0;
        if (!(byte == 0 && !next_negative) && !(byte == 0xFF && next_negative))
            break;
        first++;
    }
    memcpy(out, number->bytes + first, (size_t)(DECIMAL_BYTES_MAX - first));
    return (size_t)(DECIMAL_BYTES_MAX - first);
}

decimal_verdict decimal_from_text(mr_slice text, uint32_t precision, uint32_t scale,
                                  char ret_bytes[DECIMAL_BYTES_MAX], size_t *ret_size)
{
    parts p;
    magnitude number = {{0}};
    if (!split(text, &p))
        return DECIMAL_IS_NONE;
    if (p.rest.size > scale)
        return DECIMAL_TOO_FINE;
    if (p.whole.size > precision - scale)
        return DECIMAL_TOO_LARGE;
    for (size_t i = 0; i < p.whole.size; i++)
        times_ten_plus(&number, (unsigned)(p.whole.data[i] - '0'));
    for (size_t i = 0; i < scale; i++)
        times_ten_plus(&number, i < p.rest.size ? (unsigned)(p.rest.data[i] - '0') : 0);
    if (p.negative)
        negate(&number);
    *ret_size = put_shortest(&number, ret_bytes);
    return DECIMAL_FITS;
}

static bool load(mr_slice bytes, magnitude *ret_number, bool *ret_negative)
{
    if (bytes.size == 0)
        return false;
    const unsigned char *from = (const unsigned char *)bytes.data;
    size_t size = bytes.size;
    bool negative = (from[0] & 0x80) != 0;
    unsigned char sign = negative ? 0xFF : 0;
    for (; size > DECIMAL_BYTES_MAX; from++, size--)
        if (from[0] != sign || ((from[1] & 0x80) != 0) != negative)
            return false;
    memset(ret_number->bytes, sign, sizeof ret_number->bytes);
    memcpy(ret_number->bytes + DECIMAL_BYTES_MAX - size, from, size);
    if (negative)
        negate(ret_number);
    *ret_negative = negative;
    return true;
}

bool decimal_to_text(mr_slice bytes, uint32_t precision, uint32_t scale, char ret_text[DECIMAL_TEXT_BYTES])
{
    static const magnitude zero;
    magnitude number;
    bool negative;
    char digits[DECIMAL_PRECISION_MAX]; /* the last first */
    uint32_t count = 0;
    if (!load(bytes, &number, &negative))
        return false;
    while (memcmp(&number, &zero, sizeof number) != 0) {
        if (count == precision)
            return false;
        digits[count++] = (char)('0' + divide_by_ten(&number));
    }
    while (count <= scale && count < DECIMAL_PRECISION_MAX)
        digits[count++] = '0';
    char *to = ret_text;
    if (negative)
        *to++ = '-';
    if (count <= scale) /* as many digits as there is room for, all behind the point */
        *to++ = '0';
    while (count > 0) {
        if (count == scale)
            *to++ = '.';
        *to++ = digits[--count];
    }
    *to = '\0';
    return true;
}

int64_t decimal_digits_of(uint32_t bytes)
{
    return (int64_t)floor((8.0 * bytes - 1) * log10(2.0));
}
