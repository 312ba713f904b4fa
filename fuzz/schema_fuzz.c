/* schema_fuzz.c - a schema, a NUL, and a record's body. What decodes is encoded and decoded to the same. */
#include "core/avro.h"
#include "fuzz/fuzz.h"

static void note(void *arg, const char *field, const char *text)
{
    (void)arg;
    FUZZ_CHECK(field[0] != '\0' && text[0] != '\0');
}

static void encode(const mr_schema *schema, const mr_value *row, mr_buf *out)
{
    mr_avro_encoder *encoder;
    mr_error error;
    FUZZ_CHECK(mr_avro_encoder_open(schema, NULL, 0, 1, &encoder, &error) == MR_OK);
    FUZZ_CHECK(mr_avro_encode(encoder, row, out, &error) == MR_OK);
    mr_avro_encoder_close(&encoder);
}

/* Varints and NaNs have several encodings; ours is one of them, so the second and the third are equal. */
static void round_trip(const mr_schema *schema, mr_avro_decoder *decoder, const mr_value *row,
                       mr_value *again)
{
    mr_buf first = {0}, second = {0};
    mr_error error;
    uint32_t id;
    mr_slice body;
    encode(schema, row, &first);
    FUZZ_CHECK(mr_wire_split(mr_buf_slice(&first), &id, &body, &error) == MR_OK && id == 1);
    FUZZ_CHECK(mr_avro_decode(decoder, body, again, &error) == MR_OK);
    encode(schema, again, &second);
    FUZZ_CHECK(mr_slice_equal(mr_buf_slice(&first), mr_buf_slice(&second)));
    mr_buf_fini(&first);
    mr_buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_slice body = {(const char *)data, size};
    const mr_slice text = fuzz_take(&body, '\0');
    mr_schema *schema, *key;
    mr_avro_decoder *decoder;
    mr_error error = {.text = ""};
    if (mr_schema_parse(text, note, NULL, &schema, &error) != MR_OK) {
        FUZZ_CHECK(strncmp(error.text, "schema: ", 8) == 0);
        return 0;
    }
    FUZZ_CHECK(mr_schema_may_follow(schema, schema, &error) == MR_OK);
    if (mr_schema_key(schema, (const int[]){0}, 1, &key, &error) == MR_OK)
        mr_schema_close(&key);
    size_t count;
    (void)mr_schema_fields(schema, &count);
    mr_value *rows = calloc(2 * count, sizeof *rows);
    FUZZ_CHECK(mr_avro_decoder_open(schema, schema, &decoder, &error) == MR_OK);
    if (mr_avro_decode(decoder, body, rows, &error) == MR_OK)
        round_trip(schema, decoder, rows, rows + count);
    mr_avro_decoder_close(&decoder);
    free(rows);
    mr_schema_close(&schema);
    return 0;
}
