/* conformance.c - the frame of the suite: a fresh bus for each test, children, armed faults. */
#include "bus/conformance_impl.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_FAILED = 99, TESTS = 100, QUIET_MS = 1000 };

static const mr_conformance_factory
    *current_factory; /* cmocka hands nothing to set-up functions of single tests */
static bool in_child;

void conformance_must(mr_err err, const mr_error *error)
{
    if (err == MR_OK)
        return;
    fprintf(stderr, "%s: %s\n", mr_err_name(err), error->text);
    if (in_child)
        _exit(CHILD_FAILED);
    fail();
}

int64_t conformance_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int conformance_setup(void **state)
{
    mr_error error = {0};
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    f->factory = current_factory;
    conformance_must(current_factory->make(current_factory->arg, &f->config, &error), &error);
    f->bus = conformance_open_bus(f);
    *state = f;
    return 0;
}

int conformance_teardown(void **state)
{
    fixture *f = *state;
    conformance_disarm(f);
    mr_bus_close(&f->bus);
    mr_props_close(&f->config);
    f->factory->destroy(f->factory->arg);
    free(f);
    return 0;
}

mr_bus *conformance_open_bus(const fixture *f)
{
    mr_error error = {0};
    mr_bus *bus = NULL;
    conformance_must(mr_bus_open(f->config, TENANT, "uid-1", &bus, &error), &error);
    return bus;
}

mr_bus_writer *conformance_writer(mr_bus *bus, const char *connector, int64_t epoch)
{
    mr_error error = {0};
    mr_bus_writer *writer = NULL;
    mr_bus_identity who = {.tenant = TENANT, .tenant_uid = "uid-1", .connector = connector, .epoch = epoch};
    conformance_must(mr_bus_writer_open(bus, &who, &writer, NULL, &error), &error);
    return writer;
}

void conformance_topic(const fixture *f, const char *topic, int32_t partitions)
{
    mr_error error = {0};
    conformance_must(mr_bus_create_topic(f->bus, topic, partitions, &error), &error);
}

void conformance_send(mr_bus_writer *writer, const char *topic, int32_t partition, const char *text)
{
    mr_error error = {0};
    mr_record record = {.key = mr_slice_of(text), .value = mr_slice_of(text), .timestamp_ms = 1700000000000};
    conformance_must(mr_bus_send(writer, topic, partition, &record, &error), &error);
}

void conformance_commit(mr_bus_writer *writer)
{
    mr_error error = {0};
    conformance_must(mr_bus_commit(writer, &error), &error);
}

void conformance_commit_numbers(mr_bus_writer *writer, int32_t partitions, long first, long count)
{
    mr_error error = {0};
    char text[32];
    for (long number = first; number < first + count; number++) {
        snprintf(text, sizeof text, "%ld", number);
        conformance_send(writer, TOPIC, (int32_t)(number % partitions), text);
    }
    snprintf(text, sizeof text, "%ld", first + count);
    conformance_must(mr_bus_send_position(writer, MR_SLICE_LITERAL("rows"), mr_slice_of(text), &error),
                     &error);
    conformance_commit(writer);
}

static long number_of(mr_slice text)
{
    char copy[32] = "";
    memcpy(copy, text.data, text.size < sizeof copy ? text.size : sizeof copy - 1);
    return strtol(copy, NULL, 10);
}

static void take_number(void *arg, mr_slice key, mr_slice value)
{
    if (mr_slice_equal(key, MR_SLICE_LITERAL("rows")))
        *(long *)arg = number_of(value);
}

long conformance_load_number(mr_bus_writer *writer)
{
    mr_error error = {0};
    long number = 0;
    conformance_must(mr_bus_load_positions(writer, take_number, &number, &error), &error);
    return number;
}

/* --- reading --- */

static void keep(conformance_log *log, const mr_record *record)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity == 0 ? 64 : log->capacity * 2;
        log->records = reallocarray(log->records, log->capacity, sizeof *log->records);
        assert_non_null(log->records);
    }
    mr_record copy = *record;
    if (copy.key.data != NULL)
        copy.key = mr_arena_copy(&log->arena, copy.key);
    if (copy.value.data != NULL)
        copy.value = mr_arena_copy(&log->arena, copy.value);
    mr_header *headers = mr_arena_alloc(&log->arena, copy.header_count * sizeof *headers);
    for (size_t i = 0; i < copy.header_count; i++) {
        headers[i].name = mr_arena_copy(&log->arena, record->headers[i].name);
        headers[i].value = record->headers[i].value;
        if (headers[i].value.data != NULL)
            headers[i].value = mr_arena_copy(&log->arena, headers[i].value);
    }
    copy.headers = headers;
    log->records[log->count++] = copy;
}

