/* conformance_reader.c - where a reader starts, how much it takes, how soon it wakes. */
#include "bus/conformance_impl.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mr_bus_reader *open_reader(mr_bus *bus, int32_t partitions, int64_t offset)
{
    mr_error error = {0};
    mr_bus_reader *reader = NULL;
    conformance_must(mr_bus_reader_open(bus, &reader, &error), &error);
    for (int32_t i = 0; i < partitions; i++)
        conformance_must(mr_bus_assign(reader, TOPIC, i, offset, &error), &error);
    return reader;
}

static size_t poll_some(mr_bus_reader *reader, size_t max_bytes, int timeout_ms, mr_arena *arena,
                        const mr_record **ret_records)
{
    mr_error error = {0};
    size_t count = 0;
    mr_arena_reset(arena);
    conformance_must(mr_bus_poll(reader, max_bytes, timeout_ms, arena, ret_records, &count, &error), &error);
    return count;
}

static void test_a_reader_starts_at_any_offset_gaps_included(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    conformance_log log;
    mr_arena arena = {0};
    const mr_record *records;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    for (long first = 0; first < 200; first += 20)
        conformance_commit_numbers(writer, 1, first, 20);
    conformance_read(f->bus, TOPIC, 0, 0, &log);
    assert_int_equal(log.count, 200);
    mr_bus_reader *reader = open_reader(f->bus, 1, 0);
    size_t expected = 0; /* the first record at or after the offset */
    for (int64_t offset = 0; offset <= log.records[199].offset; offset++) {
        if (log.records[expected].offset < offset)
            expected++;
        conformance_must(mr_bus_assign(reader, TOPIC, 0, offset, &error), &error);
        assert_true(poll_some(reader, 1, 5000, &arena, &records) > 0);
        assert_int_equal(records[0].offset, log.records[expected].offset);
    }
    conformance_must(mr_bus_assign(reader, TOPIC, 0, log.records[199].offset + 1, &error), &error);
    assert_int_equal(poll_some(reader, 1000, 0, &arena, &records), 0);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    conformance_log_fini(&log);
    mr_bus_writer_close(&writer);
}

static void test_small_polls_give_every_record_once(void **state)
{
    fixture *f = *state;
    mr_arena arena = {0};
    const mr_record *records;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(writer, 1, 0, 1500);
    mr_bus_reader *reader = open_reader(f->bus, 1, 0);
    char expected[32];
    for (long number = 0; number < 1500;) {
        size_t count = poll_some(reader, 100, 5000, &arena, &records);
        assert_true(count > 0 && count < 100);
        for (size_t i = 0; i < count; i++, number++) {
            snprintf(expected, sizeof expected, "%ld", number);
            assert_true(mr_slice_equal(records[i].value, mr_slice_of(expected)));
        }
    }
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
}

static void test_partitions_take_turns(void **state)
{
    enum { PARTITIONS = 3 };
    fixture *f = *state;
    mr_arena arena = {0};
    const mr_record *records;
    int seen[PARTITIONS] = {0};
    conformance_topic(f, TOPIC, PARTITIONS);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(writer, PARTITIONS, 0, 3000);
    mr_bus_reader *reader = open_reader(f->bus, PARTITIONS, 0);
    for (int i = 0; i < 4 * PARTITIONS; i++) {
        assert_true(poll_some(reader, 500, 5000, &arena, &records) > 0);
        seen[records[0].partition]++;
    }
    for (int i = 0; i < PARTITIONS; i++)
        assert_true(seen[i] > 0);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
}

static int write_many(const fixture *f, mr_bus *bus, void *arg)
{
    mr_bus_writer *writer = conformance_writer(bus, "source", 1);
    (void)f;
    for (long first = 0; first < *(long *)arg; first += 2000)
        conformance_commit_numbers(writer, 2, first, 2000);
    return 0;
}

static void test_a_reader_far_behind_reads_all_in_little_memory(void **state)
{
    enum { POLL_BYTES = 128 * 1024, MOST_BYTES = 4 * 1024 * 1024 };
    fixture *f = *state;
    long total = 200000, seen = 0;
    size_t most = 0;
    mr_arena arena = {0};
    const mr_record *records;
    int64_t last[2] = {-1, -1};
    conformance_topic(f, TOPIC, 2);
    mr_bus_reader *reader = open_reader(f->bus, 2, 0);
    assert_int_equal(conformance_join(conformance_spawn(f, write_many, &total)), 0);
    while (seen < total) {
        size_t count = poll_some(reader, POLL_BYTES, 5000, &arena, &records);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            assert_true(records[i].offset > last[records[i].partition]);
            last[records[i].partition] = records[i].offset;
        }
        seen += (long)count;
        most = arena.used_bytes > most ? arena.used_bytes : most;
    }
    assert_int_equal(seen, total);
    assert_int_equal(poll_some(reader, POLL_BYTES, 0, &arena, &records), 0);
    print_message("           at most %zu KiB in the arena\n", most / 1024);
    assert_true(most < MOST_BYTES);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
}

