#include "task/csv_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_row(char quote, const char *const *cells, const char *note, const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    csv_writer writer = {.out = out, .dialect = {.delimiter = ',', .quote = quote}};
    for (; *cells != NULL; cells++)
        csv_write(&writer, mr_slice_of(*cells), false);
    csv_write_note(&writer, note);
    csv_end_row(&writer);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void what_would_end_a_cell_is_quoted(void **state)
{
    (void)state;
    expect_row('"', (const char *const[]){"a", "b, c", "say \"x\"", "two\nlines", "", NULL}, "why, then",
               "a,\"b, c\",\"say \"\"x\"\"\",\"two\nlines\",,\"why, then\"\n");
    expect_row('\'', (const char *const[]){"it's", NULL}, "", "'it''s',\n");
}

static void without_quotes_only_notes_are_changed(void **state)
{
    (void)state;
    const csv_writer writer = {.dialect = {.delimiter = ','}};
    assert_false(csv_can_write(&writer, MR_SLICE_LITERAL("a,b")));
    assert_false(csv_can_write(&writer, MR_SLICE_LITERAL("a\nb")));
    assert_true(csv_can_write(&writer, MR_SLICE_LITERAL("say \"x\"")));
    expect_row('\0', (const char *const[]){"a", "\"b\"", NULL}, "why, then\n", "a,\"b\",why  then \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_end_a_cell_is_quoted),
        cmocka_unit_test(without_quotes_only_notes_are_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
