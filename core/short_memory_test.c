/* Each allocation of the record code fails in turn: it must say so, and leave nothing behind (the leak
 * checker of the address sanitizer tells). Linked with malloc, calloc and realloc wrapped. */
#include "core/avro.h"
#include "core/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static long allocations_left; /* negative: without end */

static bool fails(void)
{
    if (allocations_left == 0)
        return true;
    allocations_left -= allocations_left > 0;
    return false;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

/* Runs `work` with 0, 1, 2... allocations until it succeeds. */
static void fail_each_allocation_of(mr_err (*work)(mr_error *ret_error))
{
    mr_error error;
    mr_err err = MR_ENOMEM;
    for (long count = 0; err != MR_OK; count++) {
        allocations_left = count;
        err = work(&error);
        allocations_left = -1;
        if (err != MR_OK && err != MR_ENOMEM)
            fail_msg("after %ld allocations: %s", count, error.text);
        assert_true(count < 1000);
    }
}

static mr_err make_schemas(mr_error *ret_error)
{
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
        "{\"name\":\"b\",\"type\":[\"null\",{\"type\":\"string\"}],\"default\":null},"
        "{\"name\":\"c\",\"type\":\"bytes\",\"default\":\"xyz\"}]}";
    mr_schema *schema = NULL, *key = NULL;
    mr_err err = mr_schema_parse(MR_SLICE_LITERAL(text), NULL, NULL, &schema, ret_error);
    if (err == MR_OK)
        err = mr_schema_key(schema, (int[]){0, 2}, 2, &key, ret_error);
    mr_schema_close(&schema);
    mr_schema_close(&key);
    return err;
}

static void schemas_say_that_memory_is_short(void **state)
{
    (void)state;
    fail_each_allocation_of(make_schemas);
}

static mr_schema *one_string;

static mr_err encode_and_decode(mr_error *ret_error)
{
    static char text[5000];
    mr_avro_encoder *encoder = NULL;
    mr_avro_decoder *decoder = NULL;
    mr_buf out = {0};
    mr_value row = {MR_TYPE_STRING, sizeof text, {.data = text}};
    mr_err err = mr_avro_encoder_open(one_string, NULL, 0, 1, &encoder, ret_error);
    if (err == MR_OK)
        err = mr_avro_decoder_open(one_string, one_string, &decoder, ret_error);
    if (err == MR_OK)
        err = mr_avro_encode(encoder, &row, &out, ret_error);
    if (err != MR_OK)
        assert_int_equal(out.size, 0);
    mr_buf_fini(&out);
    mr_avro_decoder_close(&decoder);
    mr_avro_encoder_close(&encoder);
    return err;
}

static void avro_plans_and_buffers_say_that_memory_is_short(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}";
    allocations_left = -1;
    assert_int_equal(mr_schema_parse(MR_SLICE_LITERAL(text), NULL, NULL, &one_string, NULL), MR_OK);
    fail_each_allocation_of(encode_and_decode);
    mr_schema_close(&one_string);
}

/* 300 KB of many fields, a doubled quote and a row beyond the bound: all that grows must grow. */
static ssize_t read_rows(void *arg, char *data, size_t size)
{
    size_t *at = arg;
    size_t left = 300 * 1000 - *at;
    size = size < left ? size : left;
    for (size_t i = 0; i < size; i++, ++*at)
        data[i] = *at < 100                    ? ','
                  : *at == 100                 ? '\n'
                  : *at < 104 || *at == 200000 ? '"'
                  : *at == 200001              ? '\n'
                                               : 'x';
    return (ssize_t)size;
}

static mr_err read_all_rows(mr_error *ret_error)
{
    mr_csv *csv = NULL;
    size_t at = 0;
    bool end = false;
    mr_csv_row row;
    mr_err err = mr_csv_open(&(mr_csv_dialect){',', '"', 250 * 1000}, read_rows, &at, &csv, ret_error);
    while (err == MR_OK && !end)
        err = mr_csv_next(csv, &row, &end, ret_error);
    mr_csv_close(&csv);
    return err;
}

static void a_csv_reader_says_that_memory_is_short(void **state)
{
    (void)state;
    fail_each_allocation_of(read_all_rows);
}

int main(void)
{
    allocations_left = -1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avro_plans_and_buffers_say_that_memory_is_short),
        cmocka_unit_test(a_csv_reader_says_that_memory_is_short),
        cmocka_unit_test(schemas_say_that_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
