/* row_fuzz.c - cells to values and on to a record. Input: a CSV file whose header names the columns of a
 * fixed schema. What converts is encoded, and decodes. */
#include "connectors/files/columns.h"
#include "core/avro.h"
#include "fuzz/fuzz.h"

static const char text[] =
    "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"i\",\"type\":\"int\"},"
    "{\"name\":\"l\",\"type\":[\"null\",\"long\"]},{\"name\":\"d\",\"type\":[\"null\",\"double\"]},"
    "{\"name\":\"f\",\"type\":[\"float\",\"null\"]},{\"name\":\"s\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"b\",\"type\":[\"null\",\"boolean\"]},{\"name\":\"x\",\"type\":\"bytes\",\"default\":\"\"},"
    "{\"name\":\"day\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]},"
    "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}]},"
    "{\"name\":\"n\",\"type\":[\"null\",{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":40,"
    "\"scale\":9}]},{\"name\":\"tags\",\"type\":[\"null\",{\"type\":\"map\",\"values\":{\"type\":\"array\","
    "\"items\":\"long\"}}]}]}";

enum { FIELDS = 11 };

static ssize_t read_all(void *arg, char *data, size_t size)
{
    mr_slice *rest = arg;
    const size_t count = rest->size < size ? rest->size : size;
    if (count > 0)
        memcpy(data, rest->data, count);
    *rest = (mr_slice){rest->data + count, rest->size - count};
    return (ssize_t)count;
}

static void record(mr_avro_encoder *encoder, mr_avro_decoder *decoder, const mr_value *values)
{
    mr_buf message = {0};
    mr_error error;
    mr_value decoded[FIELDS];
    FUZZ_CHECK(mr_avro_encode(encoder, values, &message, &error) == MR_OK);
    const mr_slice body = {message.data + MR_WIRE_HEADER_BYTES, message.size - MR_WIRE_HEADER_BYTES};
    FUZZ_CHECK(mr_avro_decode(decoder, body, decoded, &error) == MR_OK);
    for (size_t i = 0; i < FIELDS; i++)
        FUZZ_CHECK(decoded[i].type == values[i].type);
    mr_buf_fini(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_slice rest = {(const char *)data, size};
    const mr_csv_dialect dialect = {.quote = '"', .max_row_bytes = 65536};
    mr_arena arena = {0};
    mr_schema *schema;
    csv_columns *columns;
    mr_csv *csv;
    mr_avro_encoder *encoder;
    mr_avro_decoder *decoder;
    mr_error error;
    if (mr_schema_parse(mr_slice_of(text), NULL, NULL, &schema, &error) != MR_OK ||
        columns_open(schema, "[\"NA\"]", &columns, &error) != MR_OK ||
        mr_csv_open(&dialect, read_all, &rest, &csv, &error) != MR_OK ||
        mr_avro_encoder_open(schema, NULL, 0, 1, &encoder, &error) != MR_OK ||
        mr_avro_decoder_open(schema, schema, &decoder, &error) != MR_OK)
        abort();
    mr_csv_row row;
    bool end, header = true;
    while (mr_csv_next(csv, &row, &end, &error) == MR_OK && !end) {
        const mr_value *values;
        if (row.problem != NULL)
            continue;
        if (header && columns_from_header(columns, &row, &error) != MR_OK)
            columns_without_header(columns);
        else if (columns_convert(columns, &row, &arena, &values, &error) == MR_OK)
            record(encoder, decoder, values);
        header = false;
        mr_arena_reset(&arena);
    }
    mr_avro_decoder_close(&decoder);
    mr_avro_encoder_close(&encoder);
    mr_csv_close(&csv);
    columns_close(&columns);
    mr_schema_close(&schema);
    mr_arena_fini(&arena);
    return 0;
}
