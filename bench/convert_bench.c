/* convert_bench.c - what a source does with each row, without the bus: parse, convert, encode value and key.
 *
 *     convert_bench FILE.csv SCHEMA.avsc KEY_COLUMN[,KEY_COLUMN...]
 *
 * Columns are taken by the file's first row. Read the file once before (page cache); look at CPU, not at
 * elapsed time.
 */
#include "core/avro.h"
#include "core/csv.h"
#include "core/text_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { COLUMNS_MAX = 1000, BATCH_BYTES = 256 * 1024 };

typedef struct bench {
    mr_schema *schema, *key_schema;
    mr_avro_encoder *value_encoder, *key_encoder;
    mr_csv *csv;
    int field_of[COLUMNS_MAX]; /* schema field of each column of the file */
    size_t column_count;
    mr_value row[COLUMNS_MAX];
    mr_buf out;
    mr_arena arena; /* of logical types */
    int64_t rows, rejected, bytes, encoded_bytes;
} bench;

static void check(mr_err err, const mr_error *error)
{
    if (err == MR_OK)
        return;
    fprintf(stderr, "%s\n", error->text);
    exit(1);
}

static ssize_t read_fd(void *arg, char *data, size_t size)
{
    return read(*(int *)arg, data, size);
}

static mr_buf read_file(const char *path)
{
    mr_buf text = {0};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (size_t got = 1; got > 0; text.size += got) {
        if (mr_buf_reserve(&text, 4096) != MR_OK)
            exit(1);
        got = fread(text.data + text.size, 1, 4096, file);
    }
    fclose(file);
    return text;
}

static void open_schemas(bench *b, const char *schema_path, char *key_columns)
{
    mr_error error;
    int columns[COLUMNS_MAX];
    size_t count = 0;
    mr_buf text = read_file(schema_path);
    check(mr_schema_parse(mr_buf_slice(&text), NULL, NULL, &b->schema, &error), &error);
    for (char *name = strtok(key_columns, ","); name != NULL && count < COLUMNS_MAX; name = strtok(NULL, ","))
        columns[count++] = mr_schema_find(b->schema, mr_slice_of(name));
    check(mr_schema_key(b->schema, columns, count, &b->key_schema, &error), &error);
    check(mr_avro_encoder_open(b->schema, NULL, 0, 1, &b->value_encoder, &error), &error);
    check(mr_avro_encoder_open(b->schema, columns, count, 2, &b->key_encoder, &error), &error);
    mr_buf_fini(&text);
}

static void read_header(bench *b)
{
    mr_error error;
    mr_csv_row header;
    bool end;
    size_t field_count;
    (void)mr_schema_fields(b->schema, &field_count);
    check(mr_csv_next(b->csv, &header, &end, &error), &error);
    for (size_t i = 0; !end && i < header.field_count && i < COLUMNS_MAX; i++) {
        b->field_of[i] = mr_schema_find(b->schema, header.fields[i].text);
        b->column_count = i + 1;
    }
    if (b->column_count != field_count) {
        fprintf(stderr, "the first row must name the %zu fields of the schema\n", field_count);
        exit(1);
    }
}

static mr_err convert(bench *b, const mr_csv_row *csv_row, const mr_field *fields, mr_error *error)
{
    if (csv_row->field_count != b->column_count)
        return MR_EINVALID;
    for (size_t i = 0; i < b->column_count; i++) {
        int field = b->field_of[i];
        mr_err err =
            mr_value_from_text(&fields[field], csv_row->fields[i].text, &b->arena, &b->row[field], error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static void run(bench *b)
{
    mr_error error;
    size_t field_count;
    const mr_field *fields = mr_schema_fields(b->schema, &field_count);
    for (;;) {
        mr_csv_row csv_row;
        bool end;
        check(mr_csv_next(b->csv, &csv_row, &end, &error), &error);
        if (end)
            break;
        b->rows++;
        b->bytes = csv_row.byte_end;
        if (convert(b, &csv_row, fields, &error) != MR_OK) {
            b->rejected++;
            continue;
        }
        check(mr_avro_encode(b->key_encoder, b->row, &b->out, &error), &error);
        check(mr_avro_encode(b->value_encoder, b->row, &b->out, &error), &error);
        if (b->out.size > BATCH_BYTES) {
            b->encoded_bytes += (int64_t)b->out.size;
            b->out.size = 0;
        }
    }
    b->encoded_bytes += (int64_t)b->out.size;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const bench *b, double seconds)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("rows=%lld rejected=%lld read_mb=%.1f encoded_mb=%.1f\n", (long long)b->rows,
           (long long)b->rejected, (double)b->bytes / 1e6, (double)b->encoded_bytes / 1e6);
    printf("mb_per_cpu_second=%.0f cpu_seconds_per_million_rows=%.3f peak_rss_mb=%.1f\n",
           (double)b->bytes / 1e6 / seconds, seconds * 1e6 / (double)b->rows, (double)usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    static bench b;
    mr_error error;
    if (argc != 4) {
        fprintf(stderr, "usage: convert_bench FILE.csv SCHEMA.avsc KEY_COLUMN[,KEY_COLUMN...]\n");
        return 2;
    }
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    open_schemas(&b, argv[2], argv[3]);
    check(mr_csv_open(&(mr_csv_dialect){',', '"', 0}, read_fd, &fd, &b.csv, &error), &error);
    read_header(&b);
    double before = cpu_seconds();
    run(&b);
    report(&b, cpu_seconds() - before);
    mr_csv_close(&b.csv);
    mr_avro_encoder_close(&b.key_encoder);
    mr_avro_encoder_close(&b.value_encoder);
    mr_schema_close(&b.key_schema);
    mr_schema_close(&b.schema);
    mr_buf_fini(&b.out);
    close(fd);
    return 0;
}
