/* conformance_records.c - records, topics, offsets. */
#include "bus/conformance_impl.h"

#include <stdio.h>
#include <stdlib.h>

static void expect_slice(mr_slice got, mr_slice expected)
{
    assert_int_equal(got.data == NULL, expected.data == NULL);
    assert_true(mr_slice_equal(got, expected));
}

static void expect_record(const mr_record *got, const mr_record *expected)
{
    expect_slice(got->key, expected->key);
    expect_slice(got->value, expected->value);
    assert_int_equal(got->timestamp_ms, expected->timestamp_ms);
    assert_int_equal(got->header_count, expected->header_count);
    for (size_t i = 0; i < expected->header_count; i++) {
        expect_slice(got->headers[i].name, expected->headers[i].name);
        expect_slice(got->headers[i].value, expected->headers[i].value);
    }
}

static void test_records_come_back_as_they_were_sent(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    const mr_header headers[] = {
        {MR_SLICE_LITERAL("millrace.run"), MR_SLICE_LITERAL("12:6f")},
        {MR_SLICE_LITERAL("empty"), MR_SLICE_LITERAL("")},
        {MR_SLICE_LITERAL("none"), {NULL, 0}},
    };
    const mr_record sent[] = {
        {.key = MR_SLICE_LITERAL("k"), .value = MR_SLICE_LITERAL("v"), .timestamp_ms = 1700000000000},
        {.value = MR_SLICE_LITERAL("no key"), .timestamp_ms = 1600000000000},
        {.key = MR_SLICE_LITERAL("tombstone"), .timestamp_ms = 1800000000000},
        {.key = MR_SLICE_LITERAL(""), .value = MR_SLICE_LITERAL(""), .timestamp_ms = 1},
        {.value = MR_SLICE_LITERAL("a\0b"),
         .headers = headers,
         .header_count = 3,
         .timestamp_ms = 1700000000000},
    };
    enum { SENT = sizeof sent / sizeof *sent };
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (size_t i = 0; i < SENT; i++)
        conformance_must(mr_bus_send(writer, TOPIC, 0, &sent[i], &error), &error);
    conformance_commit(writer);

    conformance_log log;
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    assert_int_equal(log.count, SENT);
    for (size_t i = 0; i < SENT; i++)
        expect_record(&log.records[i], &sent[i]);
    conformance_log_fini(&log);
    mr_bus_writer_close(&writer);
}

/* As long as the longest row a source reads. */
static void test_a_large_record_passes_between_small_ones(void **state)
{
    enum { LARGE = 1024 * 1024 };
    fixture *f = *state;
    mr_error error = {0};
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 31);
    mr_record large = {.value = {bytes, LARGE}, .timestamp_ms = 1700000000000};
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    conformance_send(writer, TOPIC, 0, "before");
    conformance_must(mr_bus_send(writer, TOPIC, 0, &large, &error), &error);
    conformance_send(writer, TOPIC, 0, "after");
    conformance_commit(writer);

    conformance_log log;
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    assert_int_equal(log.count, 3);
    assert_true(mr_slice_equal(log.records[1].value, large.value));
    assert_true(mr_slice_equal(log.records[2].value, MR_SLICE_LITERAL("after")));
    conformance_log_fini(&log);
    mr_bus_writer_close(&writer);
    free(bytes);
}

static void test_a_record_beyond_the_bound_is_refused_as_data(void **state)
{
    enum { TOO_LARGE = 17 * 1024 * 1024 };
    fixture *f = *state;
    mr_error error = {0};
    char *bytes = calloc(1, TOO_LARGE);
    assert_non_null(bytes);
    mr_record large = {.value = {bytes, TOO_LARGE}, .timestamp_ms = 1};
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    assert_int_equal(mr_bus_send(writer, TOPIC, 0, &large, &error), MR_ETOOLARGE);
    assert_int_equal(error.class, MR_DATA);
    mr_bus_writer_close(&writer);
    free(bytes);
}

static void test_each_partition_keeps_its_order(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, 5);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (long first = 0; first < 3000; first += 300)
        conformance_commit_numbers(writer, 5, first, 300);
    conformance_expect_numbers(f->bus, 5, 3000);
    mr_bus_writer_close(&writer);
}

static void test_prepare_tells_where_the_records_will_lie(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    const mr_bus_range *ranges;
    size_t count;
    conformance_topic(f, TOPIC, 2);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50 + round; i++)
            conformance_send(writer, TOPIC, 1, "x");
        conformance_must(mr_bus_prepare(writer, &ranges, &count, &error), &error);
        assert_int_equal(count, 1);
        mr_bus_range range = ranges[0];
        assert_string_equal(range.topic, TOPIC);
        assert_int_equal(range.partition, 1);
        assert_int_equal(range.count, 50 + round);
        conformance_commit(writer);

        conformance_log log;
        conformance_read(f->bus, TOPIC, 1, range.first, &log);
        assert_int_equal(log.count, range.count);
        assert_int_equal(log.records[0].offset, range.first);
        assert_int_equal(log.records[log.count - 1].offset, range.end - 1);
        conformance_log_fini(&log);
    }
    mr_bus_writer_close(&writer);
}

