#include "core/avro.h"

#include "core/text_value.h"

#include <stdlib.h>

typedef struct decode_step {
    const char *name; /* of the writer's field, for messages */
    int column;       /* of the reader, or -1: read and dropped */
    mr_type type;
    bool nullable;
    bool null_first;
} decode_step;

typedef struct constant {
    int column;
    mr_value value;
} constant;

struct mr_avro_decoder {
    size_t step_count;
    decode_step *steps;
    size_t constant_count;
    constant *constants; /* columns that the writer did not have */
};

static mr_err add_step(mr_avro_decoder *decoder, const mr_field *written, const mr_schema *reader,
                       mr_error *ret_error)
{
    size_t count;
    int column = mr_schema_find(reader, mr_slice_of(written->name));
    const mr_field *read = column >= 0 ? &mr_schema_fields(reader, &count)[column] : NULL;
    if (read != NULL && (read->type != written->type || (written->nullable && !read->nullable)))
        return mr_fail(ret_error, MR_EINVALID,
                       "schema \"%.100s\" cannot read field \"%.100s\": it was written as %s%s, not %s%s",
                       mr_schema_name(reader), read->name, written->nullable ? "nullable " : "",
                       mr_type_name(written->type), read->nullable ? "nullable " : "",
                       mr_type_name(read->type));
    decoder->steps[decoder->step_count++] =
        (decode_step){written->name, column, written->type, written->nullable, written->null_first};
    return MR_OK;
}

static mr_err add_constant(mr_avro_decoder *decoder, const mr_field *field, int column, mr_error *ret_error)
{
    if (!field->has_default && !field->nullable)
        return mr_fail(ret_error, MR_EINVALID, "field \"%.100s\" was not written and has no default",
                       field->name);
    mr_value value = field->has_default ? field->default_value : (mr_value){.type = MR_TYPE_NULL};
    decoder->constants[decoder->constant_count++] = (constant){column, value};
    return MR_OK;
}

static mr_err plan(mr_avro_decoder *decoder, const mr_schema *writer, const mr_schema *reader,
                   mr_error *ret_error)
{
    size_t written_count, read_count;
    const mr_field *written = mr_schema_fields(writer, &written_count);
    const mr_field *read = mr_schema_fields(reader, &read_count);
    decoder->steps = calloc(written_count, sizeof *decoder->steps);
    decoder->constants = calloc(read_count, sizeof *decoder->constants);
    if (decoder->steps == NULL || decoder->constants == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to decode schema \"%.100s\"", mr_schema_name(writer));
    mr_err err = MR_OK;
    for (size_t i = 0; i < written_count && err == MR_OK; i++)
        err = add_step(decoder, &written[i], reader, ret_error);
    for (size_t i = 0; i < read_count && err == MR_OK; i++)
        if (mr_schema_find(writer, mr_slice_of(read[i].name)) < 0)
            err = add_constant(decoder, &read[i], (int)i, ret_error);
    return err;
}

mr_err mr_avro_decoder_open(const mr_schema *writer, const mr_schema *reader, mr_avro_decoder **ret_decoder,
                            mr_error *ret_error)
{
    mr_avro_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to decode schema \"%.100s\"", mr_schema_name(writer));
    mr_err err = plan(decoder, writer, reader, ret_error);
    if (err == MR_OK)
        *ret_decoder = decoder;
    else
        mr_avro_decoder_close(&decoder);
    return err;
}

void mr_avro_decoder_close(mr_avro_decoder **decoder)
{
    if (*decoder == NULL)
        return;
    free((*decoder)->steps);
    free((*decoder)->constants);
    free(*decoder);
    *decoder = NULL;
}

typedef struct input {
    const unsigned char *at, *end;
} input;

static const char CUT_SHORT[] = "the record is cut short";

/* Each take_... returns NULL, or what is wrong with the bytes. */

static const char *take_varint(input *in, int bits, int64_t *ret_integer)
{
    uint64_t zigzag = 0;
    for (int shift = 0; shift < bits; shift += 7) {
        if (in->at == in->end)
            return CUT_SHORT;
        uint64_t byte = *in->at++;
        int room = bits - shift;
        if (room < 7 && (byte & 0x7F) >> room != 0)
            return "the integer is too large for its type";
        zigzag |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_integer = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return NULL;
        }
    }
    return "the integer has too many bytes";
}

static const char *take_boolean(input *in, int64_t *ret_integer)
{
    if (in->at == in->end)
        return CUT_SHORT;
    if (*in->at > 1)
        return "the boolean is neither 0 nor 1";
    *ret_integer = *in->at++;
    return NULL;
}

