#include "bus/embedded/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RECORDS = 6 };

/* A batch with all a record may have, and a gap. */
static void fill(embedded_batch *batch)
{
    static const mr_header headers[] = {
        {MR_SLICE_LITERAL("millrace.run"), MR_SLICE_LITERAL("3:ab")},
        {MR_SLICE_LITERAL("none"), {NULL, 0}},
    };
    const mr_record records[RECORDS] = {
        {.key = MR_SLICE_LITERAL("k"), .value = MR_SLICE_LITERAL("v"), .timestamp_ms = 1700000000000},
        {.value = MR_SLICE_LITERAL("no key"), .timestamp_ms = 1700000000001},
        {.key = MR_SLICE_LITERAL("tombstone"), .timestamp_ms = 1699999999999},
        {.key = MR_SLICE_LITERAL(""), .value = MR_SLICE_LITERAL(""), .timestamp_ms = INT64_MIN},
        {.value = MR_SLICE_LITERAL("x"), .headers = headers, .header_count = 2, .timestamp_ms = INT64_MAX},
        {.value = MR_SLICE_LITERAL("last"), .timestamp_ms = 1700000000000},
    };
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_int_equal(embedded_batch_append(batch, &records[i], i == 3 ? 200 : 0), MR_OK);
}

static mr_err decode(mr_slice blob, int64_t from, size_t max_bytes, mr_arena *arena, mr_record *records,
                     size_t *ret_count, bool *ret_cut, mr_error *ret_error)
{
    size_t bytes;
    embedded_batch_window window = {
        .base_offset = 1000, .from_offset = from, .max_bytes = max_bytes, .minimum = 1};
    return embedded_batch_decode(blob, &window, arena, records, ret_count, &bytes, ret_cut, ret_error);
}

static void test_offsets_and_times_come_back_over_gaps(void **state)
{
    static const int64_t offsets[RECORDS] = {1000, 1001, 1002, 1203, 1204, 1205};
    embedded_batch batch = {.count = 0};
    mr_arena arena = {0};
    mr_record records[RECORDS];
    size_t count = 0;
    bool cut = true;
    (void)state;
    fill(&batch);
    assert_int_equal(batch.count, RECORDS);
    assert_int_equal(batch.span, 205);
    assert_true(batch.newest_ms == INT64_MAX);
    assert_int_equal(decode(mr_buf_slice(&batch.data), 0, 10000, &arena, records, &count, &cut, NULL), MR_OK);
    assert_int_equal(count, RECORDS);
    assert_false(cut);
    for (size_t i = 0; i < RECORDS; i++)
        assert_int_equal(records[i].offset, offsets[i]);
    assert_true(records[3].timestamp_ms == INT64_MIN);
    assert_true(records[4].timestamp_ms == INT64_MAX);
    assert_int_equal(records[4].header_count, 2);
    assert_null(records[4].headers[1].value.data);
    mr_arena_fini(&arena);
    embedded_batch_fini(&batch);
}

static void test_decoding_starts_and_stops_inside_a_batch(void **state)
{
    embedded_batch batch = {.count = 0};
    mr_arena arena = {0};
    mr_record records[RECORDS];
    size_t count = 0;
    bool cut = false;
    (void)state;
    fill(&batch);
    mr_slice blob = mr_buf_slice(&batch.data);
    assert_int_equal(decode(blob, 1003, 0, &arena, records, &count, &cut, NULL), MR_OK);
    assert_int_equal(count, 1);
    assert_true(cut);
    assert_int_equal(records[0].offset, 1203);
    assert_int_equal(decode(blob, 1205, 0, &arena, records, &count, &cut, NULL), MR_OK);
    assert_int_equal(count, 1);
    assert_false(cut);
    assert_int_equal(decode(blob, 1206, 0, &arena, records, &count, &cut, NULL), MR_OK);
    assert_int_equal(count, 0);
    mr_arena_fini(&arena);
    embedded_batch_fini(&batch);
}