void conformance_read(mr_bus *bus, const char *topic, int32_t partition, int64_t from,
                      conformance_log *ret_log)
{
    mr_error error = {0};
    mr_bus_reader *reader = NULL;
    mr_arena arena = {0};
    int64_t first, end, next = from;
    size_t count = 1;
    *ret_log = (conformance_log){.count = 0};
    conformance_must(mr_bus_offsets(bus, topic, partition, &first, &end, &error), &error);
    conformance_must(mr_bus_reader_open(bus, &reader, &error), &error);
    conformance_must(mr_bus_assign(reader, topic, partition, from, &error), &error);
    while (next < end && first < end && count > 0) { /* markers of the bus may lie before the end */
        const mr_record *records;
        conformance_must(mr_bus_poll(reader, 100000, QUIET_MS, &arena, &records, &count, &error), &error);
        for (size_t i = 0; i < count; i++) {
            assert_true(records[i].offset >= next);
            assert_int_equal(records[i].partition, partition);
            keep(ret_log, &records[i]);
            next = records[i].offset + 1;
        }
        mr_arena_reset(&arena);
    }
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
}

void conformance_log_fini(conformance_log *log)
{
    mr_arena_fini(&log->arena);
    free(log->records);
}

void conformance_expect_numbers(mr_bus *bus, int32_t partitions, long count)
{
    long seen = 0;
    for (int32_t partition = 0; partition < partitions; partition++) {
        conformance_log log;
        long expected = partition;
        conformance_read(bus, TOPIC, partition, 0, &log);
        for (size_t i = 0; i < log.count; i++, expected += partitions)
            assert_int_equal(number_of(log.records[i].value), expected);
        seen += (long)log.count;
        conformance_log_fini(&log);
    }
    assert_int_equal(seen, count);
}

/* --- processes --- */

pid_t conformance_spawn(const fixture *f, int (*work)(const fixture *f, mr_bus *bus, void *arg), void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        in_child = true;
        _exit(work(f, conformance_open_bus(f), arg));
    }
    return child;
}

static int await(pid_t child, int options)
{
    int64_t deadline = conformance_now_us() + DEADLINE_MS * 1000;
    int status;
    pid_t got;
    while ((got = waitpid(child, &status, options | WNOHANG)) == 0) {
        if (conformance_now_us() > deadline) {
            kill(child, SIGKILL);
            fail_msg("child %d did not get there in %d ms", child, DEADLINE_MS);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(got, child);
    return status;
}

int conformance_join(pid_t child)
{
    int status = await(child, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void conformance_await_stop(pid_t child)
{
    assert_true(WIFSTOPPED(await(child, WUNTRACED)));
}

void conformance_await_growth(const fixture *f, long times)
{
    mr_error error = {0};
    int64_t first, end, seen = -1, deadline = conformance_now_us() + DEADLINE_MS * 1000;
    for (long grown = -1; grown < times; grown += end != seen, seen = end) {
        conformance_must(mr_bus_offsets(f->bus, TOPIC, 0, &first, &end, &error), &error);
        if (conformance_now_us() > deadline)
            fail_msg("nobody has committed for %d ms", DEADLINE_MS);
    }
}

void conformance_arm(fixture *f, const char *variable, const char *point)
{
    conformance_disarm(f);
    snprintf(f->fault_dir, sizeof f->fault_dir, "/tmp/bus-faults-XXXXXX");
    assert_non_null(mkdtemp(f->fault_dir));
    setenv("MR_FAULT_DIR", f->fault_dir, 1);
    setenv(variable, point, 1);
}

void conformance_disarm(fixture *f)
{
    unsetenv("MR_FAULT_DIR");
    unsetenv("MR_FAULT_KILL");
    unsetenv("MR_FAULT_STOP");
    unsetenv("MR_FAULT_FAIL");
    DIR *dir = f->fault_dir[0] != '\0' ? opendir(f->fault_dir) : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL) {
        closedir(dir);
        rmdir(f->fault_dir);
    }
    f->fault_dir[0] = '\0';
}

static size_t add(struct CMUnitTest *all, size_t count, const struct CMUnitTest *tests, size_t more)
{
    memcpy(all + count, tests, more * sizeof *tests);
    return count + more;
}

int mr_bus_conformance(const mr_conformance_factory *factory)
{
    static struct CMUnitTest all[TESTS];
    size_t count = add(all, 0, conformance_record_tests, conformance_record_test_count);
    count = add(all, count, conformance_position_tests, conformance_position_test_count);
    count = add(all, count, conformance_fencing_tests, conformance_fencing_test_count);
    count = add(all, count, conformance_reader_tests, conformance_reader_test_count);
    current_factory = factory;
    return _cmocka_run_group_tests(factory->name, all, count, NULL, NULL);
}
