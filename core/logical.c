#include "core/logical.h"

#include "core/decimal.h"
#include "core/iso_time.h"

#include <ctype.h>
#include <stdio.h>

enum { UUID_BYTES = 36, DAY_SECONDS = 86400 };

_Static_assert((int)LOGICAL_TEXT_BYTES >= (int)DECIMAL_TEXT_BYTES &&
                   (int)LOGICAL_TEXT_BYTES >= (int)ISO_TEXT_BYTES,
               "each text has room");

/* Decimal places of a second. */
static int digits_of(mr_logical logical)
{
    switch (logical) {
    case MR_LOGICAL_TIME_MILLIS:
    case MR_LOGICAL_TIMESTAMP_MILLIS:
    case MR_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        return 3;
    case MR_LOGICAL_TIMESTAMP_NANOS:
    case MR_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        return 9;
    default:
        return 6;
    }
}

static bool is_zoned(mr_logical logical)
{
    return logical == MR_LOGICAL_TIMESTAMP_MILLIS || logical == MR_LOGICAL_TIMESTAMP_MICROS ||
           logical == MR_LOGICAL_TIMESTAMP_NANOS;
}

static const char *form_of(mr_logical logical)
{
    switch (logical) {
    case MR_LOGICAL_DATE:
        return "a date, as 2026-11-24";
    case MR_LOGICAL_TIME_MILLIS:
    case MR_LOGICAL_TIME_MICROS:
        return "a time, as 21:38:15";
    case MR_LOGICAL_TIMESTAMP_MILLIS:
    case MR_LOGICAL_TIMESTAMP_MICROS:
    case MR_LOGICAL_TIMESTAMP_NANOS:
        return "a timestamp, as 2026-11-24T21:38:15Z";
    case MR_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
    case MR_LOGICAL_LOCAL_TIMESTAMP_MICROS:
    case MR_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        return "a timestamp without zone, as 2026-11-24T21:38:15";
    case MR_LOGICAL_DECIMAL:
        return "a decimal number";
    case MR_LOGICAL_UUID:
        return "a UUID, as 123e4567-e89b-12d3-a456-426614174000";
    case MR_LOGICAL_NONE:
        break;
    }
    return "?";
}

static mr_err misfit(mr_slice text, const char *is, const char *what, char ret_misfit[MR_MISFIT_BYTES])
{
    char shown[MR_SHOWN_BYTES];
    snprintf(ret_misfit, MR_MISFIT_BYTES, "%.120s %s %.80s", mr_shown_text(text, shown), is, what);
    return MR_EINVALID;
}

static mr_err time_from_text(const mr_field *field, mr_slice text, mr_value *ret_value,
                             char ret_misfit[MR_MISFIT_BYTES])
{
    int digits = digits_of(field->logical);
    int64_t number = 0;
    iso_verdict verdict;
    if (field->logical == MR_LOGICAL_DATE)
        verdict = iso_read_date(text, &number);
    else if (field->logical == MR_LOGICAL_TIME_MILLIS || field->logical == MR_LOGICAL_TIME_MICROS)
        verdict = iso_read_time(text, digits, &number);
    else
        verdict = iso_read_timestamp(text, digits, is_zoned(field->logical), &number);
    switch (verdict) {
    case ISO_IS_NONE:
        return misfit(text, "is not", form_of(field->logical), ret_misfit);
    case ISO_TOO_FINE:
        return misfit(text, "is finer than",
                      digits == 3   ? "a millisecond"
                      : digits == 6 ? "a microsecond"
                                    : "a nanosecond",
                      ret_misfit);
    case ISO_OUT_OF_RANGE:
        return misfit(text, "is out of range for", "64 bits of nanoseconds", ret_misfit);
    case ISO_FITS:
        break;
    }
    *ret_value = (mr_value){.type = field->type, .integer = number};
    return MR_OK;
}

static mr_err decimal_misfit(const mr_field *field, mr_slice text, decimal_verdict verdict,
                             char ret_misfit[MR_MISFIT_BYTES])
{
    char words[MR_TYPE_WORDS_BYTES];
    if (verdict == DECIMAL_IS_NONE)
        return misfit(text, "is not", form_of(field->logical), ret_misfit);
    return misfit(
        text, verdict == DECIMAL_TOO_FINE ? "has more digits behind the point than" : "is out of range for",
        mr_type_words(field, words), ret_misfit);
}

