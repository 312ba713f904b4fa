/* Compares the reader with a plain reading of the same rules, one byte at a time over the whole text. */
#include "core/csv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A file in memory that hands out at most `chunk` bytes a call; random when chunk is 0. */
typedef struct file {
    mr_slice text;
    size_t at;
    size_t chunk;
    int fails_with;
} file;

static uint64_t seed = 1;

static size_t random_below(size_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed >> 11) % bound;
}

static ssize_t read_file(void *arg, char *data, size_t size)
{
    file *f = arg;
    if (f->fails_with != 0) {
        errno = f->fails_with;
        return -1;
    }
    size_t chunk = f->chunk != 0 ? f->chunk : 1 + random_below(7);
    size_t left = f->text.size - f->at;
    size = size < left ? size : left;
    size = size < chunk ? size : chunk;
    memcpy(data, f->text.data + f->at, size);
    f->at += size;
    return (ssize_t)size;
}

static mr_csv *open_csv(mr_csv_dialect dialect, file *f)
{
    mr_csv *csv;
    mr_error error;
    assert_int_equal(mr_csv_open(&dialect, read_file, f, &csv, &error), MR_OK);
    return csv;
}

/* ---- the plain reading ---- */

enum { FIELDS_MAX = 80, TEXT_MAX = 300 };

typedef struct plain_row {
    bool unreadable;
    size_t count;
    char fields[FIELDS_MAX][TEXT_MAX];
    size_t sizes[FIELDS_MAX];
    bool quoted[FIELDS_MAX];
    size_t first, content_end, end; /* in the text */
    int64_t line, next_line;
} plain_row;

static size_t line_end_from(mr_slice text, size_t at)
{
    while (at < text.size && text.data[at] != '\n')
        at++;
    return at;
}

static void end_row(plain_row *row, mr_slice text, size_t lf)
{
    row->content_end = lf > row->first && text.data[lf - 1] == '\r' ? lf - 1 : lf;
    row->end = lf < text.size ? lf + 1 : lf;
    row->next_line = row->line + 1;
    for (size_t i = row->first; i < lf; i++)
        row->next_line += text.data[i] == '\n';
}

static void spoil(plain_row *row, mr_slice text, size_t search_from)
{
    row->unreadable = true;
    end_row(row, text, line_end_from(text, search_from));
}

static void skip_empty_lines(mr_slice text, size_t *at, int64_t *line)
{
    for (;; ++*line) {
        size_t next = *at;
        next += next < text.size && text.data[next] == '\r';
        if (next < text.size && text.data[next] == '\n')
            *at = next + 1;
        else if (next == text.size && next > *at)
            *at = next;
        else
            return;
    }
}

static void put(plain_row *row, char c)
{
    assert_true(row->count < FIELDS_MAX && row->sizes[row->count] < TEXT_MAX);
    row->fields[row->count][row->sizes[row->count]++] = c;
}

/* False at the end of the text. */
static bool plain_next(mr_slice text, mr_csv_dialect dialect, size_t *at, int64_t *line, plain_row *row)
{
    skip_empty_lines(text, at, line);
    memset(row, 0, sizeof *row);
    row->first = *at;
    row->line = *line;
    if (*at == text.size)
        return false;
    size_t bound = row->first + dialect.max_row_bytes + 2;
    enum { START, PLAIN, QUOTED, CLOSED } state = START;
    size_t open = 0, i = row->first;
    for (;; i++) {
        if (i == bound) {
            spoil(row, text, state == QUOTED && line_end_from(text, open) < bound ? open : bound);
            break;
        }
        if (i == text.size) {
            if (state == QUOTED) {
                spoil(row, text, open);
                break;
            }
            if (state == PLAIN && text.data[i - 1] == '\r')
                row->sizes[row->count]--;
            row->count++;
            end_row(row, text, i);
            row->unreadable = row->content_end - row->first > dialect.max_row_bytes;
            break;
        }
        char c = text.data[i];
        char next = i + 1 < text.size && i + 1 < bound ? text.data[i + 1] : '\0';
        if (state == QUOTED) {
            if (c != dialect.quote) {
                put(row, c);
            } else if (next == dialect.quote) {
                put(row, c);
                i++;
            } else {
                state = CLOSED;
            }
        } else if (state == START && dialect.quote != '\0' && c == dialect.quote) {
            state = QUOTED;
            open = i;
            row->quoted[row->count] = true;
        } else if (c == dialect.delimiter) {
            row->count++;
            state = START;
        } else if (c == '\n') {
            if (state == PLAIN && text.data[i - 1] == '\r')
                row->sizes[row->count]--;
            row->count++;
            end_row(row, text, i);
            row->unreadable = row->content_end - row->first > dialect.max_row_bytes;
            break;
        } else if (state == CLOSED && c == '\r' && (i + 1 == text.size || i + 1 == bound || next == '\n')) {
            continue;
        } else if (state == CLOSED) {
            spoil(row, text, open);
            break;
        } else {
            put(row, c);
            state = PLAIN;
        }
    }
    *at = row->end;
    *line = row->next_line;
    return true;
}

