#include "core/text_value.h"

#include "core/logical.h"
#include "core/real_text.h"
#include "core/words.h"

#include <stdio.h>
#include <strings.h>

typedef enum verdict { FITS, IS_NONE, OUT_OF_RANGE, OTHER_SIZE } verdict;

enum { SHOWN_BYTES = 40 };

const char *mr_shown_text(mr_slice text, char out[MR_SHOWN_BYTES])
{
    size_t used = 1;
    out[0] = '"';
    for (size_t i = 0; i < text.size && i < SHOWN_BYTES; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
        used += (size_t)snprintf(out + used, MR_SHOWN_BYTES - used, plain ? "%c" : "\\x%02X", c);
    }
    snprintf(out + used, MR_SHOWN_BYTES - used, "%s\"", text.size > SHOWN_BYTES ? "..." : "");
    return out;
}

static const char *article(mr_type type)
{
    return type == MR_TYPE_INT ? "an" : "a";
}

__attribute__((cold, noinline)) static void explain(const mr_field *field, mr_slice text, verdict reason,
                                                    char ret_misfit[MR_MISFIT_BYTES])
{
    char shown[MR_SHOWN_BYTES];
    mr_shown_text(text, shown);
    if (reason == OTHER_SIZE)
        snprintf(ret_misfit, MR_MISFIT_BYTES, "%s has %zu bytes, not %u", shown, text.size,
                 field->shape->size);
    else if (field->type == MR_TYPE_ENUM)
        snprintf(ret_misfit, MR_MISFIT_BYTES, "%.120s is no symbol of enum %.80s", shown, field->shape->name);
    else if (reason == OUT_OF_RANGE)
        snprintf(ret_misfit, MR_MISFIT_BYTES, "%s is out of range for %s %s", shown, article(field->type),
                 mr_type_name(field->type));
    else if (field->type == MR_TYPE_STRING)
        snprintf(ret_misfit, MR_MISFIT_BYTES, "%s is not valid UTF-8%s", shown,
                 memchr(text.data, '\0', text.size) != NULL ? ", or holds a NUL" : "");
    else
        snprintf(ret_misfit, MR_MISFIT_BYTES, "%s is not %s %s", shown, article(field->type),
                 mr_type_name(field->type));
}

/* The number that the digits say; more than 64 bits hold is UINT64_MAX. False when some are no digits. */
static bool long_number_of(const char *at, const char *end, uint64_t *ret_number)
{
    uint64_t number = 0;
    bool fits = true;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)(*at - '0');
        if (digit > 9)
            return false;
        fits = fits && number <= (UINT64_MAX - 9) / 10;
        number = number * 10 + digit;
    }
    *ret_number = fits ? number : UINT64_MAX;
    return true;
}

static inline bool number_of(const char *at, const char *end, uint64_t *ret_number)
{
    size_t size = (size_t)(end - at);
    if (size == 0)
        return false;
    if (size > 16)
        return long_number_of(at, end, ret_number);
    size_t last = size < 8 ? size : 8;
    uint64_t low = word_fill_zeros(word_load_short(end - last, last), last);
    uint64_t number = word_number(low);
    bool digits = word_is_digits(low);
    if (size > 8) {
        uint64_t high = word_fill_zeros(word_load_short(at, size - 8), size - 8);
        number += word_number(high) * 100000000;
        digits = digits && word_is_digits(high);
    }
    *ret_number = number;
    return digits;
}

/* `limit` is the largest value; the smallest is -limit - 1. */
static verdict integer_of(mr_slice text, uint64_t limit, int64_t *ret_integer)
{
    const char *at = text.data, *end = at + text.size;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    uint64_t number;
    if (!number_of(at, end, &number))
        return IS_NONE;
    if (number > limit + (negative ? 1 : 0))
        return OUT_OF_RANGE;
    *ret_integer = negative ? (int64_t)(0 - number) : (int64_t)number;
    return FITS;
}

