#include "core/avro.h"

#include "core/avro_take.h"
#include "core/logical.h"
#include "core/schema_impl.h"
#include "core/text_value.h"

#include <stdlib.h>

typedef struct decode_step {
    const mr_field *field; /* of the writer */
    int column;            /* of the reader, or -1: read and dropped */
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
    char was[MR_TYPE_WORDS_BYTES], is[MR_TYPE_WORDS_BYTES];
    if (read != NULL && (!schema_same_type(read, written) || (written->nullable && !read->nullable)))
        return mr_fail(ret_error, MR_EINVALID,
                       "schema \"%.100s\" cannot read field \"%.100s\": it was written as %s%s, not %s%s",
                       mr_schema_name(reader), read->name, written->nullable ? "nullable " : "",
                       mr_type_words(written, was), read->nullable ? "nullable " : "",
                       mr_type_words(read, is));
    decoder->steps[decoder->step_count++] = (decode_step){written, column};
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

typedef mr_avro_input input;

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

static const char *take_sized(input *in, int64_t size, mr_value *value)
{
    if (size > in->end - in->at || size > UINT32_MAX)
        return CUT_SHORT;
    value->size = (uint32_t)size;
    value->data = (const char *)in->at;
    in->at += size;
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
    problem = take_sized(in, size, value);
    if (problem == NULL && is_string && !mr_utf8_valid((mr_slice){value->data, value->size}))
        return "the string is not valid UTF-8 without NUL";
    return problem;
}

static const char *take_symbol(input *in, const mr_shape *shape, int64_t *ret_index)
{
    const char *problem = take_varint(in, 32, ret_index);
    if (problem == NULL && (*ret_index < 0 || (size_t)*ret_index >= shape->count))
        return "the enum has no such symbol";
    return problem;
}

static const char *skip_elements(input *in, const mr_field *field)
{
    mr_slice key;
    mr_value element;
    for (;;) {
        int64_t count;
        const char *problem = mr_take_block(in, &count);
        if (problem != NULL || count == 0)
            return problem;
        for (; count > 0; count--) { /* each takes a byte at least, so this ends */
            if (field->type == MR_TYPE_MAP && (problem = mr_take_text(in, &key)) != NULL)
                return problem;
            if ((problem = mr_take_value(in, &field->shape->fields[0], &element)) != NULL)
                return problem;
        }
    }
}

static const char *skip_members(input *in, const mr_field *field)
{
    mr_value member;
    for (size_t i = 0; i < field->shape->count; i++) {
        const char *problem = mr_take_value(in, &field->shape->fields[i], &member);
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

static const char *take_nested(input *in, const mr_field *field, mr_value *value)
{
    const unsigned char *start = in->at;
    const char *problem = field->type == MR_TYPE_RECORD ? skip_members(in, field) : skip_elements(in, field);
    if (problem != NULL)
        return problem;
    if (in->at - start > UINT32_MAX)
        return "the value is too large";
    value->size = (uint32_t)(in->at - start);
    value->data = (const char *)start;
    return NULL;
}

static const char *take_plain(input *in, const mr_field *field, mr_value *value)
{
    switch (field->type) {
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
    case MR_TYPE_ENUM:
        return take_symbol(in, field->shape, &value->integer);
    case MR_TYPE_BYTES:
        return take_bytes(in, false, value);
    case MR_TYPE_STRING:
        return take_bytes(in, true, value);
    case MR_TYPE_FIXED:
        return take_sized(in, field->shape->size, value);
    case MR_TYPE_RECORD:
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        return take_nested(in, field, value);
    }
    return "the type is unknown";
}

static inline const char *take_value(input *in, const mr_field *field, mr_value *value)
{
    *value = (mr_value){.type = field->type};
    if (field->nullable) {
        int64_t branch;
        const char *problem = take_varint(in, 32, &branch);
        if (problem != NULL)
            return problem;
        if (branch != 0 && branch != 1)
            return "the union has no such branch";
        if ((branch == 0) == field->null_first) {
            value->type = MR_TYPE_NULL;
            return NULL;
        }
    }
    const char *problem = take_plain(in, field, value);
    return problem == NULL && field->logical != MR_LOGICAL_NONE ? logical_problem(field, value) : problem;
}

const char *mr_take_value(mr_avro_input *in, const mr_field *field, mr_value *ret_value)
{
    return take_value(in, field, ret_value);
}

const char *mr_take_block(mr_avro_input *in, int64_t *ret_count)
{
    int64_t size;
    const char *problem = take_varint(in, 64, ret_count);
    if (problem != NULL || *ret_count >= 0)
        return problem;
    if (*ret_count == INT64_MIN)
        return "the block has too many elements";
    *ret_count = -*ret_count; /* and the block's size follows, for those who pass it over */
    problem = take_varint(in, 64, &size);
    return problem == NULL && size < 0 ? "the size of a block is negative" : problem;
}

const char *mr_take_text(mr_avro_input *in, mr_slice *ret_text)
{
    mr_value text;
    const char *problem = take_bytes(in, true, &text);
    if (problem == NULL)
        *ret_text = (mr_slice){text.data, text.size};
    return problem;
}

mr_err mr_avro_decode(mr_avro_decoder *decoder, mr_slice body, mr_value *ret_row, mr_error *ret_error)
{
    input in = {(const unsigned char *)body.data, (const unsigned char *)body.data + body.size};
    for (size_t i = 0; i < decoder->step_count; i++) {
        const decode_step *step = &decoder->steps[i];
        mr_value dropped;
        mr_value *value = step->column >= 0 ? &ret_row[step->column] : &dropped;
        const char *problem = take_value(&in, step->field, value);
        if (problem != NULL) {
            mr_fail(ret_error, MR_EINVALID, "field \"%.100s\": %s", step->field->name, problem);
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
