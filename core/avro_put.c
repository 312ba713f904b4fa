#include "core/avro_put.h"

#include <endian.h>

mr_err avro_put_long(mr_buf *out, int64_t number)
{
    char bytes[10];
    size_t size = 0;
    uint64_t zigzag = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7)
        bytes[size++] = (char)(zigzag | 0x80);
    bytes[size++] = (char)zigzag;
    return mr_buf_append(out, bytes, size);
}

mr_err avro_put_text(mr_buf *out, mr_slice text)
{
    mr_err err = avro_put_long(out, (int64_t)text.size);
    return err == MR_OK ? mr_buf_append(out, text.data, text.size) : err;
}

static mr_err put_float(mr_buf *out, double real)
{
    float narrow = (float)real;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    bits = htole32(bits);
    return mr_buf_append(out, &bits, sizeof bits);
}

static mr_err put_double(mr_buf *out, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    bits = htole64(bits);
    return mr_buf_append(out, &bits, sizeof bits);
}

mr_err avro_put_present(mr_buf *out, const mr_field *field)
{
    return field->nullable ? avro_put_long(out, field->null_first ? 1 : 0) : MR_OK;
}

mr_err avro_put_value(mr_buf *out, const mr_field *field, const mr_value *value)
{
    if (value->type == MR_TYPE_NULL)
        return avro_put_long(out, field->null_first ? 0 : 1);
    mr_slice bytes = {value->data, value->size};
    mr_err err = avro_put_present(out, field);
    if (err != MR_OK)
        return err;
    switch (field->type) {
    case MR_TYPE_NULL:
        break;
    case MR_TYPE_BOOLEAN:
        return mr_buf_append(out, value->integer != 0 ? "\1" : "\0", 1);
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
    case MR_TYPE_ENUM:
        return avro_put_long(out, value->integer);
    case MR_TYPE_FLOAT:
        return put_float(out, value->real);
    case MR_TYPE_DOUBLE:
        return put_double(out, value->real);
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
        return avro_put_text(out, bytes);
    case MR_TYPE_FIXED:
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        return mr_buf_append(out, bytes.data, bytes.size);
    }
    return MR_OK;
}
