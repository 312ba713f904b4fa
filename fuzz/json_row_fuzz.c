/* json_row_fuzz.c - rows of NDJSON: one line to a row of a fixed schema.
 *
 * What converts is encoded; what jansson reads is JSON to us as well. */
#include "core/avro.h"
#include "core/json_check.h"
#include "core/json_row.h"
#include "core/plain_value.h"
#include "fuzz/fuzz.h"

#include <jansson.h>

enum { COLUMNS_MAX = 20 };

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"i\",\"type\":\"int\",\"default\":1},"
    "{\"name\":\"l\",\"type\":[\"null\",\"long\"]},{\"name\":\"d\",\"type\":[\"null\",\"double\"]},"
    "{\"name\":\"f\",\"type\":[\"float\",\"null\"]},{\"name\":\"s\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"b\",\"type\":[\"null\",\"boolean\"]},{\"name\":\"x\",\"type\":\"bytes\",\"default\":\"\"},"
    "{\"name\":\"day\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]},"
    "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}]},"
    "{\"name\":\"n\",\"type\":[\"null\",{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":40,"
    "\"scale\":9}]},{\"name\":\"r\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},\"default\":\"A\"}"
    ","
    "{\"name\":\"f\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}]},"
    "{\"name\":\"m\",\"type\":[\"null\",{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":"
    "[\"null\",\"double\"]}}]}]}]}]}";

/* What is decoded, printed and read again is the same message. */
static void again(const mr_schema *schema, mr_json_rows *rows, mr_avro_encoder *encoder, mr_slice message)
{
    mr_avro_decoder *decoder;
    mr_arena arena = {0};
    mr_buf line = {0}, second = {0};
    mr_error error;
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    const mr_value *values;
    mr_value decoded[COLUMNS_MAX];
    const mr_slice body = {message.data + MR_WIRE_HEADER_BYTES, message.size - MR_WIRE_HEADER_BYTES};
    FUZZ_CHECK(count <= COLUMNS_MAX);
    FUZZ_CHECK(mr_avro_decoder_open(schema, schema, &decoder, &error) == MR_OK);
    FUZZ_CHECK(mr_avro_decode(decoder, body, decoded, &error) == MR_OK);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(mr_buf_printf(&line, "%s\"%s\":", i == 0 ? "{" : ",", fields[i].name) == MR_OK);
        FUZZ_CHECK(mr_value_json(&fields[i], &decoded[i], &line, &error) == MR_OK);
    }
    FUZZ_CHECK(mr_buf_append(&line, "}", 1) == MR_OK);
    FUZZ_CHECK(mr_json_row(rows, mr_buf_slice(&line), &arena, &values, &error) == MR_OK);
    FUZZ_CHECK(mr_avro_encode(encoder, values, &second, &error) == MR_OK);
    FUZZ_CHECK(mr_slice_equal(message, mr_buf_slice(&second)));
    mr_buf_fini(&line);
    mr_buf_fini(&second);
    mr_arena_fini(&arena);
    mr_avro_decoder_close(&decoder);
}

static void convert(mr_slice line)
{
    mr_schema *schema;
    mr_json_rows *rows;
    mr_avro_encoder *encoder;
    mr_arena arena = {0};
    mr_buf message = {0};
    const mr_value *values;
    mr_error error = {.text = ""};
    if (mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, &schema, &error) != MR_OK ||
        mr_json_rows_open(schema, &rows, &error) != MR_OK ||
        mr_avro_encoder_open(schema, NULL, 0, 1, &encoder, &error) != MR_OK)
        abort();
    const mr_err err = mr_json_row(rows, line, &arena, &values, &error);
    if (err == MR_OK) {
        FUZZ_CHECK(mr_avro_encode(encoder, values, &message, &error) == MR_OK);
        again(schema, rows, encoder, mr_buf_slice(&message));
    } else {
        FUZZ_CHECK(err == MR_EINVALID && error.class == MR_DATA && error.text[0] != '\0');
    }
    mr_buf_fini(&message);
    mr_arena_fini(&arena);
    mr_avro_encoder_close(&encoder);
    mr_json_rows_close(&rows);
    mr_schema_close(&schema);
}

static int depth_of(const json_t *json)
{
    int deepest = 0;
    size_t i;
    const char *name;
    json_t *child;
    json_array_foreach(json, i, child)
    {
        const int depth = depth_of(child);
        deepest = depth > deepest ? depth : deepest;
    }
    json_object_foreach((json_t *)json, name, child)
    {
        const int depth = depth_of(child);
        deepest = depth > deepest ? depth : deepest;
    }
    return json_is_array(json) || json_is_object(json) ? deepest + 1 : 0;
}

static void compare(mr_slice line)
{
    json_checker *checker;
    mr_error error;
    json_t *json =
        json_loadb(line.size > 0 ? line.data : "", line.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (json == NULL || memchr(line.data, '\0', line.size) != NULL) /* jansson passes over some */ {
        json_decref(json);
        return;
    }
    FUZZ_CHECK(json_checker_open(&checker, &error) == MR_OK);
    FUZZ_CHECK(json_check(checker, line, &error) == MR_OK || depth_of(json) > JSON_CHECK_DEPTH_MAX);
    json_checker_close(&checker);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mr_slice line = {(const char *)data, size};
    convert(line);
    compare(line);
    return 0;
}
