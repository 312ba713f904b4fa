#include "core/avro.h"

#include "core/words.h"

#include <stdlib.h>

enum { VARINT_BYTES_MAX = 10, NUMBER_BYTES_MAX = 1 + VARINT_BYTES_MAX /* with the index of its union */ };

typedef struct encode_step {
    int column;
    mr_type type;
    bool nullable;
    char null_index, value_index; /* zigzag of the union's index */
    uint32_t size;                /* of fixed; else 0 */
} encode_step;

struct mr_avro_encoder {
    const mr_schema *schema; /* borrowed; for messages */
    char header[MR_WIRE_HEADER_BYTES];
    size_t step_count;
    size_t fixed_bytes; /* at most, without the text of bytes and strings */
    encode_step steps[];
};

static encode_step step_of(const mr_field *field, int column)
{
    return (encode_step){
        .column = column,
        .type = field->type,
        .nullable = field->nullable,
        .null_index = field->null_first ? 0 : 2,
        .value_index = field->null_first ? 2 : 0,
        .size = field->type == MR_TYPE_FIXED ? field->shape->size : 0,
    };
}

mr_err mr_avro_encoder_open(const mr_schema *row_schema, const int *columns, size_t count, uint32_t schema_id,
                            mr_avro_encoder **ret_encoder, mr_error *ret_error)
{
    size_t field_count;
    const mr_field *fields = mr_schema_fields(row_schema, &field_count);
    if (columns == NULL)
        count = field_count;
    mr_avro_encoder *encoder = malloc(sizeof *encoder + count * sizeof(encode_step));
    if (encoder == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to encode schema \"%.100s\"",
                       mr_schema_name(row_schema));
    *encoder = (mr_avro_encoder){
        .schema = row_schema,
        .header = {0, (char)(schema_id >> 24), (char)(schema_id >> 16), (char)(schema_id >> 8),
                   (char)schema_id},
        .step_count = count,
        .fixed_bytes = MR_WIRE_HEADER_BYTES + count * NUMBER_BYTES_MAX,
    };
    for (size_t i = 0; i < count; i++) {
        int column = columns != NULL ? columns[i] : (int)i;
        if (column < 0 || (size_t)column >= field_count) {
            mr_avro_encoder_close(&encoder);
            return mr_fail(ret_error, MR_EINVALID, "column %d is not in schema \"%.100s\"", column,
                           mr_schema_name(row_schema));
        }
        encoder->steps[i] = step_of(&fields[column], column);
    }
    *ret_encoder = encoder;
    return MR_OK;
}

void mr_avro_encoder_close(mr_avro_encoder **encoder)
{
    free(*encoder);
    *encoder = NULL;
}

/* Writes up to VARINT_BYTES_MAX bytes, whatever the integer's length. */
static inline char *put_varint(char *to, int64_t integer)
{
    uint64_t zigzag = ((uint64_t)integer << 1) ^ (uint64_t)(integer >> 63);
    if (zigzag < 0x80) {
        *to = (char)zigzag;
        return to + 1;
    }
    if (zigzag >> 56 == 0) { /* spread over 8 bytes at once, 7 bits each */
        unsigned last_bit = 63 - (unsigned)__builtin_clzll(zigzag);
        unsigned more = last_bit * 37 >> 8; /* last_bit / 7: bytes that another one follows */
        uint64_t word = (zigzag & UINT64_C(0xFFFFFFF0000000)) << 4 | (zigzag & UINT64_C(0xFFFFFFF));
        word = (word & UINT64_C(0x0FFFC0000FFFC000)) << 2 | (word & UINT64_C(0x00003FFF00003FFF));
        word = (word & UINT64_C(0x3F803F803F803F80)) << 1 | (word & UINT64_C(0x007F007F007F007F));
        word |= UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * more)) - 1);
        word_store(to, word);
        return to + more + 1;
    }
    for (; zigzag >= 0x80; zigzag >>= 7)
        *to++ = (char)(zigzag | 0x80);
    *to++ = (char)zigzag;
    return to;
}

static inline char *put_float(char *to, double real)
{
    float narrow = (float)real;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    bits = htole32(bits);
    memcpy(to, &bits, sizeof bits);
    return to + sizeof bits;
}

