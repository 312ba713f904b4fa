#include "core/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const mr_option common[] = {
    {.name = "name", .type = MR_OPTION_TEXT, .required = true, .help = "Name of the connector."},
    {.name = "batch.rows",
     .type = MR_OPTION_INTEGER,
     .default_value = "5",
     .minimum = 1,
     .maximum = 9,
     .help = "Rows at once."},
    {0},
};

static const mr_option special[] = {
    {.name = "batch.rows",
     .type = MR_OPTION_INTEGER,
     .default_value = "50",
     .minimum = 1,
     .maximum = 99,
     .help = "Rows at once."},
    {.name = "csv.delimiter", .type = MR_OPTION_CHAR, .default_value = ",", .help = "Between cells."},
    {.name = "csv.header",
     .type = MR_OPTION_BOOLEAN,
     .default_value = "true",
     .help = "First row names columns."},
    {.name = "csv.null.values", .type = MR_OPTION_LIST, .help = "Cells that are null."},
    {.name = "password", .type = MR_OPTION_INTEGER, .maximum = 9, .secret = true, .help = "A secret."},
    {0},
};

static const mr_option *const tables[] = {common, special, NULL};

static mr_err check(const char *text, mr_error *ret_error)
{
    mr_props *props = NULL;
    assert_int_equal(mr_props_open(&props), MR_OK);
    assert_int_equal(mr_props_parse(props, "test", mr_slice_of(text), NULL), MR_OK);
    mr_err err = mr_options_check(tables, props, "sink \"x\"", ret_error);
    mr_props_close(&props);
    return err;
}

static void assert_refused(const char *text, const char *says)
{
    mr_error error;
    assert_int_equal(check(text, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, says));
}

static void test_accepts_values_that_fit(void **state)
{
    (void)state;
    assert_int_equal(check("name=x", NULL), MR_OK);
    assert_int_equal(check("name=x\ncsv.delimiter=\\\\t\ncsv.header=false\ncsv.null.values=[\"NA\"]", NULL),
                     MR_OK);
    assert_int_equal(check("name=x\ncsv.delimiter=;", NULL), MR_OK);
}

static void test_the_later_table_decides(void **state)
{
    (void)state;
    assert_int_equal(check("name=x\nbatch.rows=99", NULL), MR_OK);
    assert_refused("name=x\nbatch.rows=100",
                   "sink \"x\": batch.rows: \"100\" is not a whole number between 1 and 99");
}

static void test_an_unknown_name_is_told_with_the_nearest(void **state)
{
    (void)state;
    assert_refused("name=x\nbatch.row=1", "unknown option \"batch.row\", did you mean \"batch.rows\"?");
    assert_refused("name=x\nsomething.else=1", "unknown option \"something.else\"");
}

static void test_a_missing_required_name_is_told(void **state)
{
    (void)state;
    assert_refused("batch.rows=1", "\"name\" is missing: Name of the connector.");
}

static void test_values_that_do_not_fit_are_told(void **state)
{
    (void)state;
    assert_refused("name=x\nbatch.rows=1x", "batch.rows: \"1x\"");
    assert_refused("name=x\nbatch.rows=+1", "batch.rows: \"+1\"");
    assert_refused("name=x\nbatch.rows=", "batch.rows: \"\"");
    assert_refused("name=x\nbatch.rows=99999999999999999999", "batch.rows: ");
    assert_refused("name=x\ncsv.header=yes", "csv.header: \"yes\" is neither true nor false");
    assert_refused("name=x\ncsv.delimiter=ab", "csv.delimiter: \"ab\"");
    assert_refused("name=x\ncsv.delimiter=\xc3\xa9", "csv.delimiter: ");
    assert_refused("name=x\ncsv.null.values=NA", "csv.null.values: \"NA\" is not a JSON array");
    assert_refused("name=x\ncsv.null.values=[1]", "csv.null.values: ");
}

static void assert_list(const char *list, mr_err expected)
{
    mr_props *props = NULL;
    assert_int_equal(mr_props_open(&props), MR_OK);
    assert_int_equal(mr_props_set(props, "name", "x"), MR_OK);
    assert_int_equal(mr_props_set(props, "csv.null.values", list), MR_OK);
    if (mr_options_check(tables, props, "x", NULL) != expected)
        fail_msg("%s", list);
    mr_props_close(&props);
}

