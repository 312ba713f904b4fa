#include "core/avro.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static mr_schema *parse(const char *fields)
{
    char text[2000];
    mr_schema *schema = NULL;
    mr_error error;
    snprintf(text, sizeof text, "{\"type\":\"record\",\"name\":\"t\",\"fields\":[%s]}", fields);
    if (mr_schema_parse(mr_slice_of(text), NULL, NULL, &schema, &error) != MR_OK)
        fail_msg("%s", error.text);
    return schema;
}

#define INT(v)    ((mr_value){.type = MR_TYPE_INT, .integer = (v)})
#define LONG(v)   ((mr_value){.type = MR_TYPE_LONG, .integer = (v)})
#define BOOL(v)   ((mr_value){.type = MR_TYPE_BOOLEAN, .integer = (v)})
#define FLOAT(v)  ((mr_value){.type = MR_TYPE_FLOAT, .real = (v)})
#define DOUBLE(v) ((mr_value){.type = MR_TYPE_DOUBLE, .real = (v)})
#define TEXT(v)   ((mr_value){.type = MR_TYPE_STRING, .size = sizeof(v) - 1, .data = (v)})
#define BYTES(v)  ((mr_value){.type = MR_TYPE_BYTES, .size = sizeof(v) - 1, .data = (v)})
#define NOTHING   ((mr_value){.type = MR_TYPE_NULL})

static const char all_types[] =
    "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},"
    "{\"name\":\"l\",\"type\":\"long\"},{\"name\":\"f\",\"type\":\"float\"},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"s\",\"type\":\"string\"},"
    "{\"name\":\"y\",\"type\":\"bytes\"},{\"name\":\"n\",\"type\":[\"null\",\"int\"]},"
    "{\"name\":\"m\",\"type\":[\"string\",\"null\"]}";

static mr_avro_encoder *open_encoder(const mr_schema *schema, const int *columns, size_t count, uint32_t id)
{
    mr_avro_encoder *encoder;
    mr_error error;
    assert_int_equal(mr_avro_encoder_open(schema, columns, count, id, &encoder, &error), MR_OK);
    return encoder;
}

static mr_avro_decoder *open_decoder(const mr_schema *writer, const mr_schema *reader)
{
    mr_avro_decoder *decoder = NULL;
    mr_error error;
    if (mr_avro_decoder_open(writer, reader, &decoder, &error) != MR_OK)
        fail_msg("%s", error.text);
    return decoder;
}

static void a_row_is_encoded_as_the_specification_says(void **state)
{
    (void)state;
    mr_schema *schema = parse(all_types);
    mr_avro_encoder *encoder = open_encoder(schema, NULL, 0, 0x01020304);
    mr_value row[] = {BOOL(1),     INT(-64),          LONG(64), FLOAT(1.5), DOUBLE(-2),
                      TEXT("foo"), BYTES("\x00\xFF"), NOTHING,  TEXT("")};
    static const char expected[] = "\x00\x01\x02\x03\x04"
                                   "\x01"
                                   "\x7F"
                                   "\x80\x01"
                                   "\x00\x00\xC0\x3F"
                                   "\x00\x00\x00\x00\x00\x00\x00\xC0"
                                   "\x06"
                                   "foo"
                                   "\x04\x00\xFF"
                                   "\x00"
                                   "\x00\x00";
    mr_buf out = {0};
    mr_error error;
    assert_int_equal(mr_buf_append(&out, "before", 6), MR_OK);
    assert_int_equal(mr_avro_encode(encoder, row, &out, &error), MR_OK);
    assert_int_equal(out.size, 6 + sizeof expected - 1);
    assert_memory_equal(out.data + 6, expected, sizeof expected - 1);
    row[7] = INT(3);
    row[8] = NOTHING;
    out.size = 0;
    assert_int_equal(mr_avro_encode(encoder, row, &out, &error), MR_OK);
    assert_memory_equal(out.data + out.size - 3, "\x02\x06\x02", 3);
    mr_buf_fini(&out);
    mr_avro_encoder_close(&encoder);
    mr_schema_close(&schema);
}