/* ---- comparison ---- */

static void fail_on(mr_slice text, const char *what)
{
    char shown[4 * TEXT_MAX + 1];
    size_t used = 0;
    for (size_t i = 0; i < text.size && i < TEXT_MAX; i++)
        used += (size_t)snprintf(shown + used, sizeof shown - used, text.data[i] < ' ' ? "\\x%02x" : "%c",
                                 (unsigned char)text.data[i]);
    fail_msg("%s differs in: %s", what, shown);
}

static void compare_row(mr_slice text, const plain_row *expected, const mr_csv_row *row)
{
    mr_slice raw = {text.data + expected->first, expected->content_end - expected->first};
    if (!mr_slice_equal(raw, row->raw))
        fail_on(text, "raw");
    if ((size_t)row->byte_first != expected->first || (size_t)row->byte_end != expected->end)
        fail_on(text, "byte range");
    if (row->line != expected->line || row->next_line != expected->next_line)
        fail_on(text, "line");
    if ((row->problem != NULL) != expected->unreadable)
        fail_on(text, "problem");
    if (row->field_count != (expected->unreadable ? 0 : expected->count))
        fail_on(text, "number of fields");
    for (size_t i = 0; i < row->field_count; i++) {
        mr_slice field = {expected->fields[i], expected->sizes[i]};
        if (!mr_slice_equal(field, row->fields[i].text) || row->fields[i].quoted != expected->quoted[i])
            fail_on(text, "field");
    }
}

/* Reads all rows, starting again at a random third of the row ends. */
static void compare_reading(mr_slice text, mr_csv_dialect dialect, size_t chunk)
{
    static plain_row expected;
    file f = {.text = text, .chunk = chunk};
    mr_csv *csv = open_csv(dialect, &f);
    size_t at = 0;
    int64_t line = 1;
    for (;;) {
        mr_csv_row row;
        bool end;
        mr_error error;
        bool more = plain_next(text, dialect, &at, &line, &expected);
        assert_int_equal(mr_csv_next(csv, &row, &end, &error), MR_OK);
        if (end == more)
            fail_on(text, "number of rows");
        if (end)
            break;
        compare_row(text, &expected, &row);
        if (random_below(3) == 0) {
            f.at = (size_t)row.byte_end;
            mr_csv_start_at(csv, row.byte_end, row.next_line);
        }
    }
    mr_csv_close(&csv);
}

static void every_short_text_is_read_by_the_rules(void **state)
{
    (void)state;
    static const char alphabet[] = "a,\"\n\r";
    char text[7];
    for (size_t size = 0; size <= 6; size++) {
        size_t count = 1;
        for (size_t i = 0; i < size; i++)
            count *= 5;
        for (size_t n = 0; n < count; n++) {
            for (size_t i = 0, rest = n; i < size; i++, rest /= 5)
                text[i] = alphabet[rest % 5];
            for (size_t max = 1; max <= 8; max += n % 3 + 1)
                compare_reading((mr_slice){text, size}, (mr_csv_dialect){',', '"', max}, 0);
        }
    }
}

