#include "core/csv_row.h"

#include <errno.h>
#include <stdlib.h>

#ifndef CSV_BUFFER_BYTES
#define CSV_BUFFER_BYTES (128 * 1024) /* tests make it tiny, so that each row crosses its end */
#endif

enum {
    BUFFER_BYTES = CSV_BUFFER_BYTES, /* at first; grows up to a longest row */
    RAW_PROBLEM_BYTES = 64 * 1024,
    MAX_ROW_BYTES_DEFAULT = 1024 * 1024,
    MAX_ROW_BYTES_LIMIT = 1024 * 1024 * 1024,
};

struct mr_csv {
    mr_csv_dialect dialect; /* a quote of '\n' stands for none: it can open no field; a delimiter likewise */
    mr_csv_read read;
    void *read_arg;
    char *buffer; /* CSV_BLOCK_BYTES more than capacity */
    size_t capacity;
    size_t begin, end; /* what has been read and not handed out */
    bool at_end;
    bool bom_possible;
    int64_t byte, line; /* of begin */
    csv_marks marks;    /* at begin */
    csv_fields fields;
    mr_buf aside; /* unescaped fields of the present row, or the start of an endless one */
};

static mr_err check_dialect(const mr_csv_dialect *dialect, mr_error *ret_error)
{
    if (dialect->delimiter == '\n' || dialect->delimiter == '\r')
        return mr_fail(ret_error, MR_EINVALID, "the CSV delimiter may not be a line end");
    if (dialect->quote == '\n' || dialect->quote == '\r')
        return mr_fail(ret_error, MR_EINVALID, "the CSV quote may not be a line end");
    if (dialect->quote == dialect->delimiter)
        return mr_fail(ret_error, MR_EINVALID, "CSV delimiter and quote must differ");
    if (dialect->max_row_bytes > MAX_ROW_BYTES_LIMIT)
        return mr_fail(ret_error, MR_EINVALID, "the maximum of bytes in a CSV row is at most %d",
                       MAX_ROW_BYTES_LIMIT);
    return MR_OK;
}

static mr_err open_reader(mr_csv_dialect dialect, mr_csv_read read, void *read_arg, mr_csv **ret_csv,
                          mr_error *ret_error)
{
    mr_csv *csv = malloc(sizeof *csv);
    char *buffer = malloc(BUFFER_BYTES + CSV_BLOCK_BYTES);
    if (csv == NULL || buffer == NULL) {
        free(csv);
        free(buffer);
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV reader");
    }
    *csv = (mr_csv){
        .dialect = dialect,
        .read = read,
        .read_arg = read_arg,
        .buffer = buffer,
        .capacity = BUFFER_BYTES,
    };
    mr_csv_start_at(csv, 0, 1);
    *ret_csv = csv;
    return MR_OK;
}

mr_err mr_csv_open(const mr_csv_dialect *dialect, mr_csv_read read, void *read_arg, mr_csv **ret_csv,
                   mr_error *ret_error)
{
    mr_csv_dialect own = *dialect;
    if (own.delimiter == '\0')
        own.delimiter = ',';
    if (own.max_row_bytes == 0)
        own.max_row_bytes = MAX_ROW_BYTES_DEFAULT;
    mr_err err = check_dialect(&own, ret_error);
    if (err != MR_OK)
        return err;
    if (own.quote == '\0')
        own.quote = '\n';
    return open_reader(own, read, read_arg, ret_csv, ret_error);
}

mr_err mr_csv_open_lines(size_t max_row_bytes, mr_csv_read read, void *read_arg, mr_csv **ret_csv,
                         mr_error *ret_error)
{
    mr_csv_dialect lines = {'\n', '\n', max_row_bytes};
    if (max_row_bytes == 0 || max_row_bytes > MAX_ROW_BYTES_LIMIT)
        return mr_fail(ret_error, MR_EINVALID, "the maximum of bytes in a line is 1 to %d",
                       MAX_ROW_BYTES_LIMIT);
    return open_reader(lines, read, read_arg, ret_csv, ret_error);
}

