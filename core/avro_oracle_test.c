/* Random schemas and rows, compared with libavro in both directions: the same bytes, and the same values
 * back. */
#include "core/avro.h"

#include <avro.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FIELDS_MAX = 12, SCHEMAS = 300, ROWS = 40 };

static uint64_t seed = 3;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_bits() >> 16) % bound;
}

static void random_schema(mr_buf *text)
{
    static const char *const types[] = {"boolean", "int", "long", "float", "double", "bytes", "string"};
    static const char *const forms[][2] = {
        {"\"", "\""}, {"[\"null\",\"", "\"]"}, {"[\"", "\",\"null\"]"}, {"{\"type\":\"", "\"}"}};
    size_t count = 1 + random_below(FIELDS_MAX);
    text->size = 0;
    assert_int_equal(mr_buf_printf(text, "{\"type\":\"record\",\"name\":\"t\",\"fields\":["), MR_OK);
    for (size_t i = 0; i < count; i++) {
        const char *const *form = forms[random_below(4)];
        assert_int_equal(mr_buf_printf(text, "%s{\"name\":\"f%zu\",\"type\":%s%s%s}", i > 0 ? "," : "", i,
                                       form[0], types[random_below(7)], form[1]),
                         MR_OK);
    }
    assert_int_equal(mr_buf_append(text, "]}", 2), MR_OK);
}

/* Texts are taken from here; bytes from anywhere in it, strings up to a size from its start. */
static char ascii[300];

static mr_value random_value(const mr_field *field)
{
    mr_value value = {.type = field->type};
    uint64_t bits = random_bits() >> random_below(64);
    if (field->nullable && random_below(3) == 0)
        return (mr_value){.type = MR_TYPE_NULL};
    switch (field->type) {
    case MR_TYPE_NULL:
        break;
    case MR_TYPE_BOOLEAN:
        value.integer = (int64_t)(bits & 1);
        break;
    case MR_TYPE_INT:
        value.integer = (int32_t)(uint32_t)bits;
        break;
    case MR_TYPE_LONG:
        value.integer = random_below(2) ? (int64_t)bits : -(int64_t)(bits >> 1);
        break;
    case MR_TYPE_FLOAT:
        value.real = (double)(float)((double)bits / 1000.0);
        break;
    case MR_TYPE_DOUBLE:
        value.real = random_below(9) == 0 ? (double)INFINITY : (double)bits / 1000.0;
        break;
    case MR_TYPE_BYTES:
    case MR_TYPE_STRING:
        value.size = (uint32_t)random_below(sizeof ascii);
        value.data = ascii;
        break;
    default: /* avro_types_oracle_test.c has the others */
        fail();
    }
    return value;
}

/* ---- libavro's side ---- */

static void set_oracle_value(avro_value_t *to, const mr_value *value)
{
    switch ((mr_type)value->type) {
    case MR_TYPE_NULL:
        assert_int_equal(avro_value_set_null(to), 0);
        break;
    case MR_TYPE_BOOLEAN:
        assert_int_equal(avro_value_set_boolean(to, (int)value->integer), 0);
        break;
    case MR_TYPE_INT:
        assert_int_equal(avro_value_set_int(to, (int32_t)value->integer), 0);
        break;
    case MR_TYPE_LONG:
        assert_int_equal(avro_value_set_long(to, value->integer), 0);
        break;
    case MR_TYPE_FLOAT:
        assert_int_equal(avro_value_set_float(to, (float)value->real), 0);
        break;
    case MR_TYPE_DOUBLE:
        assert_int_equal(avro_value_set_double(to, value->real), 0);
        break;
    case MR_TYPE_BYTES:
        assert_int_equal(avro_value_set_bytes(to, (void *)(uintptr_t)value->data, value->size), 0);
        break;
    case MR_TYPE_STRING: {
        char text[sizeof ascii + 1];
        memcpy(text, value->data, value->size);
        text[value->size] = '\0';
        assert_int_equal(avro_value_set_string_len(to, text, value->size + 1), 0);
        break;
    }
    default:
        fail();
    }
}

