/* csv_fuzz.c - rows of a CSV file. Input: delimiter, quote, size of the reads, then the file.
 *
 * What a row is must not depend on how the bytes arrive, nor on where reading starts again. */
#include "core/csv.h"
#include "fuzz/fuzz.h"

enum { MAX_ROW_BYTES = 4096 };

typedef struct file {
    mr_slice bytes;
    size_t at, step;
} file;

static ssize_t read_some(void *arg, char *data, size_t size)
{
    file *self = arg;
    const size_t left = self->bytes.size - self->at;
    size_t count = left < size ? left : size;
    if (count > self->step)
        count = self->step;
    if (count > 0)
        memcpy(data, self->bytes.data + self->at, count);
    self->at += count;
    return (ssize_t)count;
}

static uint64_t mix(uint64_t sum, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ ((const unsigned char *)data)[i]) * UINT64_C(1099511628211);
    return (sum ^ size) * UINT64_C(1099511628211);
}

static uint64_t mix_row(uint64_t sum, const mr_csv_row *row)
{
    sum = mix(sum, &row->byte_first, sizeof row->byte_first);
    sum = mix(sum, &row->byte_end, sizeof row->byte_end);
    sum = mix(sum, &row->line, sizeof row->line);
    sum = mix(sum, row->raw.data, row->raw.size);
    if (row->problem != NULL)
        return mix(sum, row->problem, strlen(row->problem));
    for (size_t i = 0; i < row->field_count; i++)
        sum = mix(sum, row->fields[i].text.data, row->fields[i].text.size);
    return sum;
}

static void check_row(const mr_csv_row *row, int64_t before, mr_slice bytes)
{
    FUZZ_CHECK(row->byte_first >= before && row->byte_end > row->byte_first);
    FUZZ_CHECK((size_t)row->byte_end <= bytes.size);
    FUZZ_CHECK(row->next_line > row->line || (size_t)row->byte_end == bytes.size);
    FUZZ_CHECK((row->problem == NULL) == (row->field_count > 0));
    FUZZ_CHECK(row->problem != NULL ||
               mr_slice_equal(row->raw, (mr_slice){bytes.data + row->byte_first, row->raw.size}));
}

/* A sum over all rows; with `again`, reading starts again behind every row. */
static uint64_t read_all(const mr_csv_dialect *dialect, mr_slice bytes, size_t step, bool again)
{
    file source = {.bytes = bytes, .step = step};
    mr_csv *csv;
    mr_csv_row row;
    mr_error error;
    uint64_t sum = 0;
    if (mr_csv_open(dialect, read_some, &source, &csv, &error) != MR_OK)
        return 0;
    mr_csv_start_at(csv, 0, 1);
    int64_t before = 0;
    for (;;) {
        bool end;
        FUZZ_CHECK(mr_csv_next(csv, &row, &end, &error) == MR_OK);
        if (end)
            break;
        check_row(&row, before, bytes);
        sum = mix_row(sum, &row);
        before = row.byte_end;
        if (again) {
            source.at = (size_t)row.byte_end;
            mr_csv_start_at(csv, row.byte_end, row.next_line);
        }
    }
    mr_csv_close(&csv);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const mr_csv_dialect dialect = {
        .delimiter = (char)data[0], .quote = (char)data[1], .max_row_bytes = MAX_ROW_BYTES};
    const mr_slice bytes = {(const char *)data + 3, size - 3};
    const uint64_t sum = read_all(&dialect, bytes, SIZE_MAX, false);
    FUZZ_CHECK(read_all(&dialect, bytes, (size_t)data[2] + 1, false) == sum);
    FUZZ_CHECK(read_all(&dialect, bytes, SIZE_MAX, true) == sum);
    return 0;
}