static mr_err decimal_value(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                            char ret_misfit[MR_MISFIT_BYTES])
{
    char bytes[DECIMAL_BYTES_MAX];
    size_t size = 0;
    decimal_verdict verdict = decimal_from_text(text, field->precision, field->scale, bytes, &size);
    if (verdict != DECIMAL_FITS)
        return decimal_misfit(field, text, verdict, ret_misfit);
    /* precision says that a fixed size has room; what is more repeats the sign */
    size_t whole = field->type == MR_TYPE_FIXED ? field->shape->size : size;
    char *copy = mr_arena_alloc(arena, whole);
    if (copy == NULL)
        return MR_ENOMEM;
    memset(copy, (bytes[0] & 0x80) != 0 ? 0xFF : 0, whole - size);
    memcpy(copy + whole - size, bytes, size);
    *ret_value = (mr_value){.type = field->type, .size = (uint32_t)whole, .data = copy};
    return MR_OK;
}

static bool is_uuid(mr_slice text)
{
    if (text.size != UUID_BYTES)
        return false;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : !isxdigit((unsigned char)text.data[i]))
            return false;
    }
    return true;
}

static mr_err uuid_value(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                         char ret_misfit[MR_MISFIT_BYTES])
{
    if (!is_uuid(text))
        return misfit(text, "is not", form_of(field->logical), ret_misfit);
    char *copy = mr_arena_alloc(arena, UUID_BYTES);
    if (copy == NULL)
        return MR_ENOMEM;
    for (size_t i = 0; i < UUID_BYTES; i++)
        copy[i] = (char)tolower((unsigned char)text.data[i]);
    *ret_value = (mr_value){.type = field->type, .size = UUID_BYTES, .data = copy};
    return MR_OK;
}

mr_err logical_from_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                         char ret_misfit[MR_MISFIT_BYTES])
{
    if (field->logical == MR_LOGICAL_DECIMAL)
        return decimal_value(field, text, arena, ret_value, ret_misfit);
    if (field->logical == MR_LOGICAL_UUID)
        return uuid_value(field, text, arena, ret_value, ret_misfit);
    return time_from_text(field, text, ret_value, ret_misfit);
}

void logical_to_text(const mr_field *field, const mr_value *value, char out[LOGICAL_TEXT_BYTES])
{
    switch (field->logical) {
    case MR_LOGICAL_DATE:
        iso_print_date(value->integer, out);
        return;
    case MR_LOGICAL_TIME_MILLIS:
    case MR_LOGICAL_TIME_MICROS:
        iso_print_time(value->integer, digits_of(field->logical), out);
        return;
    case MR_LOGICAL_DECIMAL:
        if (!decimal_to_text((mr_slice){value->data, value->size}, field->precision, field->scale, out))
            out[0] = '\0';
        return;
    case MR_LOGICAL_UUID:
        snprintf(out, LOGICAL_TEXT_BYTES, "%.*s", (int)value->size, value->data);
        return;
    default:
        iso_print_timestamp(value->integer, digits_of(field->logical), is_zoned(field->logical), out);
        return;
    }
}

const char *logical_problem(const mr_field *field, const mr_value *value)
{
    char text[LOGICAL_TEXT_BYTES];
    mr_slice bytes = {value->data, value->size};
    int64_t unit = digits_of(field->logical) == 3 ? 1000 : 1000000;
    switch (field->logical) {
    case MR_LOGICAL_TIME_MILLIS:
    case MR_LOGICAL_TIME_MICROS:
        return value->integer < 0 || value->integer >= DAY_SECONDS * unit ? "the time is not within a day"
                                                                          : NULL;
    case MR_LOGICAL_DECIMAL:
        return decimal_to_text(bytes, field->precision, field->scale, text)
                   ? NULL
                   : "the decimal has more digits than its precision";
    case MR_LOGICAL_UUID:
        return is_uuid(bytes) ? NULL : "the string is not a UUID";
    default:
        return NULL;
    }
}
