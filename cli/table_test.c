#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed;
static size_t printed_size;
static FILE *out;

static int begin(void **state)
{
    (void)state;
    out = open_memstream(&printed, &printed_size);
    return out == NULL;
}

static int end(void **state)
{
    (void)state;
    free(printed);
    return 0;
}

static const char *const titles[] = {"NAME", "ROWS"};
#define ROW(...) table_row(t, (const char *const[]){__VA_ARGS__})

static void widths_come_from_titles_and_cells(void **state)
{
    (void)state;
    text_table *t = table_open(out, titles, 2);
    ROW("a", "1");
    ROW("longer", "12345");
    table_close(&t);
    fclose(out);
    assert_string_equal(printed, "NAME     ROWS\n"
                                 "a           1\n"
                                 "longer  12345\n");
}

static void a_table_without_rows_shows_its_titles(void **state)
{
    (void)state;
    text_table *t = table_open(out, titles, 2);
    table_close(&t);
    fclose(out);
    assert_string_equal(printed, "NAME  ROWS\n");
}

static void characters_count_not_bytes(void **state)
{
    (void)state;
    text_table *t = table_open(out, titles, 2);
    ROW("Äö", "x");
    ROW("abc", NULL);
    table_close(&t);
    fclose(out);
    assert_string_equal(printed, "NAME  ROWS\n"
                                 "Äö    x\n"
                                 "abc\n");
    assert_int_equal(text_width("Äö€"), 3);
}

static void control_characters_cannot_reach_the_terminal(void **state)
{
    (void)state;
    text_table *t = table_open(out, titles, 2);
    ROW("a\nb\x1b[2J", "\t");
    table_close(&t);
    fclose(out);
    assert_string_equal(printed, "NAME         ROWS\n"
                                 "a\\nb\\x1b[2J  \\t\n");
}

static void rows_beyond_the_window_flow_in_the_same_widths(void **state)
{
    (void)state;
    text_table *t = table_open(out, titles, 2);
    for (int i = 0; i < 600; i++)
        ROW("abcdefgh", "7");
    ROW("a", "12");
    table_close(&t);
    fclose(out);
    static const char last[] = "a           12\n";
    assert_string_equal(printed + printed_size - (sizeof last - 1), last);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(widths_come_from_titles_and_cells),
        TEST(a_table_without_rows_shows_its_titles),
        TEST(characters_count_not_bytes),
        TEST(control_characters_cannot_reach_the_terminal),
        TEST(rows_beyond_the_window_flow_in_the_same_widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