static void columns_select_and_order_what_is_encoded(void **state)
{
    (void)state;
    mr_schema *schema = parse(all_types);
    mr_avro_encoder *encoder = open_encoder(schema, (int[]){5, 1}, 2, 1);
    mr_value row[] = {BOOL(1),     INT(1),    LONG(64), FLOAT(1.5), DOUBLE(-2),
                      TEXT("foo"), BYTES(""), NOTHING,  NOTHING};
    mr_buf out = {0};
    mr_error error;
    assert_int_equal(mr_avro_encode(encoder, row, &out, &error), MR_OK);
    assert_true(mr_slice_equal(mr_buf_slice(&out), (mr_slice){"\0\0\0\0\x01\x06"
                                                              "foo\x02",
                                                              10}));
    mr_avro_encoder_close(&encoder);
    assert_int_equal(mr_avro_encoder_open(schema, (int[]){9}, 1, 1, &encoder, &error), MR_EINVALID);
    assert_null(encoder);
    mr_buf_fini(&out);
    mr_schema_close(&schema);
}

static void long_texts_make_the_buffer_grow(void **state)
{
    (void)state;
    mr_schema *schema = parse("{\"name\":\"a\",\"type\":\"string\"},{\"name\":\"b\",\"type\":\"bytes\"},"
                              "{\"name\":\"c\",\"type\":\"string\"}");
    mr_avro_encoder *encoder = open_encoder(schema, NULL, 0, 1);
    mr_avro_decoder *decoder = open_decoder(schema, schema);
    char *text = malloc(100000);
    assert_non_null(text);
    memset(text, 'x', 100000);
    for (uint32_t size = 0; size < 100000; size = size * 2 + 1) {
        mr_value row[] = {{MR_TYPE_STRING, size, {.data = text}},
                          {MR_TYPE_BYTES, size / 3, {.data = text}},
                          {MR_TYPE_STRING, 100000 - size, {.data = text}}};
        mr_value back[3];
        mr_buf out = {0};
        mr_error error;
        assert_int_equal(mr_avro_encode(encoder, row, &out, &error), MR_OK);
        mr_slice body = {out.data + MR_WIRE_HEADER_BYTES, out.size - MR_WIRE_HEADER_BYTES};
        assert_int_equal(mr_avro_decode(decoder, body, back, &error), MR_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(back[i].size, row[i].size);
        mr_buf_fini(&out);
    }
    free(text);
    mr_avro_encoder_close(&encoder);
    mr_avro_decoder_close(&decoder);
    mr_schema_close(&schema);
}

static void values_that_do_not_fit_are_bugs_and_leave_no_bytes(void **state)
{
    (void)state;
    mr_schema *schema =
        parse("{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"b\",\"type\":[\"null\",\"boolean\"]}");
    mr_avro_encoder *encoder = open_encoder(schema, NULL, 0, 1);
    const mr_value rows[][2] = {{NOTHING, BOOL(1)},
                                {LONG(1), BOOL(1)},
                                {INT(INT64_C(1) << 31), BOOL(1)},
                                {INT(1), BOOL(2)},
                                {INT(1), INT(1)}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mr_buf out = {0};
        mr_error error;
        assert_int_equal(mr_avro_encode(encoder, rows[i], &out, &error), MR_EBUG);
        assert_non_null(strstr(error.text, i < 3 ? "column \"i\" of \"t\"" : "column \"b\" of \"t\""));
        assert_int_equal(out.size, 0);
        mr_buf_fini(&out);
    }
    mr_avro_encoder_close(&encoder);
    mr_schema_close(&schema);
}

static void fields_that_were_not_written_get_their_default_or_null(void **state)
{
    (void)state;
    mr_schema *writer = parse("{\"name\":\"gone\",\"type\":\"string\"},{\"name\":\"a\",\"type\":\"int\"}");
    mr_schema *reader =
        parse("{\"name\":\"n\",\"type\":[\"null\",\"int\"]},{\"name\":\"a\",\"type\":[\"null\",\"int\"]},"
              "{\"name\":\"s\",\"type\":[\"string\",\"null\"],\"default\":\"none\"}");
    mr_avro_decoder *decoder = open_decoder(writer, reader);
    mr_value row[3];
    mr_error error;
    assert_int_equal(mr_avro_decode(decoder, MR_SLICE_LITERAL("\x04zz\x0A"), row, &error), MR_OK);
    assert_int_equal(row[0].type, MR_TYPE_NULL);
    assert_int_equal(row[1].type, MR_TYPE_INT);
    assert_int_equal(row[1].integer, 5);
    assert_true(mr_slice_equal((mr_slice){row[2].data, row[2].size}, MR_SLICE_LITERAL("none")));
    mr_avro_decoder_close(&decoder);
    mr_schema_close(&writer);
    mr_schema_close(&reader);
}

static void a_reader_that_cannot_read_the_writer_is_refused(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        {"{\"name\":\"a\",\"type\":\"int\"}", "{\"name\":\"a\",\"type\":\"string\"}",
         "field \"a\": it was written as int, not string"},
        {"{\"name\":\"a\",\"type\":[\"null\",\"int\"]}", "{\"name\":\"a\",\"type\":\"int\"}",
         "it was written as nullable int, not int"},
        {"{\"name\":\"a\",\"type\":\"int\"}", "{\"name\":\"b\",\"type\":\"int\"}",
         "field \"b\" was not written and has no default"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        mr_schema *writer = parse(pairs[i][0]), *reader = parse(pairs[i][1]);
        mr_avro_decoder *decoder = NULL;
        mr_error error;
        assert_int_equal(mr_avro_decoder_open(writer, reader, &decoder, &error), MR_EINVALID);
        assert_non_null(strstr(error.text, pairs[i][2]));
        assert_null(decoder);
        mr_schema_close(&writer);
        mr_schema_close(&reader);
    }
}

/* Decodes a body of one field from memory of exactly its size. */
static void assert_body_refused(const char *type, const char *data, size_t size, const char *reason)
{
    char field[100];
    snprintf(field, sizeof field, "{\"name\":\"x\",\"type\":%s}", type);
    mr_schema *schema = parse(field);
    mr_avro_decoder *decoder = open_decoder(schema, schema);
    char *body = malloc(size);
    memcpy(body, data, size);
    mr_value value;
    mr_error error;
    if (mr_avro_decode(decoder, (mr_slice){body, size}, &value, &error) != MR_EINVALID)
        fail_msg("%s: accepted instead of: %s", type, reason);
    assert_int_equal(error.class, MR_DATA);
    if (strstr(error.text, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
    free(body);
    mr_avro_decoder_close(&decoder);
    mr_schema_close(&schema);
}

#define REFUSED(type, bytes, reason) assert_body_refused(type, bytes, sizeof(bytes) - 1, reason)

static void hostile_bodies_are_refused(void **state)
{
    (void)state;
    REFUSED("\"int\"", "", "field \"x\": the record is cut short");
    REFUSED("\"int\"", "\x80", "cut short");
    REFUSED("\"int\"", "\x80\x80\x80\x80\x80\x00", "too many bytes");
    REFUSED("\"int\"", "\xFF\xFF\xFF\xFF\x1F", "too large");
    REFUSED("\"long\"", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", "too large");
    REFUSED("\"long\"", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "too many bytes");
    REFUSED("\"boolean\"", "\x02", "neither 0 nor 1");
    REFUSED("\"boolean\"", "", "cut short");
    REFUSED("\"float\"", "\x00\x00\x00", "cut short");
    REFUSED("\"double\"", "\x00\x00\x00\x00\x00\x00\x00", "cut short");
    REFUSED("\"string\"", "\x01", "length is negative");
    REFUSED("\"string\"", "\x06zz", "cut short");
    REFUSED("\"bytes\"", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "cut short");
    REFUSED("\"bytes\"", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "length is negative");
    REFUSED("\"string\"", "\x04\xC3\x28", "not valid UTF-8");
    REFUSED("\"string\"", "\x02\x00", "not valid UTF-8");
    REFUSED("[\"null\",\"int\"]", "\x04", "no such branch");
    REFUSED("[\"null\",\"int\"]", "\x01", "no such branch");
    REFUSED("[\"null\",\"int\"]", "", "cut short");
    REFUSED("[\"null\",\"int\"]", "\x00\x00", "1 bytes follow the last field");
    REFUSED("\"int\"", "\x00\x00\x00", "2 bytes follow the last field");
}

static void the_largest_integers_survive(void **state)
{
    (void)state;
    mr_schema *schema = parse("{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"l\",\"type\":\"long\"}");
    mr_avro_encoder *encoder = open_encoder(schema, NULL, 0, 1);
    mr_avro_decoder *decoder = open_decoder(schema, schema);
    const mr_value rows[][2] = {{INT(INT32_MAX), LONG(INT64_MAX)}, {INT(INT32_MIN), LONG(INT64_MIN)}};
    for (int i = 0; i < 2; i++) {
        mr_buf out = {0};
        mr_value back[2];
        mr_error error;
        assert_int_equal(mr_avro_encode(encoder, rows[i], &out, &error), MR_OK);
        mr_slice body = {out.data + MR_WIRE_HEADER_BYTES, out.size - MR_WIRE_HEADER_BYTES};
        assert_int_equal(mr_avro_decode(decoder, body, back, &error), MR_OK);
        assert_true(back[0].integer == rows[i][0].integer && back[1].integer == rows[i][1].integer);
        mr_buf_fini(&out);
    }
    mr_avro_encoder_close(&encoder);
    mr_avro_decoder_close(&decoder);
    mr_schema_close(&schema);
}

static void a_message_is_split_into_schema_id_and_body(void **state)
{
    (void)state;
    uint32_t id = 0;
    mr_slice body;
    mr_error error;
    assert_int_equal(mr_wire_split((mr_slice){"\0\xFF\x02\x03\x04zz", 7}, &id, &body, &error), MR_OK);
    assert_int_equal(id, 0xFF020304);
    assert_true(mr_slice_equal(body, MR_SLICE_LITERAL("zz")));
    assert_int_equal(mr_wire_split((mr_slice){"\0\0\0\0\x01", 5}, &id, &body, &error), MR_OK);
    assert_int_equal(body.size, 0);
    assert_int_equal(mr_wire_split((mr_slice){"\0\0\0\0", 4}, &id, &body, &error), MR_EINVALID);
    assert_int_equal(error.class, MR_DATA);
    assert_int_equal(mr_wire_split((mr_slice){"{\0\0\0\x01", 5}, &id, &body, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, "0x7B"));
    assert_int_equal(mr_wire_split((mr_slice){NULL, 0}, &id, &body, &error), MR_EINVALID);
}

/* No damage to a body makes the decoder read outside it (the sanitizer tells) or give a value outside it. */
static void damaged_bodies_never_lead_outside(void **state)
{
    (void)state;
    mr_schema *schema = parse(all_types);
    mr_avro_encoder *encoder = open_encoder(schema, NULL, 0, 1);
    mr_avro_decoder *decoder = open_decoder(schema, schema);
    mr_value row[] = {BOOL(1),           INT(-64),   LONG(1 << 20),
                      FLOAT(1.5),        DOUBLE(-2), TEXT("foo"),
                      BYTES("\x00\xFF"), INT(5),     TEXT("quite a long text")};
    mr_buf out = {0};
    mr_error error;
    assert_int_equal(mr_avro_encode(encoder, row, &out, &error), MR_OK);
    size_t size = out.size - MR_WIRE_HEADER_BYTES;
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t at = 0; at < cut; at++) {
            for (int damage = 0; damage < 256; damage++) {
                char *body = malloc(cut);
                assert_non_null(body);
                memcpy(body, out.data + MR_WIRE_HEADER_BYTES, cut);
                body[at] = (char)damage;
                mr_value back[9];
                mr_err err = mr_avro_decode(decoder, (mr_slice){body, cut}, back, &error);
                if (err == MR_OK && back[8].type == MR_TYPE_STRING)
                    assert_true(back[8].data + back[8].size <= body + cut);
                else if (err != MR_OK)
                    assert_int_equal(error.class, MR_DATA);
                free(body);
            }
        }
    }
    mr_buf_fini(&out);
    mr_avro_encoder_close(&encoder);
    mr_avro_decoder_close(&decoder);
    mr_schema_close(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_encoded_as_the_specification_says),
        cmocka_unit_test(columns_select_and_order_what_is_encoded),
        cmocka_unit_test(long_texts_make_the_buffer_grow),
        cmocka_unit_test(values_that_do_not_fit_are_bugs_and_leave_no_bytes),
        cmocka_unit_test(fields_that_were_not_written_get_their_default_or_null),
        cmocka_unit_test(a_reader_that_cannot_read_the_writer_is_refused),
        cmocka_unit_test(hostile_bodies_are_refused),
        cmocka_unit_test(the_largest_integers_survive),
        cmocka_unit_test(a_message_is_split_into_schema_id_and_body),
        cmocka_unit_test(damaged_bodies_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