static void random_texts_are_read_by_the_rules_from_any_row_on(void **state)
{
    (void)state;
    static const char alphabets[][9] = {"a,\"\n\r", "aaa,\"\n", "a,\"\"\"\n", "aaaaa,\n"};
    for (int round = 0; round < 30000; round++) {
        char text[250];
        size_t size = random_below(round % 10 == 0 ? sizeof text : 40);
        const char *alphabet = alphabets[random_below(4)];
        for (size_t i = 0; i < size; i++)
            text[i] = alphabet[random_below(strlen(alphabet))];
        size_t max = round % 2 == 0 ? 1000 : 1 + random_below(30);
        char quote = round % 7 == 0 ? '\0' : '"';
        size_t used_max = 0; /* the plain reading has room for few fields: bound the commas by the row */
        for (size_t i = 0; i < size; i++)
            used_max += text[i] == ',';
        if (used_max < FIELDS_MAX)
            compare_reading((mr_slice){text, size}, (mr_csv_dialect){',', quote, max}, round % 3 ? 0 : 1);
    }
}

/* ---- single behaviours ---- */

typedef struct reading {
    file f;
    mr_csv *csv;
    mr_csv_row row;
    bool end;
} reading;

static void start_reading(reading *r, mr_slice text, mr_csv_dialect dialect)
{
    *r = (reading){.f = {.text = text, .chunk = 1 << 20}};
    r->csv = open_csv(dialect, &r->f);
}

static bool next_row(reading *r)
{
    mr_error error;
    assert_int_equal(mr_csv_next(r->csv, &r->row, &r->end, &error), MR_OK);
    return !r->end;
}

static void assert_field(const reading *r, size_t index, const char *expected)
{
    assert_true(index < r->row.field_count);
    mr_slice text = r->row.fields[index].text;
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static const mr_csv_dialect usual = {',', '"', 0};

static void a_byte_order_mark_is_no_part_of_the_first_field(void **state)
{
    (void)state;
    reading r;
    start_reading(&r, MR_SLICE_LITERAL("\xEF\xBB\xBFid,x\n1,2\n"), usual);
    assert_true(next_row(&r));
    assert_field(&r, 0, "id");
    assert_int_equal(r.row.byte_first, 3);
    assert_int_equal(r.row.byte_end, 8);
    mr_csv_close(&r.csv);
}

static void a_byte_order_mark_later_in_the_file_is_text(void **state)
{
    (void)state;
    reading r;
    start_reading(&r, MR_SLICE_LITERAL("\xEF\xBB\xBFx"), usual);
    mr_csv_start_at(r.csv, 100, 7);
    assert_true(next_row(&r));
    assert_field(&r, 0, "\xEF\xBB\xBFx");
    assert_int_equal(r.row.byte_first, 100);
    assert_int_equal(r.row.line, 7);
    mr_csv_close(&r.csv);
}

static void other_delimiters_and_quotes_are_used(void **state)
{
    (void)state;
    reading r;
    start_reading(&r, MR_SLICE_LITERAL("'a\tb'\t\"c\"\t'it''s'\n"), (mr_csv_dialect){'\t', '\'', 0});
    assert_true(next_row(&r));
    assert_int_equal(r.row.field_count, 3);
    assert_field(&r, 0, "a\tb");
    assert_field(&r, 1, "\"c\"");
    assert_field(&r, 2, "it's");
    assert_true(r.row.fields[0].quoted);
    assert_false(r.row.fields[1].quoted);
    mr_csv_close(&r.csv);
}

static void an_unbalanced_quote_spoils_its_line_only(void **state)
{
    (void)state;
    reading r;
    start_reading(&r, MR_SLICE_LITERAL("1,\"oops\n2,fine\n3,\"fine, too\"\n4,fine\n"), usual);
    assert_true(next_row(&r));
    assert_non_null(strstr(r.row.problem, "quote"));
    assert_true(mr_slice_equal(r.row.raw, MR_SLICE_LITERAL("1,\"oops")));
    for (int i = 2; i <= 4; i++) {
        assert_true(next_row(&r));
        assert_null(r.row.problem);
        assert_int_equal(r.row.line, i);
        assert_int_equal(r.row.field_count, 2);
    }
    assert_false(next_row(&r));
    mr_csv_close(&r.csv);
}

static void a_row_of_the_maximum_is_read_and_a_longer_one_is_not(void **state)
{
    (void)state;
    reading r;
    start_reading(&r, MR_SLICE_LITERAL("12345678\r\n123456789\n\"1\n3\"\n"), (mr_csv_dialect){',', '"', 8});
    assert_true(next_row(&r));
    assert_null(r.row.problem);
    assert_true(next_row(&r));
    assert_non_null(strstr(r.row.problem, "longer"));
    assert_int_equal(r.row.next_line, 3);
    assert_true(next_row(&r));
    assert_field(&r, 0, "1\n3");
    mr_csv_close(&r.csv);
}

static void a_row_of_100_mb_is_skipped_in_bounded_memory_with_its_start_kept(void **state)
{
    (void)state;
    size_t size = 100 * 1000 * 1000;
    char *text = malloc(size + 6);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + size, "\n1,2\n", 6);
    reading r;
    start_reading(&r, (mr_slice){text, size + 5}, usual);
    assert_true(next_row(&r));
    assert_non_null(r.row.problem);
    assert_int_equal(r.row.raw.size, 64 * 1024);
    assert_int_equal(r.row.byte_end, size + 1);
    assert_true(next_row(&r));
    assert_field(&r, 1, "2");
    assert_int_equal(r.row.line, 2);
    assert_false(next_row(&r));
    mr_csv_close(&r.csv);
    free(text);
}

