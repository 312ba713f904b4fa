/* value_json.c - values as JSON text. */
#include "core/avro_take.h"
#include "core/logical.h"
#include "core/plain_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_BYTES_MAX = 16 * 1024 * 1024 };

/* The buffer grows by itself; what failed is kept, so that callers may go on to the end. */
typedef struct writer {
    mr_buf *out;
    size_t start;
    mr_err failed;
} writer;

static void put(writer *w, const char *data, size_t size)
{
    if (w->failed != MR_OK)
        return;
    if (w->out->size - w->start + size > JSON_BYTES_MAX)
        w->failed = MR_ETOOLARGE;
    else
        w->failed = mr_buf_append(w->out, data, size);
}

static void put_text(writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_escaped(writer *w, unsigned char c)
{
    char text[8];
    if (c == '"' || c == '\\')
        snprintf(text, sizeof text, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else
        snprintf(text, sizeof text, "\\u%04x", c);
    put_text(w, text);
}

static void put_string(writer *w, mr_slice text)
{
    put(w, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(w, text.data + from, i - from);
        put_escaped(w, c);
        from = i + 1;
    }
    put(w, text.data + from, text.size - from);
    put(w, "\"", 1);
}

/* Bytes as characters up to U+00FF. */
static void put_bytes(writer *w, mr_slice bytes)
{
    put(w, "\"", 1);
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\')
            put(w, &bytes.data[i], 1);
        else if (c < 0x80)
            put_escaped(w, c);
        else
            put(w, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))}, 2);
    }
    put(w, "\"", 1);
}

/* The shortest text that is read as the same number. */
static void put_real(writer *w, double real, bool single)
{
    char text[40];
    if (isnan(real) || isinf(real)) {
        put_text(w, isnan(real) ? "\"NaN\"" : real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        double read = strtod(text, NULL);
        if (single ? (float)read == (float)real : read == real)
            break;
    }
    put_text(w, text);
    if (text[strspn(text, "-0123456789")] == '\0')
        put_text(w, ".0");
}

static void put_value(writer *w, const mr_field *field, const mr_value *value);

/* The bytes of a nested value have been checked, so taking them cannot fail. */
static void put_element(writer *w, mr_avro_input *in, const mr_field *field)
{
    mr_value value;
    if (mr_take_value(in, field, &value) != NULL)
        w->failed = w->failed != MR_OK ? w->failed : MR_EBUG;
    else
        put_value(w, field, &value);
}

static void put_record(writer *w, const mr_shape *shape, mr_avro_input *in)
{
    for (size_t i = 0; i < shape->count && w->failed == MR_OK; i++) {
        put(w, i == 0 ? "{" : ",", 1);
        put_string(w, mr_slice_of(shape->fields[i].name));
        put(w, ":", 1);
        put_element(w, in, &shape->fields[i]);
    }
    put(w, "}", 1);
}

static void put_elements(writer *w, const mr_field *field, mr_avro_input *in)
{
    bool map = field->type == MR_TYPE_MAP;
    int64_t count = 0;
    bool first = true;
    put(w, map ? "{" : "[", 1);
    while (w->failed == MR_OK && mr_take_block(in, &count) == NULL && count > 0) {
        for (; count > 0 && w->failed == MR_OK; count--, first = false) {
            mr_slice key;
            if (!first)
                put(w, ",", 1);
            if (map && mr_take_text(in, &key) == NULL) {
                put_string(w, key);
                put(w, ":", 1);
            }
            put_element(w, in, &field->shape->fields[0]);
        }
    }
    put(w, map ? "}" : "]", 1);
}

static void put_logical(writer *w, const mr_field *field, const mr_value *value)
{
    char text[LOGICAL_TEXT_BYTES];
    logical_to_text(field, value, text);
    put_string(w, mr_slice_of(text));
}

static void put_plain(writer *w, const mr_field *field, const mr_value *value)
{
    char number[32];
    mr_slice bytes = {value->data, value->size};
    mr_avro_input in;
    switch (field->type) {
    case MR_TYPE_NULL:
        break;
    case MR_TYPE_BOOLEAN:
        put_text(w, value->integer != 0 ? "true" : "false");
        break;
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        snprintf(number, sizeof number, "%" PRId64, value->integer);
        put_text(w, number);
        break;
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        put_real(w, value->real, field->type == MR_TYPE_FLOAT);
        break;
    case MR_TYPE_ENUM:
        put_string(w, mr_slice_of(field->shape->symbols[value->integer]));
        break;
    case MR_TYPE_STRING:
        put_string(w, bytes);
        break;
    case MR_TYPE_BYTES:
    case MR_TYPE_FIXED:
        put_bytes(w, bytes);
        break;
    case MR_TYPE_RECORD:
        in = mr_avro_input_of(value);
        put_record(w, field->shape, &in);
        break;
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        in = mr_avro_input_of(value);
        put_elements(w, field, &in);
        break;
    }
}

static void put_value(writer *w, const mr_field *field, const mr_value *value)
{
    if (value->type == MR_TYPE_NULL)
        put_text(w, "null");
    else if (field->logical != MR_LOGICAL_NONE)
        put_logical(w, field, value);
    else
        put_plain(w, field, value);
}

mr_err mr_value_json(const mr_field *field, const mr_value *value, mr_buf *out, mr_error *ret_error)
{
    writer w = {.out = out, .start = out->size};
    put_value(&w, field, value);
    if (w.failed == MR_OK)
        return MR_OK;
    if (w.failed == MR_ENOMEM)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a value");
    if (w.failed == MR_EBUG)
        return mr_fail(ret_error, MR_EBUG, "column %.100s: its bytes are none of its type", field->name);
    mr_fail(ret_error, MR_ETOOLARGE, "column %.100s: its JSON is over 16 MiB", field->name);
    return mr_classify(ret_error, MR_ETOOLARGE, MR_DATA);
}
