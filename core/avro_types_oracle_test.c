/* Random schemas of all types, nested and logical: a value is made once as JSON and once, by other means, as
 * libavro's. Our reading of the JSON, encoded, must be libavro's bytes; these, decoded by us, must print as
 * that JSON. */
#include "core/avro.h"
#include "core/json_row.h"
#include "core/plain_value.h"

#include <avro.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { SCHEMAS = 400, ROWS = 20, DEPTH = 4 };

static uint64_t seed = 11;

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

static void add(mr_buf *out, const char *text)
{
    assert_int_equal(mr_buf_append(out, text, strlen(text)), MR_OK);
}

/* --- schemas --- */

static int names;

static void random_type(mr_buf *out, int depth);

static void random_fields(mr_buf *out, int depth)
{
    size_t count = 1 + random_below(5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mr_buf_printf(out, "%s{\"name\":\"f%zu\",\"type\":", i > 0 ? "," : "", i), MR_OK);
        random_type(out, depth);
        add(out, "}");
    }
}

static void random_single(mr_buf *out, int depth)
{
    static const char *const plain[] = {
        "\"boolean\"",
        "\"int\"",
        "\"long\"",
        "\"float\"",
        "\"double\"",
        "\"bytes\"",
        "\"string\"",
        "{\"type\":\"int\",\"logicalType\":\"date\"}",
        "{\"type\":\"int\",\"logicalType\":\"time-millis\"}",
        "{\"type\":\"long\",\"logicalType\":\"time-micros\"}",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
        "{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}",
        "{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}",
        "{\"type\":\"string\",\"logicalType\":\"uuid\"}",
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":18,\"scale\":4}",
    };
    size_t kind = random_below(depth > 0 ? 13 : 10);
    if (kind < 7) {
        add(out, plain[random_below(sizeof plain / sizeof *plain)]);
        return;
    }
    int name = names++;
    switch (kind) {
    case 7:
        assert_int_equal(
            mr_buf_printf(out, "{\"type\":\"enum\",\"name\":\"E%d\",\"symbols\":[\"A\",\"b_1\",\"C\"]}",
                          name),
            MR_OK);
        break;
    case 8:
        assert_int_equal(mr_buf_printf(out, "{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":5}", name), MR_OK);
        break;
    case 9:
        assert_int_equal(mr_buf_printf(out,
                                       "{\"type\":\"fixed\",\"name\":\"D%d\",\"size\":9,\"logicalType\":"
                                       "\"decimal\",\"precision\":18,\"scale\":4}",
                                       name),
                         MR_OK);
        break;
    case 10:
        add(out, "{\"type\":\"array\",\"items\":");
        random_type(out, depth - 1);
        add(out, "}");
        break;
    case 11:
        add(out, "{\"type\":\"map\",\"values\":");
        random_type(out, depth - 1);
        add(out, "}");
        break;
    default:
        assert_int_equal(mr_buf_printf(out, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[", name),
                         MR_OK);
        random_fields(out, depth - 1);
        add(out, "]}");
        break;
    }
}

static void random_type(mr_buf *out, int depth)
{
    size_t form = random_below(4);
    add(out, form == 0 ? "[\"null\"," : form == 1 ? "[" : "");
    random_single(out, depth);
    add(out, form == 0 ? "]" : form == 1 ? ",\"null\"]" : "");
}

static void random_schema(mr_buf *out)
{
    names = 0;
    out->size = 0;
    add(out, "{\"type\":\"record\",\"name\":\"t\",\"fields\":[");
    random_fields(out, DEPTH);
    add(out, "]}");
}

/* --- values: as libavro's, and as JSON --- */

static json_t *fill(const mr_field *field, avro_value_t *to);

static json_t *fill_decimal(const mr_field *field, avro_value_t *to)
{
    char text[40];
    unsigned char bytes[9];
    size_t shift = random_below(60), size = 9;
    int64_t number = (int64_t)random_bits() % INT64_C(1000000000000000000) >> shift;
    for (size_t i = 0; i < 9; i++)
        bytes[i] = (unsigned char)(i == 0 ? (number < 0 ? 0xFF : 0) : (uint64_t)number >> (8 * (8 - i)));
    if (field->type == MR_TYPE_FIXED) {
        assert_int_equal(avro_value_set_fixed(to, bytes, 9), 0);
    } else {
        while (size > 1 && (int8_t)bytes[10 - size] >> 7 == (int8_t)bytes[9 - size] &&
               ((int8_t)bytes[9 - size] == 0 || (int8_t)bytes[9 - size] == -1))
            size--;
        assert_int_equal(avro_value_set_bytes(to, bytes + 9 - size, size), 0);
    }
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    snprintf(text, sizeof text, "%s%" PRIu64 ".%04" PRIu64, number < 0 ? "-" : "", magnitude / 10000,
             magnitude % 10000);
    return json_string(text);
}

static json_t *fill_uuid(avro_value_t *to)
{
    char text[40];
    snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012" PRIx64, (unsigned)random_bits(),
             (unsigned)random_below(65536), (unsigned)random_below(65536), (unsigned)random_below(65536),
             random_bits() >> 16);
    assert_int_equal(avro_value_set_string(to, text), 0);
    return json_string(text);
}

/* Days and seconds by the C library. */
static json_t *fill_time(const mr_field *field, avro_value_t *to)
{
    char text[80], fraction[20] = "";
    bool millis = field->logical == MR_LOGICAL_TIME_MILLIS || field->logical == MR_LOGICAL_TIMESTAMP_MILLIS ||
                  field->logical == MR_LOGICAL_LOCAL_TIMESTAMP_MILLIS;
    bool zoned =
        field->logical == MR_LOGICAL_TIMESTAMP_MILLIS || field->logical == MR_LOGICAL_TIMESTAMP_MICROS;
    bool time_only = field->logical == MR_LOGICAL_TIME_MILLIS || field->logical == MR_LOGICAL_TIME_MICROS;
    time_t seconds = (time_t)random_below(INT64_C(315569433600)) - INT64_C(62167219200); /* 0000 to 9999 */
    struct tm tm;
    if (field->logical == MR_LOGICAL_DATE) {
        seconds -= (seconds % 86400 + 86400) % 86400;
        assert_int_equal(avro_value_set_int(to, (int32_t)(seconds / 86400)), 0);
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(text, sizeof text, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        return json_string(text);
    }
    if (time_only)
        seconds = (seconds % 86400 + 86400) % 86400;
    int64_t unit = millis ? 1000 : 1000000, part = (int64_t)random_below((size_t)unit);
    int64_t number = seconds * unit + part;
    snprintf(fraction, sizeof fraction, millis ? "%03" PRId64 : "%06" PRId64, part);
    assert_non_null(gmtime_r(&seconds, &tm));
    char date[40];
    snprintf(date, sizeof date, "%04d-%02d-%02dT", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    snprintf(text, sizeof text, "%s%02d:%02d:%02d.%s%s", time_only ? "" : date, tm.tm_hour, tm.tm_min,
             tm.tm_sec, fraction, zoned ? "Z" : "");
    assert_int_equal(field->type == MR_TYPE_INT ? avro_value_set_int(to, (int32_t)number)
                                                : avro_value_set_long(to, number),
                     0);
    return json_string(text);
}

/* Characters up to U+00FF, and the bytes that they stand for. */
static json_t *random_bytes(unsigned char *bytes, size_t size)
{
    char text[64];
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(1 + random_below(255));
        if (bytes[i] >= 0x80)
            text[used++] = (char)(0xC0 | bytes[i] >> 6);
        text[used++] = (char)(bytes[i] >= 0x80 ? 0x80 | (bytes[i] & 0x3F) : bytes[i]);
    }
    return json_stringn(text, used);
}

static json_t *fill_record(const mr_field *field, avro_value_t *to)
{
    json_t *object = json_object();
    for (size_t i = 0; i < field->shape->count; i++) {
        avro_value_t member;
        assert_int_equal(avro_value_get_by_index(to, i, &member, NULL), 0);
        json_object_set_new(object, field->shape->fields[i].name, fill(&field->shape->fields[i], &member));
    }
    return object;
}

static json_t *fill_elements(const mr_field *field, avro_value_t *to)
{
    bool map = field->type == MR_TYPE_MAP;
    json_t *json = map ? json_object() : json_array();
    size_t count = random_below(4);
    for (size_t i = 0; i < count; i++) {
        char key[40];
        avro_value_t element;
        snprintf(key, sizeof key, "k%zu \xC3\xA9 \"%zu\"\n", i, random_below(1000));
        if (map) {
            assert_int_equal(avro_value_add(to, key, &element, NULL, NULL), 0);
            json_object_set_new(json, key, fill(&field->shape->fields[0], &element));
        } else {
            assert_int_equal(avro_value_append(to, &element, NULL), 0);
            json_array_append_new(json, fill(&field->shape->fields[0], &element));
        }
    }
    return json;
}

static json_t *fill_plain(const mr_field *field, avro_value_t *to)
{
    uint64_t bits = random_bits() >> random_below(64);
    unsigned char bytes[20];
    json_t *json;
    switch (field->type) {
    case MR_TYPE_BOOLEAN:
        assert_int_equal(avro_value_set_boolean(to, (int)(bits & 1)), 0);
        return json_boolean(bits & 1);
    case MR_TYPE_INT:
        assert_int_equal(avro_value_set_int(to, (int32_t)(uint32_t)bits), 0);
        return json_integer((int32_t)(uint32_t)bits);
    case MR_TYPE_LONG:
        assert_int_equal(avro_value_set_long(to, (int64_t)bits), 0);
        return json_integer((int64_t)bits);
    case MR_TYPE_FLOAT:
        assert_int_equal(avro_value_set_float(to, (float)(bits >> 48) + 0.5F), 0);
        return json_real((double)(bits >> 48) + 0.5);
    case MR_TYPE_DOUBLE:
        assert_int_equal(avro_value_set_double(to, (double)bits / 1000.0 + 0.0001), 0);
        return json_real((double)bits / 1000.0 + 0.0001);
    case MR_TYPE_ENUM:
        assert_int_equal(avro_value_set_enum(to, (int)(bits % 3)), 0);
        return json_string(field->shape->symbols[bits % 3]);
    case MR_TYPE_STRING:
        assert_int_equal(avro_value_set_string(to, "h\xC3\xA9llo \"w\\rld\"\t\x01"), 0);
        return json_string("h\xC3\xA9llo \"w\\rld\"\t\x01");
    case MR_TYPE_BYTES:
        json = random_bytes(bytes, bits % 20);
        assert_int_equal(avro_value_set_bytes(to, bytes, bits % 20), 0);
        return json;
    case MR_TYPE_FIXED:
        json = random_bytes(bytes, 5);
        assert_int_equal(avro_value_set_fixed(to, bytes, 5), 0);
        return json;
    case MR_TYPE_RECORD:
        return fill_record(field, to);
    case MR_TYPE_ARRAY:
    case MR_TYPE_MAP:
        return fill_elements(field, to);
    case MR_TYPE_NULL:
        break;
    }
    return NULL;
}

static json_t *fill(const mr_field *field, avro_value_t *to)
{
    avro_value_t branch = *to;
    if (field->nullable) {
        bool null = random_below(3) == 0;
        assert_int_equal(avro_value_set_branch(to, null != field->null_first, &branch), 0);
        if (null) {
            assert_int_equal(avro_value_set_null(&branch), 0);
            return json_null();
        }
    }
    switch (field->logical) {
    case MR_LOGICAL_NONE:
        return fill_plain(field, &branch);
    case MR_LOGICAL_DECIMAL:
        return fill_decimal(field, &branch);
    case MR_LOGICAL_UUID:
        return fill_uuid(&branch);
    default:
        return fill_time(field, &branch);
    }
}

/* --- comparison --- */

typedef struct both {
    mr_schema *schema;
    const mr_field *fields;
    size_t count;
    mr_json_rows *rows;
    mr_avro_encoder *encoder;
    mr_avro_decoder *decoder;
    avro_schema_t oracle_schema;
    avro_value_iface_t *oracle_class;
    mr_arena arena;
    mr_buf out;
    mr_value *back;
} both;

static void open_both(both *b, mr_slice text)
{
    mr_error error;
    *b = (both){0};
    if (mr_schema_parse(text, NULL, NULL, &b->schema, &error) != MR_OK)
        fail_msg("%.*s: %s", (int)text.size, text.data, error.text);
    b->fields = mr_schema_fields(b->schema, &b->count);
    assert_int_equal(mr_json_rows_open(b->schema, &b->rows, &error), MR_OK);
    assert_int_equal(mr_avro_encoder_open(b->schema, NULL, 0, 1, &b->encoder, &error), MR_OK);
    assert_int_equal(mr_avro_decoder_open(b->schema, b->schema, &b->decoder, &error), MR_OK);
    assert_int_equal(avro_schema_from_json_length(text.data, text.size, &b->oracle_schema), 0);
    b->oracle_class = avro_generic_class_from_schema(b->oracle_schema);
    assert_non_null(b->oracle_class);
    b->back = calloc(b->count, sizeof *b->back);
}

static void close_both(both *b)
{
    mr_avro_encoder_close(&b->encoder);
    mr_avro_decoder_close(&b->decoder);
    mr_json_rows_close(&b->rows);
    mr_schema_close(&b->schema);
    avro_value_iface_decref(b->oracle_class);
    avro_schema_decref(b->oracle_schema);
    mr_arena_fini(&b->arena);
    mr_buf_fini(&b->out);
    free(b->back);
}

static void encode_as_libavro(both *b, const char *line, mr_slice oracle)
{
    const mr_value *values;
    mr_error error;
    mr_arena_reset(&b->arena);
    if (mr_json_row(b->rows, mr_slice_of(line), &b->arena, &values, &error) != MR_OK)
        fail_msg("%s\n%s", line, error.text);
    b->out.size = 0;
    assert_int_equal(mr_avro_encode(b->encoder, values, &b->out, &error), MR_OK);
    mr_slice body = {b->out.data + MR_WIRE_HEADER_BYTES, b->out.size - MR_WIRE_HEADER_BYTES};
    if (!mr_slice_equal(body, oracle))
        fail_msg("other bytes than libavro's: %.*s\n%s", (int)mr_schema_text(b->schema).size,
                 mr_schema_text(b->schema).data, line);
}

static void decode_to_json(both *b, json_t *expected, mr_slice body)
{
    mr_error error;
    if (mr_avro_decode(b->decoder, body, b->back, &error) != MR_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < b->count; i++) {
        b->out.size = 0;
        assert_int_equal(mr_value_json(&b->fields[i], &b->back[i], &b->out, &error), MR_OK);
        json_t *printed =
            json_loadb(b->out.data, b->out.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        if (!json_equal(printed, json_object_get(expected, b->fields[i].name)))
            fail_msg("%.*s", (int)b->out.size, b->out.data);
        json_decref(printed);
    }
}

/* Each cut body is refused, or at least never read beyond its end. */
static void refuse_what_is_cut(both *b, mr_slice body)
{
    mr_error error;
    size_t size = random_below(body.size);
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, body.data, size);
    assert_int_equal(mr_avro_decode(b->decoder, (mr_slice){copy, size}, b->back, &error), MR_EINVALID);
    for (size_t i = 0; i < size; i++)
        copy[i] = (char)random_bits();
    (void)mr_avro_decode(b->decoder, (mr_slice){copy, size}, b->back, &error);
    free(copy);
}

static void compare_row(both *b)
{
    static char oracle_body[1 << 20];
    avro_value_t value;
    json_t *json = json_object();
    assert_int_equal(avro_generic_value_new(b->oracle_class, &value), 0);
    for (size_t i = 0; i < b->count; i++) {
        avro_value_t member;
        assert_int_equal(avro_value_get_by_index(&value, i, &member, NULL), 0);
        json_object_set_new(json, b->fields[i].name, fill(&b->fields[i], &member));
    }
    avro_writer_t writer = avro_writer_memory(oracle_body, sizeof oracle_body);
    assert_int_equal(avro_value_write(writer, &value), 0);
    mr_slice oracle = {oracle_body, (size_t)avro_writer_tell(writer)};
    char *line = json_dumps(json, JSON_REAL_PRECISION(17) | JSON_ENSURE_ASCII * (random_bits() & 1));
    encode_as_libavro(b, line, oracle);
    decode_to_json(b, json, oracle);
    refuse_what_is_cut(b, oracle);
    free(line);
    json_decref(json);
    avro_writer_free(writer);
    avro_value_decref(&value);
}

static void values_of_all_types_are_those_of_libavro(void **state)
{
    (void)state;
    mr_buf text = {0};
    for (int i = 0; i < SCHEMAS; i++) {
        both b;
        random_schema(&text);
        open_both(&b, mr_buf_slice(&text));
        for (int j = 0; j < ROWS; j++)
            compare_row(&b);
        close_both(&b);
    }
    mr_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_of_all_types_are_those_of_libavro)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