void mr_csv_close(mr_csv **csv)
{
    if (*csv == NULL)
        return;
    free((*csv)->buffer);
    free((*csv)->fields.items);
    mr_buf_fini(&(*csv)->aside);
    free(*csv);
    *csv = NULL;
}

static void seek_marks(mr_csv *csv)
{
    memset(csv->buffer + csv->end, 0, CSV_BLOCK_BYTES);
    csv_marks_seek(&csv->marks, &csv->dialect, csv->buffer + csv->begin);
}

void mr_csv_start_at(mr_csv *csv, int64_t byte, int64_t line)
{
    csv->begin = csv->end = 0;
    csv->at_end = false;
    csv->bom_possible = byte == 0;
    csv->byte = byte;
    csv->line = line;
    seek_marks(csv);
}

static mr_err grow(mr_csv *csv, mr_error *ret_error)
{
    size_t capacity = csv->capacity * 2;
    char *buffer = realloc(csv->buffer, capacity + CSV_BLOCK_BYTES);
    if (buffer == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV row of more than %zu bytes", csv->capacity);
    csv->buffer = buffer;
    csv->capacity = capacity;
    return MR_OK;
}

/* Reads until the buffer is full or the file ends; a full one doubles first, so that a long row that is
 * parsed again after each fill costs no more than twice its length. */
static mr_err fill(mr_csv *csv, mr_error *ret_error)
{
    memmove(csv->buffer, csv->buffer + csv->begin, csv->end - csv->begin);
    csv->end -= csv->begin;
    csv->begin = 0;
    if (csv->end == csv->capacity) {
        mr_err err = grow(csv, ret_error);
        if (err != MR_OK)
            return err;
    }
    while (csv->end < csv->capacity && !csv->at_end) {
        ssize_t got = csv->read(csv->read_arg, csv->buffer + csv->end, csv->capacity - csv->end);
        if (got < 0)
            return mr_fail_errno(ret_error, errno, "reading at byte %lld",
                                 (long long)(csv->byte + (int64_t)csv->end));
        csv->at_end = got == 0;
        csv->end += (size_t)got;
    }
    if (csv->bom_possible && csv->end >= 3 && memcmp(csv->buffer, "\xEF\xBB\xBF", 3) == 0) {
        csv->begin = 3;
        csv->byte = 3;
    }
    csv->bom_possible = false;
    seek_marks(csv);
    return MR_OK;
}

static void consume(mr_csv *csv, size_t bytes, int64_t line_ends)
{
    csv->begin += bytes;
    csv->byte += (int64_t)bytes;
    csv->line += line_ends;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Drops a row that has no end in its first `looked_at` bytes up to the next line end, keeping its start
 * aside. */
static mr_err skip_endless(mr_csv *csv, const csv_extent *extent, mr_csv_row *row, mr_error *ret_error)
{
    size_t total = extent->bytes;
    csv->aside.size = 0;
    if (mr_buf_append(&csv->aside, csv->buffer + csv->begin, min_size(total, RAW_PROBLEM_BYTES)) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV row");
    consume(csv, total, extent->line_ends);
    for (bool found = false; !found;) {
        if (csv->begin == csv->end) {
            mr_err err = csv->at_end ? MR_OK : fill(csv, ret_error);
            if (err != MR_OK)
                return err;
            if (csv->begin == csv->end)
                break;
        }
        const char *rest = csv->buffer + csv->begin;
        const char *line_end = memchr(rest, '\n', csv->end - csv->begin);
        size_t size = line_end != NULL ? (size_t)(line_end - rest) : csv->end - csv->begin;
        if (mr_buf_append(&csv->aside, rest, min_size(size, RAW_PROBLEM_BYTES - csv->aside.size)) != MR_OK)
            return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV row");
        total += size;
        found = line_end != NULL;
        consume(csv, size + found, 0);
    }
    csv->line++;
    row->raw = mr_buf_slice(&csv->aside);
    if (total == row->raw.size && row->raw.data[total - 1] == '\r')
        row->raw.size--;
    seek_marks(csv);
    return MR_OK;
}

/* Copies the fields that hold doubled quotes aside, with single ones. */
static mr_err unescape(mr_csv *csv, size_t row_bytes, mr_error *ret_error)
{
    const char quote = csv->dialect.quote;
    csv->aside.size = 0;
    if (mr_buf_reserve(&csv->aside, row_bytes) != MR_OK) /* once: fields point into it */
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a CSV row");
    for (size_t i = 0; i < csv->fields.count; i++) {
        mr_csv_field *field = &csv->fields.items[i];
        const char *from = field->text.data, *end = from + field->text.size;
        const char *next = field->quoted ? memchr(from, quote, field->text.size) : NULL;
        if (next == NULL)
            continue;
        char *to = csv->aside.data + csv->aside.size;
        field->text.data = to;
        for (; next != NULL; next = memchr(from, quote, (size_t)(end - from))) {
            size_t size = (size_t)(next + 1 - from);
            memcpy(to, from, size);
            to += size;
            from = next + 2;
        }
        memcpy(to, from, (size_t)(end - from));
        to += end - from;
        field->text.size = (size_t)(to - field->text.data);
        csv->aside.size = (size_t)(to - csv->aside.data);
    }
    return MR_OK;
}

/* Hands out the row at `begin`. */
static mr_err take_row(mr_csv *csv, const csv_extent *extent, mr_csv_row *row, mr_error *ret_error)
{
    const char *data = csv->buffer + csv->begin;
    row->raw = (mr_slice){data, extent->content_bytes};
    if (extent->problem != NULL)
        row->raw.size = min_size(row->raw.size, RAW_PROBLEM_BYTES);
    else if (extent->has_quoted) {
        mr_err err = unescape(csv, extent->content_bytes, ret_error);
        if (err != MR_OK)
            return err;
    }
    row->fields = csv->fields.items;
    row->field_count = csv->fields.count;
    consume(csv, extent->bytes, extent->line_ends);
    if (extent->problem != NULL)
        seek_marks(csv);
    return MR_OK;
}

mr_err mr_csv_next(mr_csv *csv, mr_csv_row *ret_row, bool *ret_end, mr_error *ret_error)
{
    for (;;) {
        csv_extent extent = {0};
        csv_status status = CSV_NEEDS_MORE;
        if (csv->begin < csv->end) {
            mr_slice available = {csv->buffer + csv->begin, csv->end - csv->begin};
            status = csv_row_parse(&csv->dialect, &csv->marks, available, csv->at_end, &csv->fields, &extent);
        } else if (csv->at_end) {
            *ret_end = true;
            return MR_OK;
        }
        if (status == CSV_NO_MEMORY)
            return mr_fail(ret_error, MR_ENOMEM, "no memory for the fields of a CSV row");
        if (status == CSV_NEEDS_MORE) {
            mr_err err = fill(csv, ret_error);
            if (err != MR_OK)
                return err;
            continue;
        }
        if (status == CSV_ROW && extent.content_bytes == 0) { /* an empty line */
            consume(csv, extent.bytes, extent.line_ends);
            continue;
        }
        mr_csv_row row = {.problem = extent.problem, .line = csv->line, .byte_first = csv->byte};
        mr_err err = status == CSV_ENDLESS ? skip_endless(csv, &extent, &row, ret_error)
                                           : take_row(csv, &extent, &row, ret_error);
        if (err != MR_OK)
            return err;
        row.next_line = csv->line;
        row.byte_end = csv->byte;
        *ret_row = row;
        *ret_end = false;
        return MR_OK;
    }
}