static void a_long_quoted_field_within_the_maximum_is_read_whole(void **state)
{
    (void)state;
    size_t size = 900 * 1000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '\n', size);
    text[0] = text[size - 2] = '"';
    text[10] = text[11] = '"';
    reading r;
    start_reading(&r, (mr_slice){text, size}, usual);
    assert_true(next_row(&r));
    assert_null(r.row.problem);
    assert_int_equal(r.row.field_count, 1);
    assert_int_equal(r.row.fields[0].text.size, size - 4);
    assert_int_equal(r.row.next_line, 1 + (int64_t)size - 4);
    assert_int_equal(r.row.raw.size, size - 1);
    assert_false(next_row(&r));
    mr_csv_close(&r.csv);
    free(text);
}

static void a_row_of_too_many_fields_cannot_be_read(void **state)
{
    (void)state;
    char text[20002];
    memset(text, ',', sizeof text);
    text[20000] = '\n';
    reading r;
    start_reading(&r, (mr_slice){text, sizeof text}, usual);
    assert_true(next_row(&r));
    assert_non_null(strstr(r.row.problem, "fields"));
    assert_true(next_row(&r));
    assert_int_equal(r.row.field_count, 2);
    mr_csv_close(&r.csv);
}

static void a_read_error_is_told_with_its_place(void **state)
{
    (void)state;
    file f = {.fails_with = EIO};
    mr_csv *csv = open_csv(usual, &f);
    mr_csv_row row;
    bool end;
    mr_error error;
    mr_csv_start_at(csv, 4711, 3);
    assert_int_equal(mr_csv_next(csv, &row, &end, &error), MR_EIO);
    assert_non_null(strstr(error.text, "4711"));
    mr_csv_close(&csv);
}

static void impossible_dialects_are_refused(void **state)
{
    (void)state;
    static const mr_csv_dialect bad[] = {{'"', '"', 0}, {'\n', '"', 0}, {',', '\r', 0}, {',', '"', SIZE_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mr_csv *csv = NULL;
        mr_error error;
        assert_int_equal(mr_csv_open(&bad[i], read_file, NULL, &csv, &error), MR_EINVALID);
        assert_null(csv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_text_is_read_by_the_rules),
        cmocka_unit_test(random_texts_are_read_by_the_rules_from_any_row_on),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_field),
        cmocka_unit_test(a_byte_order_mark_later_in_the_file_is_text),
        cmocka_unit_test(other_delimiters_and_quotes_are_used),
        cmocka_unit_test(an_unbalanced_quote_spoils_its_line_only),
        cmocka_unit_test(a_row_of_the_maximum_is_read_and_a_longer_one_is_not),
        cmocka_unit_test(a_row_of_100_mb_is_skipped_in_bounded_memory_with_its_start_kept),
        cmocka_unit_test(a_long_quoted_field_within_the_maximum_is_read_whole),
        cmocka_unit_test(a_row_of_too_many_fields_cannot_be_read),
        cmocka_unit_test(a_read_error_is_told_with_its_place),
        cmocka_unit_test(impossible_dialects_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