static inline char *put_double(char *to, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    word_store(to, bits);
    return to + sizeof bits;
}

/* May write up to 8 bytes more. */
static inline char *put_text(char *to, const char *data, size_t size)
{
    if (size <= 8) {
        word_store(to, word_load_short(data, size));
    } else if (size <= 16) {
        word_store(to, word_load(data));
        word_store(to + size - 8, word_load(data + size - 8));
    } else {
        memcpy(to, data, size);
    }
    return to + size;
}

static mr_err misfit(const mr_avro_encoder *encoder, const encode_step *step, const mr_value *value,
                     mr_error *ret_error)
{
    size_t count;
    const mr_field *field = &mr_schema_fields(encoder->schema, &count)[step->column];
    return mr_fail(ret_error, MR_EBUG,
                   "encoding column \"%.100s\" of \"%.100s\": a value of type %s is no %s%s", field->name,
                   mr_schema_name(encoder->schema), mr_type_name(value->type),
                   field->nullable ? "nullable " : "", mr_type_name(field->type));
}

/* The place behind the number, or NULL when it does not fit its type. */
static inline char *put_number(char *to, const encode_step *step, const mr_value *value)
{
    switch (step->type) {
    case MR_TYPE_BOOLEAN:
        *to = (char)value->integer;
        return value->integer == 0 || value->integer == 1 ? to + 1 : NULL;
    case MR_TYPE_INT:
    case MR_TYPE_ENUM:
        return value->integer == (int32_t)value->integer ? put_varint(to, value->integer) : NULL;
    case MR_TYPE_LONG:
        return put_varint(to, value->integer);
    case MR_TYPE_FLOAT:
        return put_float(to, value->real);
    case MR_TYPE_DOUBLE:
        return put_double(to, value->real);
    case MR_TYPE_NULL:
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
    case MR_TYPE_FIXED:
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        break;
    }
    return NULL;
}

/* Writes the steps behind out->size; the size is the caller's to set. */
static mr_err put_row(const mr_avro_encoder *encoder, const mr_value *row, mr_buf *out, char **ret_end,
                      mr_error *ret_error)
{
    char *to = out->data + out->size;
    size_t fixed = encoder->fixed_bytes; /* reserved behind any text */
    memcpy(to, encoder->header, MR_WIRE_HEADER_BYTES);
    to += MR_WIRE_HEADER_BYTES;
    for (const encode_step *step = encoder->steps, *end = step + encoder->step_count; step < end; step++) {
        const mr_value *value = &row[step->column];
        if (value->type != step->type) {
            if (value->type != MR_TYPE_NULL || !step->nullable)
                return misfit(encoder, step, value, ret_error);
            *to++ = step->null_index;
            continue;
        }
        if (step->nullable)
            *to++ = step->value_index;
        if (step->type >= MR_TYPE_BYTES) {
            if (step->type <= MR_TYPE_STRING)
                to = put_varint(to, value->size);
            else if (step->type == MR_TYPE_FIXED && value->size != step->size)
                return misfit(encoder, step, value, ret_error);
            size_t used = (size_t)(to - out->data);
            if (value->size + fixed > out->capacity - used) {
                size_t behind = used - out->size;
                if (mr_buf_reserve(out, behind + value->size + fixed) != MR_OK)
                    return mr_fail(ret_error, MR_ENOMEM, "no memory for a record of %zu bytes",
                                   behind + value->size);
                to = out->data + used;
            }
            to = put_text(to, value->data, value->size);
        } else {
            to = put_number(to, step, value);
            if (to == NULL)
                return misfit(encoder, step, value, ret_error);
        }
    }
    *ret_end = to;
    return MR_OK;
}

mr_err mr_avro_encode(mr_avro_encoder *encoder, const mr_value *row, mr_buf *out, mr_error *ret_error)
{
    char *end = NULL;
    if (mr_buf_reserve(out, encoder->fixed_bytes) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a record of %zu bytes", encoder->fixed_bytes);
    mr_err err = put_row(encoder, row, out, &end, ret_error);
    if (err == MR_OK)
        out->size = (size_t)(end - out->data);
    return err;
}
