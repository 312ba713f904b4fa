/* bus_bench.c - what the bus costs: writes records of the size of a small row and reads them back.
 *
 *     bus_bench DIR [records] [partitions]
 *
 * Prints records per second, CPU seconds per million records and peak RSS of writing and of reading, each in
 * a process of its own. DIR must not hold a bus of the tenant "bench" yet.
 */
#include "bus/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES = 66, KEY_BYTES = 30, COMMIT_BYTES = 1024 * 1024, POLL_BYTES = 1024 * 1024 };

typedef struct bench_plan {
    const char *dir;
    long records;
    int32_t partitions;
} bench_plan;

static void must(mr_err err, const mr_error *error)
{
    if (err == MR_OK)
        return;
    fprintf(stderr, "bus_bench: %s\n", error->text);
    exit(1);
}

static mr_bus *open_bus(const bench_plan *plan)
{
    mr_error error = {0};
    mr_props *config = NULL;
    mr_bus *bus = NULL;
    must(mr_props_open(&config), &error);
    must(mr_props_set(config, "bus.dir", plan->dir), &error);
    must(mr_bus_open(config, "bench", "bench", &bus, &error), &error);
    must(mr_bus_create_topic(bus, "bench.rows", plan->partitions, &error), &error);
    mr_props_close(&config);
    return bus;
}

static void write_all(const bench_plan *plan)
{
    mr_error error = {0};
    mr_bus *bus = open_bus(plan);
    mr_bus_writer *writer = NULL;
    mr_bus_identity who = {.tenant = "bench", .tenant_uid = "bench", .connector = "bench", .epoch = 1};
    char value[VALUE_BYTES], key[KEY_BYTES];
    memset(value, 'v', sizeof value);
    memset(key, 'k', sizeof key);
    must(mr_bus_writer_open(bus, &who, &writer, NULL, &error), &error);
    for (long i = 0; i < plan->records; i++) {
        memcpy(key, &i, sizeof i);
        mr_record record = {
            .key = {key, sizeof key}, .value = {value, sizeof value}, .timestamp_ms = 1700000000000};
        int32_t partition = mr_bus_partition_of(record.key, plan->partitions);
        must(mr_bus_send(writer, "bench.rows", partition, &record, &error), &error);
        if (mr_bus_buffered_bytes(writer) >= COMMIT_BYTES)
            must(mr_bus_commit(writer, &error), &error);
    }
    must(mr_bus_commit(writer, &error), &error);
    mr_bus_writer_close(&writer);
    mr_bus_close(&bus);
}

static void read_all(const bench_plan *plan)
{
    mr_error error = {0};
    mr_bus *bus = open_bus(plan);
    mr_bus_reader *reader = NULL;
    mr_arena arena = {0};
    long seen = 0;
    must(mr_bus_reader_open(bus, &reader, &error), &error);
    for (int32_t i = 0; i < plan->partitions; i++)
        must(mr_bus_assign(reader, "bench.rows", i, 0, &error), &error);
    while (seen < plan->records) {
        const mr_record *records;
        size_t count;
        must(mr_bus_poll(reader, POLL_BYTES, 10000, &arena, &records, &count, &error), &error);
        if (count == 0)
            must(mr_fail(&error, MR_EDATALOSS, "%ld of %ld records came", seen, plan->records), &error);
        seen += (long)count;
        mr_arena_reset(&arena);
    }
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_close(&bus);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void measure(const char *name, void (*work)(const bench_plan *plan), const bench_plan *plan)
{
    struct timespec start, end;
    struct rusage usage;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) {
        work(plan);
        exit(0);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0)
        exit(1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double elapsed = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    double cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime), millions = (double)plan->records / 1e6;
    printf("%-6s %10.0f records/s %8.3f CPU s/M (user %.3f) %6ld KiB peak RSS\n", name,
           (double)plan->records / elapsed, cpu / millions, seconds(usage.ru_utime) / millions,
           usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bus_bench DIR [records] [partitions]\n");
        return 2;
    }
    bench_plan plan = {.dir = argv[1], .records = 2000000, .partitions = 4};
    if (argc > 2)
        plan.records = strtol(argv[2], NULL, 10);
    if (argc > 3)
        plan.partitions = (int32_t)strtol(argv[3], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    measure("write", write_all, &plan);
    measure("read", read_all, &plan);
    return 0;
}