/* --- waiting --- */

enum { ROUNDS = 200 };

typedef struct pipes {
    int go[2];   /* to the writer */
    int done[2]; /* from it: when the commit had returned, in microseconds */
} pipes;

static int commit_when_told(const fixture *f, mr_bus *bus, void *arg)
{
    pipes *p = arg;
    char byte;
    (void)f;
    close(p->go[1]);
    mr_bus_writer *writer = conformance_writer(bus, "source", 1);
    for (long i = 0; read(p->go[0], &byte, 1) == 1; i++) {
        conformance_commit_numbers(writer, 1, i, 1);
        int64_t now = conformance_now_us();
        if (write(p->done[1], &now, sizeof now) != sizeof now)
            return 1;
    }
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_a_waiting_reader_wakes_soon_after_the_commit(void **state)
{
    enum { MEDIAN_US = 5000 };
    fixture *f = *state;
    mr_arena arena = {0};
    const mr_record *records;
    pipes p;
    int64_t waits[ROUNDS];
    assert_int_equal(pipe(p.go) + pipe(p.done), 0);
    conformance_topic(f, TOPIC, 1);
    mr_bus_reader *reader = open_reader(f->bus, 1, 0);
    pid_t child = conformance_spawn(f, commit_when_told, &p);
    close(p.go[0]);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t committed;
        assert_int_equal(write(p.go[1], "g", 1), 1);
        assert_int_equal(poll_some(reader, 1000, 10000, &arena, &records), 1);
        int64_t woken = conformance_now_us();
        assert_int_equal(read(p.done[0], &committed, sizeof committed), sizeof committed);
        waits[i] = woken > committed ? woken - committed : 0;
    }
    close(p.go[1]);
    assert_int_equal(conformance_join(child), 0);
    close(p.done[0]);
    close(p.done[1]);
    qsort(waits, ROUNDS, sizeof *waits, by_value);
    print_message("           wake-up: median %lld us, 99th percentile %lld us\n",
                  (long long)waits[ROUNDS / 2], (long long)waits[ROUNDS * 99 / 100]);
    assert_true(waits[ROUNDS / 2] < MEDIAN_US);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
}

static void test_the_descriptor_is_readable_after_a_commit(void **state)
{
    fixture *f = *state;
    mr_arena arena = {0};
    const mr_record *records;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    mr_bus_reader *reader = open_reader(f->bus, 1, 0);
    assert_int_equal(poll_some(reader, 1000, 0, &arena, &records), 0);
    conformance_commit_numbers(writer, 1, 0, 1);
    struct pollfd ready = {.fd = mr_bus_reader_fd(reader), .events = POLLIN};
    size_t count = 0;
    int64_t deadline = conformance_now_us() + DEADLINE_MS * 1000;
    while (count == 0 && conformance_now_us() < deadline) {
        assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
        count = poll_some(reader, 1000, 0, &arena, &records);
    }
    assert_int_equal(count, 1);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
}

static void *wake(void *reader)
{
    mr_bus_wake(reader);
    return NULL;
}

static void test_wake_ends_a_wait(void **state)
{
    fixture *f = *state;
    mr_arena arena = {0};
    const mr_record *records;
    pthread_t thread;
    conformance_topic(f, TOPIC, 1);
    mr_bus_reader *reader = open_reader(f->bus, 1, 0);
    int64_t start = conformance_now_us();
    assert_int_equal(pthread_create(&thread, NULL, wake, reader), 0);
    assert_int_equal(poll_some(reader, 1000, 60000, &arena, &records), 0);
    assert_true(conformance_now_us() - start < DEADLINE_MS * 1000);
    pthread_join(thread, NULL);
    assert_int_equal(poll_some(reader, 1000, 1, &arena, &records), 0);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
}

const struct CMUnitTest conformance_reader_tests[] = {
    CONFORMANCE_TEST(test_a_reader_starts_at_any_offset_gaps_included),
    CONFORMANCE_TEST(test_small_polls_give_every_record_once),
    CONFORMANCE_TEST(test_partitions_take_turns),
    CONFORMANCE_TEST(test_a_reader_far_behind_reads_all_in_little_memory),
    CONFORMANCE_TEST(test_a_waiting_reader_wakes_soon_after_the_commit),
    CONFORMANCE_TEST(test_the_descriptor_is_readable_after_a_commit),
    CONFORMANCE_TEST(test_wake_ends_a_wait),
};
const size_t conformance_reader_test_count =
    sizeof conformance_reader_tests / sizeof *conformance_reader_tests;