static void set_oracle_row(avro_value_t *record, const mr_field *fields, size_t count, const mr_value *row)
{
    for (size_t i = 0; i < count; i++) {
        avro_value_t field, branch = {NULL, NULL};
        assert_int_equal(avro_value_get_by_index(record, i, &field, NULL), 0);
        if (fields[i].nullable) {
            bool second = (row[i].type == MR_TYPE_NULL) != fields[i].null_first;
            assert_int_equal(avro_value_set_branch(&field, second, &branch), 0);
            field = branch;
        }
        set_oracle_value(&field, &row[i]);
    }
}

/* ---- comparison ---- */

static void assert_same_rows(const mr_value *a, const mr_value *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].type, b[i].type);
        if (a[i].type == MR_TYPE_STRING || a[i].type == MR_TYPE_BYTES)
            assert_true(mr_slice_equal((mr_slice){a[i].data, a[i].size}, (mr_slice){b[i].data, b[i].size}));
        else if (a[i].type != MR_TYPE_NULL)
            assert_true(a[i].integer == b[i].integer);
    }
}

typedef struct both {
    mr_schema *schema;
    mr_avro_encoder *encoder;
    mr_avro_decoder *decoder;
    avro_schema_t oracle_schema;
    avro_value_iface_t *oracle_class;
} both;

static void open_both(both *b, mr_slice text)
{
    mr_error error;
    assert_int_equal(mr_schema_parse(text, NULL, NULL, &b->schema, &error), MR_OK);
    assert_int_equal(mr_avro_encoder_open(b->schema, NULL, 0, 1, &b->encoder, &error), MR_OK);
    assert_int_equal(mr_avro_decoder_open(b->schema, b->schema, &b->decoder, &error), MR_OK);
    assert_int_equal(avro_schema_from_json_length(text.data, text.size, &b->oracle_schema), 0);
    b->oracle_class = avro_generic_class_from_schema(b->oracle_schema);
    assert_non_null(b->oracle_class);
}

static void close_both(both *b)
{
    mr_avro_encoder_close(&b->encoder);
    mr_avro_decoder_close(&b->decoder);
    mr_schema_close(&b->schema);
    avro_value_iface_decref(b->oracle_class);
    avro_schema_decref(b->oracle_schema);
}

static void compare_row(const both *b, mr_buf *out)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(b->schema, &count);
    mr_value row[FIELDS_MAX], back[FIELDS_MAX];
    char oracle_body[8192];
    mr_error error;
    for (size_t i = 0; i < count; i++)
        row[i] = random_value(&fields[i]);
    out->size = 0;
    assert_int_equal(mr_avro_encode(b->encoder, row, out, &error), MR_OK);
    mr_slice body = {out->data + MR_WIRE_HEADER_BYTES, out->size - MR_WIRE_HEADER_BYTES};

    avro_value_t expected, read;
    assert_int_equal(avro_generic_value_new(b->oracle_class, &expected), 0);
    assert_int_equal(avro_generic_value_new(b->oracle_class, &read), 0);
    set_oracle_row(&expected, fields, count, row);
    avro_writer_t writer = avro_writer_memory(oracle_body, sizeof oracle_body);
    assert_int_equal(avro_value_write(writer, &expected), 0);
    mr_slice oracle = {oracle_body, (size_t)avro_writer_tell(writer)};
    assert_true(mr_slice_equal(body, oracle));

    avro_reader_t reader = avro_reader_memory(body.data, (int64_t)body.size);
    assert_int_equal(avro_value_read(reader, &read), 0);
    assert_true(avro_value_equal(&read, &expected));
    assert_int_equal(mr_avro_decode(b->decoder, oracle, back, &error), MR_OK);
    assert_same_rows(row, back, count);

    avro_reader_free(reader);
    avro_writer_free(writer);
    avro_value_decref(&read);
    avro_value_decref(&expected);
}

static void bodies_are_those_of_libavro(void **state)
{
    (void)state;
    mr_buf text = {0}, out = {0};
    for (size_t i = 0; i < sizeof ascii; i++)
        ascii[i] = (char)(' ' + i % 90);
    for (int i = 0; i < SCHEMAS; i++) {
        both b;
        random_schema(&text);
        open_both(&b, mr_buf_slice(&text));
        for (int j = 0; j < ROWS; j++)
            compare_row(&b, &out);
        close_both(&b);
    }
    mr_buf_fini(&text);
    mr_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bodies_are_those_of_libavro)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