static verdict boolean_of(mr_slice text, int64_t *ret_integer)
{
    if ((text.size == 4 && strncasecmp(text.data, "true", 4) == 0) || (text.size == 1 && *text.data == '1'))
        *ret_integer = 1;
    else if ((text.size == 5 && strncasecmp(text.data, "false", 5) == 0) ||
             (text.size == 1 && *text.data == '0'))
        *ret_integer = 0;
    else
        return IS_NONE;
    return FITS;
}

static verdict real_of(mr_slice text, bool single, double *ret_real)
{
    switch (real_from_text(text, single, ret_real)) {
    case REAL_FITS:
        return FITS;
    case REAL_OUT_OF_RANGE:
        return OUT_OF_RANGE;
    case REAL_IS_NONE:
        break;
    }
    return IS_NONE;
}

static verdict borrow(mr_slice text, mr_value *ret_value)
{
    if (text.size > INT32_MAX)
        return OUT_OF_RANGE;
    ret_value->size = (uint32_t)text.size;
    ret_value->data = text.data;
    return FITS;
}

static verdict symbol_of(const mr_shape *shape, mr_slice text, int64_t *ret_integer)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (mr_slice_equal(text, mr_slice_of(shape->symbols[i]))) {
            *ret_integer = (int64_t)i;
            return FITS;
        }
    }
    return IS_NONE;
}

/* Sets what *ret_value holds, and only when the text fits. Members are written where they stay: a
 * value that is put together aside and copied waits for its parts to be stored. */
static inline verdict convert(const mr_field *field, mr_slice text, mr_value *ret_value)
{
    const mr_type type = field->type;
    switch (type) {
    case MR_TYPE_NULL:
        return IS_NONE;
    case MR_TYPE_BOOLEAN:
        return boolean_of(text, &ret_value->integer);
    case MR_TYPE_INT:
        return integer_of(text, INT32_MAX, &ret_value->integer);
    case MR_TYPE_LONG:
        return integer_of(text, INT64_MAX, &ret_value->integer);
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        return real_of(text, type == MR_TYPE_FLOAT, &ret_value->real);
    case MR_TYPE_STRING:
        return mr_utf8_valid(text) ? borrow(text, ret_value) : IS_NONE;
    case MR_TYPE_BYTES:
        return borrow(text, ret_value);
    case MR_TYPE_ENUM:
        return symbol_of(field->shape, text, &ret_value->integer);
    case MR_TYPE_FIXED:
        return text.size == field->shape->size ? borrow(text, ret_value) : OTHER_SIZE;
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        break;
    }
    return IS_NONE;
}

__attribute__((cold, noinline)) static mr_err refuse(const mr_field *field, mr_err err, const char *misfit,
                                                     mr_error *ret_error)
{
    if (err == MR_ENOMEM)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a value");
    mr_fail(ret_error, MR_EINVALID, "column %.100s: %s", field->name, misfit);
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

static inline mr_err take_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                               char ret_misfit[MR_MISFIT_BYTES])
{
    if (field->logical != MR_LOGICAL_NONE)
        return logical_from_text(field, text, arena, ret_value, ret_misfit);
    verdict reason = convert(field, text, ret_value);
    if (reason != FITS) {
        explain(field, text, reason, ret_misfit);
        return MR_EINVALID;
    }
    ret_value->type = field->type;
    if (field->type < MR_TYPE_BYTES)
        ret_value->size = 0;
    return MR_OK;
}

mr_err mr_value_from_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                          mr_error *ret_error)
{
    char misfit[MR_MISFIT_BYTES];
    mr_err err = take_text(field, text, arena, ret_value, misfit);
    return err == MR_OK ? MR_OK : refuse(field, err, misfit, ret_error);
}

mr_err mr_value_fits_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                          char ret_misfit[MR_MISFIT_BYTES])
{
    return take_text(field, text, arena, ret_value, ret_misfit);
}
