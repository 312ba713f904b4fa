/* conformance_positions.c - positions of sources and sinks, and what retention makes of them. */
#include "bus/conformance_impl.h"

#include <stdio.h>

typedef struct positions {
    char text[400]; /* "key=value;" of each */
} positions;

static void add_position(void *arg, mr_slice key, mr_slice value)
{
    positions *p = arg;
    size_t used = strlen(p->text);
    snprintf(p->text + used, sizeof p->text - used, "%.*s=%.*s;", (int)key.size, key.data, (int)value.size,
             value.data);
}

static void expect_positions(mr_bus_writer *writer, const char *expected)
{
    mr_error error = {0};
    positions loaded = {""};
    conformance_must(mr_bus_load_positions(writer, add_position, &loaded, &error), &error);
    assert_string_equal(loaded.text, expected);
}

static void put(mr_bus_writer *writer, const char *key, const char *value)
{
    mr_error error = {0};
    mr_slice bytes = value == NULL ? (mr_slice){0} : mr_slice_of(value);
    conformance_must(mr_bus_send_position(writer, mr_slice_of(key), bytes, &error), &error);
}

static void test_positions_are_stored_replaced_and_removed(void **state)
{
    fixture *f = *state;
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    expect_positions(writer, "");
    put(writer, "a", "1");
    put(writer, "b", "2");
    expect_positions(writer, "");
    conformance_commit(writer);
    expect_positions(writer, "a=1;b=2;");
    put(writer, "a", "3");
    put(writer, "b", NULL);
    put(writer, "c", "");
    conformance_commit(writer);
    mr_bus_writer_close(&writer);

    writer = conformance_writer(f->bus, "source", 2);
    expect_positions(writer, "a=3;c=;");
    mr_bus_writer_close(&writer);
}

static void test_the_last_of_several_positions_counts(void **state)
{
    fixture *f = *state;
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    put(writer, "a", "1");
    put(writer, "a", NULL);
    put(writer, "a", "2");
    conformance_commit(writer);
    expect_positions(writer, "a=2;");
    mr_bus_writer_close(&writer);
}

static void test_positions_belong_to_their_connector(void **state)
{
    fixture *f = *state;
    mr_bus_writer *one = conformance_writer(f->bus, "one", 1), *two = conformance_writer(f->bus, "two", 1);
    put(one, "a", "1");
    conformance_commit(one);
    expect_positions(two, "");
    mr_bus_writer_close(&one);
    mr_bus_writer_close(&two);
}

static void put_offset(mr_bus_writer *writer, int32_t partition, int64_t offset, const char *metadata)
{
    mr_error error = {0};
    conformance_must(mr_bus_send_offset(writer, TOPIC, partition, offset, mr_slice_of(metadata), &error),
                     &error);
}

static void expect_offset(mr_bus_writer *writer, int32_t partition, int64_t expected, const char *metadata)
{
    mr_error error = {0};
    mr_buf got = {0};
    int64_t offset = -2;
    conformance_must(mr_bus_load_offset(writer, TOPIC, partition, &offset, &got, &error), &error);
    assert_int_equal(offset, expected);
    assert_true(mr_slice_equal(mr_buf_slice(&got), mr_slice_of(metadata)));
    mr_buf_fini(&got);
}

static void test_sink_positions_are_stored_with_their_metadata(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, 2);
    mr_bus_writer *writer = conformance_writer(f->bus, "sink", 1);
    expect_offset(writer, 0, -1, "");
    put_offset(writer, 0, 17, "{\"runs\":[]}");
    put_offset(writer, 1, 4711, "");
    conformance_commit(writer);
    put_offset(writer, 0, 18, "more");
    conformance_commit(writer);
    mr_bus_writer_close(&writer);

    writer = conformance_writer(f->bus, "sink", 2);
    expect_offset(writer, 0, 18, "more");
    expect_offset(writer, 1, 4711, "");
    put_offset(writer, 0, -1, "");
    conformance_commit(writer);
    expect_offset(writer, 0, -1, "");
    mr_bus_writer_close(&writer);
}

/* --- retention --- */

static void send_at(mr_bus_writer *writer, int64_t timestamp_ms)
{
    mr_error error = {0};
    mr_record record = {.value = MR_SLICE_LITERAL("row"), .timestamp_ms = timestamp_ms};
    conformance_must(mr_bus_send(writer, TOPIC, 0, &record, &error), &error);
    conformance_commit(writer);
}

static void retain(const fixture *f, int64_t before_ms)
{
    mr_error error = {0};
    bool more = true;
    while (more)
        conformance_must(mr_bus_retain(f->bus, TOPIC, before_ms, &more, &error), &error);
}