static void test_a_batch_cut_short_is_refused(void **state)
{
    embedded_batch batch = {.count = 0};
    mr_arena arena = {0};
    mr_record records[RECORDS];
    size_t count;
    bool cut;
    mr_error error;
    (void)state;
    fill(&batch);
    for (size_t size = 0; size < batch.data.size; size++) {
        char *exact = malloc(size + 1); /* so that the sanitizer sees a read beyond it */
        assert_non_null(exact);
        memcpy(exact, batch.data.data, size);
        mr_slice blob = {realloc(exact, size == 0 ? 1 : size), size};
        assert_int_equal(decode(blob, 0, 10000, &arena, records, &count, &cut, &error), MR_EINVALID);
        free((char *)blob.data);
    }
    mr_arena_fini(&arena);
    embedded_batch_fini(&batch);
}

/* Whatever a byte is changed to: refused, or decoded within what embedded_batch_count() has promised. */
static void test_no_changed_byte_leads_beyond_the_batch(void **state)
{
    embedded_batch batch = {.count = 0};
    mr_arena arena = {0};
    (void)state;
    fill(&batch);
    mr_slice blob = mr_buf_slice(&batch.data);
    for (size_t i = 0; i < blob.size; i++) {
        char kept = batch.data.data[i];
        for (int change = 1; change < 256; change++) {
            size_t promised = 0, count = 0;
            bool cut;
            batch.data.data[i] = (char)(kept ^ change);
            if (embedded_batch_count(blob, &promised, NULL) != MR_OK)
                continue;
            mr_record *records = calloc(promised, sizeof *records);
            assert_non_null(records);
            if (decode(blob, 0, 10000, &arena, records, &count, &cut, NULL) == MR_OK)
                assert_true(count <= promised);
            free(records);
            mr_arena_reset(&arena);
        }
        batch.data.data[i] = kept;
    }
    mr_arena_fini(&arena);
    embedded_batch_fini(&batch);
}

static void test_bytes_behind_the_last_record_are_refused(void **state)
{
    embedded_batch batch = {.count = 0};
    mr_arena arena = {0};
    mr_record records[RECORDS];
    size_t count;
    bool cut;
    (void)state;
    fill(&batch);
    assert_int_equal(mr_buf_append(&batch.data, "\0\0\0\0\0", 5), MR_OK);
    assert_int_equal(decode(mr_buf_slice(&batch.data), 0, 10000, &arena, records, &count, &cut, NULL),
                     MR_EINVALID);
    mr_arena_fini(&arena);
    embedded_batch_fini(&batch);
}

static void test_a_count_that_cannot_be_is_refused_before_memory_is_taken(void **state)
{
    embedded_batch batch = {.count = 0};
    size_t count;
    (void)state;
    fill(&batch);
    memset(batch.data.data + 1, 0xff, 4);
    assert_int_equal(embedded_batch_count(mr_buf_slice(&batch.data), &count, NULL), MR_EINVALID);
    memset(batch.data.data + 1, 0, 4);
    assert_int_equal(embedded_batch_count(mr_buf_slice(&batch.data), &count, NULL), MR_EINVALID);
    embedded_batch_fini(&batch);
}

static void test_a_batch_is_full_by_bytes_or_by_records(void **state)
{
    embedded_batch batch = {.count = 0};
    char large[EMBEDDED_BATCH_BYTES] = {0};
    mr_record small_record = {.value = MR_SLICE_LITERAL("v")};
    mr_record large_record = {.value = {large, sizeof large}};
    (void)state;
    for (int i = 0; i < EMBEDDED_BATCH_RECORDS; i++) {
        assert_false(embedded_batch_full(&batch));
        assert_int_equal(embedded_batch_append(&batch, &small_record, 0), MR_OK);
    }
    assert_true(embedded_batch_full(&batch));
    embedded_batch_clear(&batch);
    assert_false(embedded_batch_full(&batch));
    assert_int_equal(embedded_batch_append(&batch, &large_record, 0), MR_OK);
    assert_true(embedded_batch_full(&batch));
    embedded_batch_fini(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_and_times_come_back_over_gaps),
        cmocka_unit_test(test_decoding_starts_and_stops_inside_a_batch),
        cmocka_unit_test(test_a_batch_cut_short_is_refused),
        cmocka_unit_test(test_no_changed_byte_leads_beyond_the_batch),
        cmocka_unit_test(test_bytes_behind_the_last_record_are_refused),
        cmocka_unit_test(test_a_count_that_cannot_be_is_refused_before_memory_is_taken),
        cmocka_unit_test(test_a_batch_is_full_by_bytes_or_by_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
