#include "core/text_value.h"

#include "core/real_text.h"

#include <stdio.h>
#include <strings.h>

typedef enum verdict { FITS, IS_NONE, OUT_OF_RANGE } verdict;

enum { SHOWN_BYTES = 40 };

/* The start of the text for a message: on one line, printable ASCII, in at most SHOWN_BYTES * 4 + 4
 * characters. */
static void show(mr_slice text, char *out, size_t out_size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size && i < SHOWN_BYTES; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
        used += (size_t)snprintf(out + used, out_size - used, plain ? "%c" : "\\x%02X", c);
    }
    snprintf(out + used, out_size - used, "%s", text.size > SHOWN_BYTES ? "..." : "");
}

static const char *article(mr_type type)
{
    return type == MR_TYPE_INT ? "an" : "a";
}

static mr_err refuse(const mr_field *field, mr_slice text, verdict reason, mr_error *ret_error)
{
    char shown[SHOWN_BYTES * 4 + 4];
    show(text, shown, sizeof shown);
    if (reason == OUT_OF_RANGE)
        mr_fail(ret_error, MR_EINVALID, "column %.100s: \"%s\" is out of range for %s %s", field->name, shown,
                article(field->type), mr_type_name(field->type));
    else if (field->type == MR_TYPE_STRING)
        mr_fail(ret_error, MR_EINVALID, "column %.100s: \"%s\" is not valid UTF-8%s", field->name, shown,
                memchr(text.data, '\0', text.size) != NULL ? ", or holds a NUL" : "");
    else
        mr_fail(ret_error, MR_EINVALID, "column %.100s: \"%s\" is not %s %s", field->name, shown,
                article(field->type), mr_type_name(field->type));
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

/* `limit` is the largest value; the smallest is -limit - 1. */
static verdict integer_of(mr_slice text, uint64_t limit, int64_t *ret_integer)
{
    const char *at = text.data, *end = at + text.size;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return IS_NONE;
    uint64_t value = 0;
    bool fits = true;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)(*at - '0');
        if (digit > 9)
            return IS_NONE;
        if (value > (UINT64_MAX - 9) / 10)
            fits = false;
        value = value * 10 + digit;
    }
    if (!fits || value > limit + (negative ? 1 : 0))
        return OUT_OF_RANGE;
    *ret_integer = negative ? (int64_t)(0 - value) : (int64_t)value;
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

static verdict borrow(mr_slice text, mr_value *value)
{
    if (text.size > INT32_MAX)
        return OUT_OF_RANGE;
    value->size = (uint32_t)text.size;
    value->data = text.data;
    return FITS;
}

mr_err mr_value_from_text(const mr_field *field, mr_slice text, mr_value *ret_value, mr_error *ret_error)
{
    mr_value value = {.type = field->type};
    verdict reason = IS_NONE;
    switch (field->type) {
    case MR_TYPE_NULL:
        break;
    case MR_TYPE_BOOLEAN:
        reason = boolean_of(text, &value.integer);
        break;
    case MR_TYPE_INT:
        reason = integer_of(text, INT32_MAX, &value.integer);
        break;
    case MR_TYPE_LONG:
        reason = integer_of(text, INT64_MAX, &value.integer);
        break;
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        reason = real_of(text, field->type == MR_TYPE_FLOAT, &value.real);
        break;
    case MR_TYPE_STRING:
        reason = mr_utf8_valid(text) ? borrow(text, &value) : IS_NONE;
        break;
    case MR_TYPE_BYTES:
        reason = borrow(text, &value);
        break;
    }
    if (reason != FITS)
        return refuse(field, text, reason, ret_error);
    *ret_value = value;
    return MR_OK;
}