static size_t left(const fixture *f, int64_t *ret_first)
{
    mr_error error = {0};
    conformance_log log;
    int64_t end;
    conformance_must(mr_bus_offsets(f->bus, TOPIC, 0, ret_first, &end, &error), &error);
    conformance_read(f->bus, TOPIC, 0, *ret_first, &log);
    size_t count = log.count;
    conformance_log_fini(&log);
    return count;
}

static void test_retention_removes_what_is_old(void **state)
{
    fixture *f = *state;
    int64_t first;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (int64_t i = 0; i < 100; i++)
        send_at(writer, 1700000000000 + i * 1000);
    retain(f, 1700000000000);
    assert_int_equal(left(f, &first), 100);
    retain(f, 1700000000000 + 40 * 1000);
    assert_int_equal(left(f, &first), 60);
    retain(f, 1800000000000);
    assert_int_equal(left(f, &first), 0);
    send_at(writer, 1700000000000);
    assert_int_equal(left(f, &first), 1);
    mr_bus_writer_close(&writer);
}

static void test_retention_waits_for_the_slowest_sink(void **state)
{
    fixture *f = *state;
    conformance_log log;
    int64_t first;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    mr_bus_writer *slow = conformance_writer(f->bus, "slow", 1),
                  *quick = conformance_writer(f->bus, "quick", 1);
    for (int i = 0; i < 50; i++)
        send_at(writer, 1700000000000);
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    put_offset(slow, 0, log.records[10].offset, "");
    conformance_commit(slow);
    put_offset(quick, 0, log.records[40].offset, "");
    conformance_commit(quick);

    retain(f, 1800000000000);
    assert_int_equal(left(f, &first), 40);
    assert_int_equal(first, log.records[10].offset);
    put_offset(slow, 0, log.records[30].offset, "");
    conformance_commit(slow);
    retain(f, 1800000000000);
    assert_int_equal(left(f, &first), 20);
    put_offset(slow, 0, -1, ""); /* no longer registered */
    conformance_commit(slow);
    retain(f, 1800000000000);
    assert_int_equal(left(f, &first), 10);
    conformance_log_fini(&log);
    mr_bus_writer_close(&writer);
    mr_bus_writer_close(&slow);
    mr_bus_writer_close(&quick);
}

static mr_err poll_from(const fixture *f, int64_t offset, size_t *ret_count, mr_error *ret_error)
{
    mr_error error = {0};
    mr_bus_reader *reader = NULL;
    mr_arena arena = {0};
    const mr_record *records;
    conformance_must(mr_bus_reader_open(f->bus, &reader, &error), &error);
    conformance_must(mr_bus_assign(reader, TOPIC, 0, offset, &error), &error);
    mr_err err = mr_bus_poll(reader, 1000, 2000, &arena, &records, ret_count, ret_error);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    return err;
}

static void test_a_reader_that_comes_too_late_is_told_of_the_loss(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    conformance_log log;
    char range[80];
    size_t count = 0;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (int64_t i = 0; i < 30; i++)
        send_at(writer, i < 20 ? 1600000000000 : 1700000000000);
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    retain(f, 1650000000000);
    assert_int_equal(poll_from(f, log.records[5].offset, &count, &error), MR_EDATALOSS);
    snprintf(range, sizeof range, "%lld", (long long)log.records[5].offset);
    assert_non_null(strstr(error.text, range));
    assert_int_equal(poll_from(f, log.records[19].offset, &count, &error), MR_EDATALOSS);
    /* After the last removed record: at most a gap, and a gap is no loss. */
    conformance_must(poll_from(f, log.records[19].offset + 1, &count, &error), &error);
    assert_true(count > 0);
    conformance_log_fini(&log);
    mr_bus_writer_close(&writer);
}

const struct CMUnitTest conformance_position_tests[] = {
    CONFORMANCE_TEST(test_positions_are_stored_replaced_and_removed),
    CONFORMANCE_TEST(test_the_last_of_several_positions_counts),
    CONFORMANCE_TEST(test_positions_belong_to_their_connector),
    CONFORMANCE_TEST(test_sink_positions_are_stored_with_their_metadata),
    CONFORMANCE_TEST(test_retention_removes_what_is_old),
    CONFORMANCE_TEST(test_retention_waits_for_the_slowest_sink),
    CONFORMANCE_TEST(test_a_reader_that_comes_too_late_is_told_of_the_loss),
};
const size_t conformance_position_test_count =
    sizeof conformance_position_tests / sizeof *conformance_position_tests;