static void test_a_list_is_a_json_array_of_strings(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[]", " [ ] ", "[\"\"]", "[\"NA\",\"a,]\"]", " [ \"x\" , \"\\\\\" ] ", "[\"\\u00e9\\\"\"]"};
    static const char *const bad[] = {
        "",          "[",         "]",         "[\"a\"",      "[\"a\",]", "[,\"a\"]", "[\"a\" \"b\"]",
        "[\"a]",     "[\"a\"] x", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\\"]", "[\"\\",    "[null]",
        "{\"a\":1}", "[\"\t\"]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_list(good[i], MR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_list(bad[i], MR_EINVALID);
}

static void test_a_secret_is_not_told(void **state)
{
    (void)state;
    mr_error error;
    assert_int_equal(check("name=x\npassword=hunter2", &error), MR_EINVALID);
    assert_null(strstr(error.text, "hunter2"));
}

static void test_getters_answer_value_default_or_nothing(void **state)
{
    (void)state;
    mr_props *props = NULL;
    assert_int_equal(mr_props_open(&props), MR_OK);
    assert_int_equal(mr_option_integer(special, props, "batch.rows"), 50);
    assert_int_equal(mr_option_char(special, props, "csv.delimiter"), ',');
    assert_true(mr_option_boolean(special, props, "csv.header"));
    assert_null(mr_option_text(special, props, "csv.null.values"));
    assert_int_equal(mr_option_integer(special, props, "password"), 0);
    assert_int_equal(mr_props_set(props, "batch.rows", "7"), MR_OK);
    assert_int_equal(mr_props_set(props, "csv.delimiter", "\\t"), MR_OK);
    assert_int_equal(mr_props_set(props, "csv.header", "false"), MR_OK);
    assert_int_equal(mr_option_integer(special, props, "batch.rows"), 7);
    assert_int_equal(mr_option_char(special, props, "csv.delimiter"), '\t');
    assert_false(mr_option_boolean(special, props, "csv.header"));
    mr_props_close(&props);
}

static void assert_printed(bool markdown, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    mr_options_print(common, markdown, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_prints_the_table_for_help_and_for_the_reference(void **state)
{
    (void)state;
    assert_printed(false, "  name (text) required\n      Name of the connector.\n"
                          "  batch.rows (integer, 1 to 9) = 5\n      Rows at once.\n");
    assert_printed(true, "| option | type | default | meaning |\n|---|---|---|---|\n"
                         "| `name` | text | (required) | Name of the connector. |\n"
                         "| `batch.rows` | integer, 1 to 9 | `5` | Rows at once. |\n");
}

static void test_the_nearest_name_is_found_if_one_is_near(void **state)
{
    (void)state;
    static const char *const known[] = {"schedule", "schema", "primary_key", "key_space"};
    assert_string_equal(mr_nearest_name("shedule", known, 4), "schedule");
    assert_string_equal(mr_nearest_name("PrimaryKey", known, 4), "primary_key");
    assert_string_equal(mr_nearest_name("keyspace", known, 4), "key_space");
    assert_string_equal(mr_nearest_name("shcema", known, 4), "schema");
    assert_null(mr_nearest_name("colour", known, 4));
    assert_null(mr_nearest_name("", known, 4));
    char long_name[500];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_null(mr_nearest_name(long_name, known, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_values_that_fit),
        cmocka_unit_test(test_the_later_table_decides),
        cmocka_unit_test(test_an_unknown_name_is_told_with_the_nearest),
        cmocka_unit_test(test_a_missing_required_name_is_told),
        cmocka_unit_test(test_values_that_do_not_fit_are_told),
        cmocka_unit_test(test_a_list_is_a_json_array_of_strings),
        cmocka_unit_test(test_a_secret_is_not_told),
        cmocka_unit_test(test_getters_answer_value_default_or_nothing),
        cmocka_unit_test(test_prints_the_table_for_help_and_for_the_reference),
        cmocka_unit_test(test_the_nearest_name_is_found_if_one_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
