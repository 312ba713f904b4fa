/* sqlite_sink_bench.c - the sqlite sink alone: rows of client_a's shape, 47 of 50 with a new key, given to
 * the class as the framework does.
 *
 *     sqlite_sink_bench DIR [ROWS [ROWS_PER_COMMIT [CACHE_BYTES]]]
 *
 * Prints CPU seconds (user and system) per million rows, and the peak of memory. */
#include "connectors/sqlite/sqlite_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { WRITE_ROWS = 1000, FIELDS = 11, TEXT_BYTES = 24 };

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"analytics\",\"fields\":["
    "{\"name\":\"PROVINCECODE\",\"type\":\"string\"},{\"name\":\"DEVICEID\",\"type\":\"string\"},"
    "{\"name\":\"IFINDEX\",\"type\":\"int\"},{\"name\":\"FRAME\",\"type\":\"int\"},{\"name\":\"SLOT\","
    "\"type\":\"int\"},"
    "{\"name\":\"PORT\",\"type\":\"int\"},{\"name\":\"ONUINDEX\",\"type\":\"int\"},{\"name\":\"ONUID\","
    "\"type\":\"int\"},"
    "{\"name\":\"TIME\",\"type\":\"string\"},{\"name\":\"SPEEDIN\",\"type\":\"double\"},"
    "{\"name\":\"SPEEDOUT\",\"type\":\"double\"}]}";

struct mr_verdicts {
    uint64_t done, rejected;
};

void mr_verdict_give(mr_verdicts *verdicts, uint64_t first_seq, uint64_t last_seq, mr_verdict verdict,
                     uint32_t after_ms, const char *reason)
{
    (void)after_ms;
    (void)reason;
    if (verdict == MR_SINK_DONE)
        verdicts->done += last_seq - first_seq + 1;
    else if (verdict != MR_SINK_QUEUED)
        verdicts->rejected += last_seq - first_seq + 1;
}

typedef struct bench_row {
    mr_value values[FIELDS];
    char texts[3][TEXT_BYTES];
} bench_row;

static uint32_t mix(uint32_t x) /* one to one */
{
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

static char *put_digits(char *out, uint32_t value, int digits)
{
    for (int i = digits; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + digits;
}

static char *put_char(char *out, char c)
{
    *out = c;
    return out + 1;
}

static void set_text(bench_row *row, int field, int text, const char *end)
{
    row->values[field] = (mr_value){
        .type = MR_TYPE_STRING, .size = (uint32_t)(end - row->texts[text]), .data = row->texts[text]};
}

static void set_int(bench_row *row, int field, int64_t value)
{
    row->values[field] = (mr_value){.type = MR_TYPE_INT, .integer = value};
}

static void make_row(uint32_t number, bench_row *row)
{
    uint32_t keys_before = number / 50 * 47 + (number % 50 < 47 ? number % 50 : 47);
    uint32_t key = mix(number % 50 < 47 ? keys_before : mix(number) % keys_before);
    uint32_t noise = mix(number ^ 0x5bd1e995u);
    char *time = put_char(put_digits(row->texts[2], noise % 28 + 1, 2), '/');
    time = put_char(put_digits(time, 8, 2), '/');
    time = put_char(put_digits(time, 2019, 4), ' ');
    time = put_char(put_digits(time, noise / 28 % 24, 2), ':');
    set_text(row, 0, 0, put_digits(row->texts[0], key % 63, 2));
    set_text(row, 1, 1, put_digits(row->texts[1], 300000000 + key / 63 % 20000 * 997, 11));
    set_text(row, 8, 2, put_digits(time, noise / 672 % 60, 2));
    set_int(row, 2, 100000000 + noise % 65536);
    set_int(row, 3, 1);
    set_int(row, 4, noise % 16);
    set_int(row, 5, noise % 8);
    set_int(row, 6, noise % 128);
    set_int(row, 7, key / 1260000 * 3000);
    row->values[9] = (mr_value){.type = MR_TYPE_DOUBLE, .real = noise % 100000 / 100.0};
    row->values[10] = (mr_value){.type = MR_TYPE_DOUBLE, .real = noise % 7919 / 10.0};
}

static void stop_on(mr_err err, const mr_error *error)
{
    if (err == MR_OK)
        return;
    fprintf(stderr, "%s\n", error->text);
    exit(1);
}

static void run(const mr_env *env, uint32_t rows, uint32_t rows_per_commit, mr_verdicts *verdicts)
{
    static bench_row batch[WRITE_ROWS];
    static mr_sink_record records[WRITE_ROWS];
    const mr_sink_class *class = &mr_sqlite_sink;
    mr_error error;
    int64_t stored_epoch;
    void *self = calloc(1, class->state_size);
    if (self == NULL)
        exit(1);
    stop_on(class->open(self, env, verdicts, &stored_epoch, &error), &error);
    for (uint32_t at = 0, uncommitted = 0; at < rows;) {
        uint32_t count = 0;
        for (; count < WRITE_ROWS && at < rows; count++, at++) {
            make_row(at, &batch[count]);
            records[count] = (mr_sink_record){.seq = at, .offset = at, .values = batch[count].values};
        }
        stop_on(class->write(self, records, count, &error), &error);
        uncommitted += count;
        if (uncommitted >= rows_per_commit || at == rows) {
            stop_on(class->flush(self, 1000, &error), &error);
            mr_sink_position position = {0, at, MR_SLICE_LITERAL("{}")};
            stop_on(class->commit(self, &position, 1, &error), &error);
            uncommitted = 0;
        }
    }
    class->close(self);
    free(self);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void report(uint32_t rows, const mr_verdicts *verdicts, double elapsed)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double user = seconds_of(used.ru_utime), kernel = seconds_of(used.ru_stime);
    printf("rows=%" PRIu32 " done=%" PRIu64 " rejected=%" PRIu64
           " elapsed_s=%.2f user_s=%.2f sys_s=%.2f cpu_s=%.2f"
           " cpu_s_per_million=%.2f peak_rss_mib=%.1f\n",
           rows, verdicts->done, verdicts->rejected, elapsed, user, kernel, user + kernel,
           (user + kernel) / (rows / 1e6), (double)used.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: sqlite_sink_bench DIR [ROWS [ROWS_PER_COMMIT [CACHE_BYTES]]]\n");
        return 2;
    }
    uint32_t rows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000000;
    uint32_t rows_per_commit = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 100000;
    const int key_columns[] = {0, 1, 7};
    mr_error error = {0};
    mr_schema *schema = NULL;
    mr_props *config = NULL;
    mr_verdicts verdicts = {0};
    struct timespec start, end;
    stop_on(mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, &schema, &error), &error);
    stop_on(mr_props_open(&config), &error);
    mr_props_set(config, "store.dir", argv[1]);
    mr_props_set(config, "key.space", "bench");
    if (argc > 4)
        mr_props_set(config, "sqlite.cache.bytes", argv[4]);
    mr_env env = {.tenant = "client_a",
                  .tenant_uid = "uid",
                  .dataset = "bench",
                  .connector = "bench-sink",
                  .epoch = 1,
                  .topic = "client_a.bench",
                  .config = config,
                  .schema = schema,
                  .key_columns = key_columns,
                  .key_column_count = 3,
                  .memory_budget_bytes = 64u << 20};
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(&env, rows, rows_per_commit, &verdicts);
    clock_gettime(CLOCK_MONOTONIC, &end);
    report(rows, &verdicts,
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    mr_props_close(&config);
    mr_schema_close(&schema);
    return 0;
}