static void test_nothing_is_visible_before_commit_or_after_abort(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    const mr_bus_range *ranges;
    size_t count;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(writer, 1, 0, 10);
    conformance_send(writer, TOPIC, 0, "aborted");
    conformance_expect_numbers(f->bus, 1, 10);
    conformance_must(mr_bus_prepare(writer, &ranges, &count, &error), &error);
    conformance_expect_numbers(f->bus, 1, 10);
    mr_bus_abort(writer);
    assert_int_equal(mr_bus_buffered_bytes(writer), 0);
    conformance_commit_numbers(writer, 1, 10, 10);
    conformance_expect_numbers(f->bus, 1, 20);
    conformance_send(writer, TOPIC, 0, "never committed");
    mr_bus_writer_close(&writer);
    conformance_expect_numbers(f->bus, 1, 20);
}

static void test_two_tasks_write_the_same_topic(void **state)
{
    enum { ROUNDS = 30 };
    fixture *f = *state;
    mr_bus_writer *writers[2];
    size_t seen[2] = {0};
    conformance_topic(f, TOPIC, 1);
    conformance_topic(f, OTHER, 1);
    writers[0] = conformance_writer(f->bus, "one", 1);
    writers[1] = conformance_writer(f->bus, "two", 1);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 10; i++)
            conformance_send(writers[i % 2], i < 5 ? TOPIC : OTHER, 0, i % 2 == 0 ? "one" : "two");
        conformance_commit(writers[round % 2]);
        conformance_commit(writers[(round + 1) % 2]);
    }
    conformance_log log;
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    for (size_t i = 0; i < log.count; i++)
        seen[mr_slice_equal(log.records[i].value, MR_SLICE_LITERAL("two"))]++;
    assert_int_equal(seen[0], 3 * ROUNDS);
    assert_int_equal(seen[1], 2 * ROUNDS);
    conformance_log_fini(&log);
    mr_bus_writer_close(&writers[0]);
    mr_bus_writer_close(&writers[1]);
}

static void test_a_topic_is_made_once_and_keeps_its_partitions(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    int32_t partitions = 0;
    int64_t first, end;
    assert_int_equal(mr_bus_partitions(f->bus, TOPIC, &partitions, &error), MR_ENOTFOUND);
    conformance_topic(f, TOPIC, 3);
    conformance_topic(f, TOPIC, 3);
    assert_int_equal(mr_bus_create_topic(f->bus, TOPIC, 4, &error), MR_EREFUSED);
    assert_int_equal(mr_bus_create_topic(f->bus, "bad/name", 1, &error), MR_EINVALID);
    assert_int_equal(mr_bus_create_topic(f->bus, OTHER, 0, &error), MR_EINVALID);
    conformance_must(mr_bus_partitions(f->bus, TOPIC, &partitions, &error), &error);
    assert_int_equal(partitions, 3);
    conformance_must(mr_bus_offsets(f->bus, TOPIC, 2, &first, &end, &error), &error);
    assert_int_equal(first, end);
}

static void test_an_unknown_topic_or_partition_is_an_error(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_reader *reader = NULL;
    mr_record record = {.value = MR_SLICE_LITERAL("v")};
    int64_t offset;
    mr_buf metadata = {0};
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    assert_int_equal(mr_bus_send(writer, "acme.none", 0, &record, &error), MR_ENOTFOUND);
    assert_int_equal(mr_bus_send(writer, TOPIC, 1, &record, &error), MR_EINVALID);
    assert_int_equal(mr_bus_send(writer, TOPIC, -1, &record, &error), MR_EINVALID);
    assert_int_equal(mr_bus_load_offset(writer, "acme.none", 0, &offset, &metadata, &error), MR_ENOTFOUND);
    conformance_must(mr_bus_reader_open(f->bus, &reader, &error), &error);
    assert_int_equal(mr_bus_assign(reader, "acme.none", 0, 0, &error), MR_ENOTFOUND);
    assert_int_equal(mr_bus_assign(reader, TOPIC, 7, 0, &error), MR_EINVALID);
    assert_int_equal(mr_bus_assign(reader, TOPIC, 0, -1, &error), MR_EINVALID);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
}

const struct CMUnitTest conformance_record_tests[] = {
    CONFORMANCE_TEST(test_records_come_back_as_they_were_sent),
    CONFORMANCE_TEST(test_a_large_record_passes_between_small_ones),
    CONFORMANCE_TEST(test_a_record_beyond_the_bound_is_refused_as_data),
    CONFORMANCE_TEST(test_each_partition_keeps_its_order),
    CONFORMANCE_TEST(test_prepare_tells_where_the_records_will_lie),
    CONFORMANCE_TEST(test_nothing_is_visible_before_commit_or_after_abort),
    CONFORMANCE_TEST(test_two_tasks_write_the_same_topic),
    CONFORMANCE_TEST(test_a_topic_is_made_once_and_keeps_its_partitions),
    CONFORMANCE_TEST(test_an_unknown_topic_or_partition_is_an_error),
};
const size_t conformance_record_test_count =
    sizeof conformance_record_tests / sizeof *conformance_record_tests;