static const char *take_real(input *in, size_t bytes, double *ret_real)
{
    if ((size_t)(in->end - in->at) < bytes)
        return CUT_SHORT;
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes; i++)
        bits |= (uint64_t)in->at[i] << (8 * i);
    in->at += bytes;
    if (bytes == 8) {
        memcpy(ret_real, &bits, sizeof bits);
    } else {
        float narrow;
        memcpy(&narrow, &(uint32_t){(uint32_t)bits}, sizeof narrow);
        *ret_real = (double)narrow;
    }
    return NULL;
}

static const char *take_bytes(input *in, bool is_string, mr_value *value)
{
    int64_t size;
    const char *problem = take_varint(in, 64, &size);
    if (problem != NULL)
        return problem;
    if (size < 0)
        return "the length is negative";
    if (size > in->end - in->at || size > UINT32_MAX)
        return CUT_SHORT;
    value->size = (uint32_t)size;
    value->data = (const char *)in->at;
    in->at += size;
    if (is_string && !mr_utf8_valid((mr_slice){value->data, value->size}))
        return "the string is not valid UTF-8 without NUL";
    return NULL;
}

static const char *take_value(input *in, mr_type type, mr_value *value)
{
    *value = (mr_value){.type = type};
    switch (type) {
    case MR_TYPE_NULL:
        return NULL;
    case MR_TYPE_BOOLEAN:
        return take_boolean(in, &value->integer);
    case MR_TYPE_INT:
        return take_varint(in, 32, &value->integer);
    case MR_TYPE_LONG:
        return take_varint(in, 64, &value->integer);
    case MR_TYPE_FLOAT:
        return take_real(in, 4, &value->real);
    case MR_TYPE_DOUBLE:
        return take_real(in, 8, &value->real);
    case MR_TYPE_BYTES:
        return take_bytes(in, false, value);
    case MR_TYPE_STRING:
        return take_bytes(in, true, value);
    }
    return "the type is unknown";
}

static const char *take_field(input *in, const decode_step *step, mr_value *value)
{
    mr_type type = step->type;
    if (step->nullable) {
        int64_t branch;
        const char *problem = take_varint(in, 32, &branch);
        if (problem != NULL)
            return problem;
        if (branch != 0 && branch != 1)
            return "the union has no such branch";
        if ((branch == 0) == step->null_first)
            type = MR_TYPE_NULL;
    }
    return take_value(in, type, value);
}

mr_err mr_avro_decode(mr_avro_decoder *decoder, mr_slice body, mr_value *ret_row, mr_error *ret_error)
{
    input in = {(const unsigned char *)body.data, (const unsigned char *)body.data + body.size};
    for (size_t i = 0; i < decoder->step_count; i++) {
        const decode_step *step = &decoder->steps[i];
        mr_value dropped;
        const char *problem = take_field(&in, step, step->column >= 0 ? &ret_row[step->column] : &dropped);
        if (problem != NULL) {
            mr_fail(ret_error, MR_EINVALID, "field \"%.100s\": %s", step->name, problem);
            return mr_classify(ret_error, MR_EINVALID, MR_DATA);
        }
    }
    if (in.at != in.end) {
        mr_fail(ret_error, MR_EINVALID, "%zu bytes follow the last field of the record",
                (size_t)(in.end - in.at));
        return mr_classify(ret_error, MR_EINVALID, MR_DATA);
    }
    for (size_t i = 0; i < decoder->constant_count; i++)
        ret_row[decoder->constants[i].column] = decoder->constants[i].value;
    return MR_OK;
}

mr_err mr_wire_split(mr_slice message, uint32_t *ret_schema_id, mr_slice *ret_body, mr_error *ret_error)
{
    const unsigned char *bytes = (const unsigned char *)message.data;
    if (message.size < MR_WIRE_HEADER_BYTES || bytes[0] != 0) {
        if (message.size < MR_WIRE_HEADER_BYTES)
            mr_fail(ret_error, MR_EINVALID, "a message of %zu bytes has no room for a schema id",
                    message.size);
        else
            mr_fail(ret_error, MR_EINVALID, "the message starts with byte 0x%02X, not with 0 and a schema id",
                    bytes[0]);
        return mr_classify(ret_error, MR_EINVALID, MR_DATA);
    }
    *ret_schema_id = (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    *ret_body = (mr_slice){message.data + MR_WIRE_HEADER_BYTES, message.size - MR_WIRE_HEADER_BYTES};
    return MR_OK;
}
