#include "task/letter_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mr_schema *schema;
static letter_rows *rows;
static mr_arena arena;

static void open_rows(const char *file_type, const char *null_values)
{
    static const char text[] = "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
                               "{\"name\":\"id\",\"type\":\"int\"},"
                               "{\"name\":\"note\",\"type\":[\"null\",\"string\"],\"default\":null}]}";
    mr_error error;
    assert_int_equal(mr_schema_parse(MR_SLICE_LITERAL(text), NULL, NULL, &schema, &error), MR_OK);
    const letter_rows_spec spec = {
        .schema = schema, .schema_id = 1, .file_type = file_type, .null_values = null_values};
    assert_int_equal(letter_rows_open(&spec, &rows, &error), MR_OK);
}

static int close_rows(void **state)
{
    (void)state;
    letter_rows_close(&rows);
    mr_schema_close(&schema);
    mr_arena_fini(&arena);
    return 0;
}

static dead_letter csv_letter(const char *dialect, const char *header, const char *row)
{
    return (dead_letter){.csv_dialect = mr_slice_of(dialect),
                         .csv_header = mr_slice_of(header),
                         .value = mr_slice_of(row),
                         .line = 7};
}

static void expect_row(const dead_letter *letter, int id, const char *note)
{
    const mr_value *values;
    mr_error error;
    if (letter_rows_convert(rows, letter, &arena, &values, &error) != MR_OK)
        fail_msg("%s", error.text);
    assert_int_equal(values[0].integer, id);
    assert_int_equal(values[1].type, note != NULL ? MR_TYPE_STRING : MR_TYPE_NULL);
    if (note != NULL)
        assert_true(mr_slice_equal((mr_slice){values[1].data, values[1].size}, mr_slice_of(note)));
}

static void expect_reason(const dead_letter *letter, const char *reason)
{
    const mr_value *values;
    mr_error error;
    assert_int_not_equal(letter_rows_convert(rows, letter, &arena, &values, &error), MR_OK);
    assert_int_equal(error.class, MR_DATA);
    assert_string_equal(error.text, reason);
}

static void the_layout_of_its_file_tells_what_a_row_means(void **state)
{
    (void)state;
    open_rows("csv", "[\"NA\"]");
    dead_letter comma = csv_letter(",\"", "note,other,id", "\"a, b\",x,5"),
                semicolon = csv_letter(";", "ID;note", "6;\"as it is\""),
                none = csv_letter(",\"", "id,note", "8,NA");
    expect_row(&comma, 5, "a, b");
    expect_row(&semicolon, 6, "\"as it is\"");
    expect_row(&comma, 5, "a, b");
    expect_row(&none, 8, NULL);
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    open_rows("csv", "[]");
    dead_letter few = csv_letter(",\"", "id,note", "5"), open = csv_letter(",\"", "id,note", "5,\"x"),
                cut = csv_letter(",\"", "id,note", "5,x"), bare = {.value = MR_SLICE_LITERAL("5,x")};
    cut.length = 100000;
    expect_reason(&few, "1 cell, the header has 2");
    expect_reason(&open, "a quote is not closed");
    expect_reason(&cut, "only the first 3 of its 100000 bytes were kept: send the row again in a file");
    expect_reason(&bare, "the layout of its file was not kept with it: send the row again in a file");
}

static void a_row_of_ndjson_is_an_object(void **state)
{
    (void)state;
    open_rows("ndjson", "[]");
    dead_letter good = {.value = MR_SLICE_LITERAL("{\"note\": \"x\", \"id\": 3}")},
                bad = {.value = MR_SLICE_LITERAL("{\"note\": \"x\"")};
    const mr_value *values;
    mr_error error;
    expect_row(&good, 3, "x");
    assert_int_not_equal(letter_rows_convert(rows, &bad, &arena, &values, &error), MR_OK);
    assert_int_equal(error.class, MR_DATA);
}

static void what_was_sent_is_read_back(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"millrace.run", "12:ab"},         {"__connect.errors.exception.message", "why"},
        {"millrace.file", "f.csv"},        {"millrace.line", "9"},
        {"millrace.bytes", "10-25"},       {"millrace.csv.dialect", ",\""},
        {"millrace.csv.header", "id,note"}};
    mr_header headers[7];
    for (size_t i = 0; i < 7; i++)
        headers[i] = (mr_header){mr_slice_of(names[i][0]), mr_slice_of(names[i][1])};
    const mr_record record = {.headers = headers, .header_count = 7, .value = MR_SLICE_LITERAL("raw")};
    dead_letter letter;
    assert_int_equal(dead_letter_read(&record, &arena, &letter, NULL), MR_OK);
    assert_string_equal(letter.run_uid, "ab");
    assert_int_equal(letter.run_seq, 12);
    assert_string_equal(letter.reason, "why");
    assert_string_equal(letter.file, "f.csv");
    assert_int_equal(letter.line, 9);
    assert_int_equal(letter.byte_first, 10);
    assert_int_equal(letter.byte_end, 25);
    assert_true(mr_slice_equal(letter.csv_header, MR_SLICE_LITERAL("id,note")));
    assert_null(letter.topic);
    mr_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_layout_of_its_file_tells_what_a_row_means, close_rows),
        cmocka_unit_test_teardown(what_cannot_be_read_says_why, close_rows),
        cmocka_unit_test_teardown(a_row_of_ndjson_is_an_object, close_rows),
        cmocka_unit_test(what_was_sent_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
