#include "core/json_row.h"

#include "core/json_check.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct fixture {
    mr_schema *schema;
    mr_json_rows *rows;
    mr_arena arena;
    const mr_value *values;
    mr_error error;
} fixture;

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"int\",\"default\":-7},{\"name\":\"big\",\"type\":[\"null\",\"long\"]},"
    "{\"name\":\"real\",\"type\":[\"null\",\"double\"]},{\"name\":\"single\",\"type\":[\"null\",\"float\"]},"
    "{\"name\":\"yes\",\"type\":[\"null\",\"boolean\"]},{\"name\":\"text\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"data\",\"type\":[\"null\",\"bytes\"]},{\"name\":\"must\",\"type\":\"string\"}]}";

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, &f->schema, &f->error), MR_OK);
    assert_int_equal(mr_json_rows_open(f->schema, &f->rows, &f->error), MR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    mr_json_rows_close(&f->rows);
    mr_schema_close(&f->schema);
    mr_arena_fini(&f->arena);
    free(f);
    return 0;
}

/* From a copy of exactly that size, which is gone afterwards: values must not point into it. */
static mr_err read_bytes(fixture *f, const char *line, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, line, size);
    mr_arena_reset(&f->arena);
    mr_err err = mr_json_row(f->rows, (mr_slice){copy, size}, &f->arena, &f->values, &f->error);
    free(copy);
    return err;
}

static const mr_value *row(fixture *f, const char *line)
{
    if (read_bytes(f, line, strlen(line)) != MR_OK)
        fail_msg("%s: %s", line, f->error.text);
    return f->values;
}

static void refused(fixture *f, const char *line, const char *reason)
{
    if (read_bytes(f, line, strlen(line)) != MR_EINVALID)
        fail_msg("%s is taken", line);
    assert_int_equal(f->error.class, MR_DATA);
    if (strcmp(f->error.text, reason) != 0)
        fail_msg("%s:\n  %s, not\n  %s", line, f->error.text, reason);
}

static void assert_text(const mr_value *value, const char *expected)
{
    assert_int_equal(value->type, MR_TYPE_STRING);
    assert_int_equal(value->size, strlen(expected));
    assert_memory_equal(value->data, expected, value->size);
}

static void members_are_taken_by_name_in_any_order(void **state)
{
    fixture *f = *state;
    const mr_value *v = row(f, " { \"must\" : \"m\" , \"big\":-9223372036854775808,\"other\":{\"id\":[1,{}]},"
                               "\"real\":1e2,\"yes\":false,\"single\":0.5,\"id\":3} ");
    assert_int_equal(v[0].integer, 3);
    assert_true(v[1].integer == INT64_MIN);
    assert_true(v[2].real == 100.0);
    assert_true(v[3].real == 0.5);
    assert_int_equal(v[4].type, MR_TYPE_BOOLEAN);
    assert_int_equal(v[4].integer, 0);
    assert_int_equal(v[5].type, MR_TYPE_NULL);
    assert_text(&v[7], "m");
}

static void what_is_missing_has_its_default_or_null(void **state)
{
    fixture *f = *state;
    const mr_value *v = row(f, "{\"must\":\"\",\"big\":null}");
    assert_int_equal(v[0].integer, -7);
    assert_int_equal(v[1].type, MR_TYPE_NULL);
    assert_text(&v[7], "");
    refused(f, "{}", "column must: is missing, and it is neither nullable nor has it a default");
    refused(f, "{\"must\":null}", "column must: null is not a string, at byte 9");
}

static void names_differ_by_case_only_where_the_exact_one_is_missing(void **state)
{
    fixture *f = *state;
    assert_int_equal(row(f, "{\"ID\":1,\"Must\":\"x\"}")[0].integer, 1);
    assert_int_equal(row(f, "{\"ID\":1,\"id\":2,\"Id\":3,\"must\":\"x\"}")[0].integer, 2);
    assert_int_equal(row(f, "{\"\\u0069d\":5,\"must\":\"x\"}")[0].integer, 5);
    refused(f, "{\"ID\":1,\"Id\":2}", "column id: two members differ from its name by case only, at byte 14");
    assert_int_equal(row(f, "{\"i\":1,\"idx\":2,\"\":3,\"must\":\"x\"}")[0].integer, -7);
}

static void strings_are_without_escapes(void **state)
{
    fixture *f = *state;
    assert_text(&row(f, "{\"must\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\uD83D\\uDE00\xC3\xA9\"}")[7],
                "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA9");
    const mr_value *v = row(f, "{\"must\":\"\",\"data\":\"a\\u00ff\xC2\x80z\"}");
    assert_int_equal(v[6].type, MR_TYPE_BYTES);
    assert_int_equal(v[6].size, 4);
    assert_memory_equal(v[6].data, "a\xff\x80z", 4);
    v = row(f, "{\"must\":\"\",\"data\":\"\\u0000\\u0001\",\"none\\u0000\":\"\\u0000\",\"id\\u0000\":7}");
    assert_int_equal(v[0].integer, -7);
    assert_int_equal(v[6].size, 2);
    assert_memory_equal(v[6].data, "\0\1", 2);
    refused(f, "{\"must\":\"a\\u0000\"}",
            "column must: \"a\\x00\" is not valid UTF-8, or holds a NUL, at byte 9");
    refused(f, "{\"data\":\"\\u0100\"}",
            "column data: bytes are written as characters up to U+00FF, at byte 9");
}

static void numbers_are_exact_and_in_range(void **state)
{
    fixture *f = *state;
    assert_int_equal(row(f, "{\"id\":-2147483648,\"must\":\"\"}")[0].integer, INT32_MIN);
    assert_int_equal(row(f, "{\"id\":-0,\"must\":\"\"}")[0].integer, 0);
    refused(f, "{\"id\":2147483648}", "column id: \"2147483648\" is out of range for an int, at byte 7");
    refused(f, "{\"id\":3.5}", "column id: \"3.5\" is not an int, at byte 7");
    refused(f, "{\"id\":3.0}", "column id: \"3.0\" is not an int, at byte 7");
    refused(f, "{\"id\":1e2}", "column id: \"1e2\" is not an int, at byte 7");
    refused(f, "{\"id\":\"3\"}", "column id: a string is not an int, at byte 7");
    refused(f, "{\"big\":9223372036854775808}",
            "column big: \"9223372036854775808\" is out of range for a long, at byte 8");
    refused(f, "{\"real\":1e999}", "column real: \"1e999\" is out of range for a double, at byte 9");
    refused(f, "{\"single\":1e39}", "column single: \"1e39\" is out of range for a float, at byte 11");
    refused(f, "{\"real\":\"1\"}", "column real: a string is not a double, at byte 9");
    assert_true(row(f, "{\"real\":\"-Infinity\",\"must\":\"\"}")[2].real < -1e308);
    /* what is passed over may be as large as it likes */
    row(f, "{\"must\":\"\",\"huge\":123456789012345678901234567890e9999}");
}

static void other_kinds_of_values_are_refused(void **state)
{
    fixture *f = *state;
    refused(f, "{\"yes\":1}", "column yes: a number is not a boolean, at byte 8");
    refused(f, "{\"yes\":\"true\"}", "column yes: a string is not a boolean, at byte 8");
    refused(f, "{\"text\":1}", "column text: a number is not a string, at byte 9");
    refused(f, "{\"text\":{}}", "column text: an object is not a string, at byte 9");
    refused(f, "{\"data\":[]}", "column data: an array is not a bytes, at byte 9");
    refused(f, "[]", "an array is not an object");
    refused(f, "7", "a number is not an object");
    refused(f, "\"x\"", "a string is not an object");
}

static void what_is_no_json_is_refused_with_its_place(void **state)
{
    fixture *f = *state;
    static const char *const wrong[][2] = {
        {"", "1: it ends too early"},
        {"{", "2: a name in quotes is expected"},
        {"{}x", "3: something follows the value"},
        {"{} {}", "4: something follows the value"},
        {"{\"a\":1,}", "8: a name in quotes is expected"},
        {"{\"a\" 1}", "6: \":\" is expected"},
        {"{\"a\":1 \"b\":2}", "8: \",\" or \"}\" is expected"},
        {"{\"a\":[1 2]}", "9: \",\" or \"]\" is expected"},
        {"{\"a\":[1,]}", "9: a value is expected"},
        {"{\"a\":01}", "6: a number begins with 0"},
        {"{\"a\":1.}", "8: a digit is missing"},
        {"{\"a\":-}", "7: a digit is missing"},
        {"{\"a\":1e+}", "9: a digit is missing"},
        {"{\"a\":+1}", "6: a value is expected"},
        {"{\"a\":NaN}", "6: a value is expected"},
        {"{\"a\":nul}", "6: a value is expected"},
        {"{\"a\":\"x}", "6: a string is not closed"},
        {"{\"a\":\"\\", "7: an unknown escape"},
        {"{\"a\":\"\\x\"}", "7: an unknown escape"},
        {"{\"a\":\"\\u12g4\"}", "7: \\u needs four hexadecimal digits"},
        {"{\"a\":\"\\ud800\"}", "7: half of a surrogate pair"},
        {"{\"a\":\"\\ud800\\u0041\"}", "7: half of a surrogate pair"},
        {"{\"a\":\"\\udc00\"}", "7: half of a surrogate pair"},
        {"{\"a\":\"\t\"}", "7: a control character must be written with \\u"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "14: a name stands twice in an object"},
        {"{\"a\":1,\"\\u0061\":3}", "8: a name stands twice in an object"},
        {"{\"x\":{\"a\":1,\"a\":3}}", "13: a name stands twice in an object"},
        {"{'a':1}", "2: a name in quotes is expected"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char reason[200];
        snprintf(reason, sizeof reason, "not JSON: byte %s", wrong[i][1]);
        refused(f, wrong[i][0], reason);
    }
    refused(f, "{\"a\":\"\xff\"}", "not JSON: not valid UTF-8");
    assert_int_equal(read_bytes(f, "{}\0", 3), MR_EINVALID);
    assert_string_equal(f->error.text, "not JSON: not valid UTF-8, or it holds a NUL");
}

static void many_names_are_told_apart(void **state)
{
    fixture *f = *state;
    mr_buf text = {0};
    for (int twice = 0; twice < 2; twice++) {
        text.size = 0;
        assert_int_equal(mr_buf_printf(&text, "{\"must\":\"\""), MR_OK);
        for (int i = 0; i < 5000; i++)
            assert_int_equal(mr_buf_printf(&text, ",\"n%d\":%d", i * 7919 % 5000, i), MR_OK);
        assert_int_equal(mr_buf_printf(&text, "%s}", twice ? ",\"n77\":0" : ""), MR_OK);
        assert_int_equal(read_bytes(f, text.data, text.size), twice ? MR_EINVALID : MR_OK);
    }
    assert_non_null(strstr(f->error.text, "a name stands twice"));
    mr_buf_fini(&text);
}

static void depth_is_bounded(void **state)
{
    fixture *f = *state;
    for (int depth = 62; depth <= 65; depth++) {
        mr_buf text = {0};
        assert_int_equal(mr_buf_printf(&text, "{\"must\":\"\",\"x\":"), MR_OK);
        for (int i = 0; i < depth; i++)
            assert_int_equal(mr_buf_append(&text, "[", 1), MR_OK);
        for (int i = 0; i < depth; i++)
            assert_int_equal(mr_buf_append(&text, "]", 1), MR_OK);
        assert_int_equal(mr_buf_append(&text, "}", 1), MR_OK);
        assert_int_equal(read_bytes(f, text.data, text.size), depth <= 63 ? MR_OK : MR_EINVALID);
        mr_buf_fini(&text);
    }
}

/* --- nested --- */

static const char nested_text[] =
    "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
    "{\"name\":\"tags\",\"type\":[\"null\",{\"type\":\"array\",\"items\":[\"null\",\"int\"]}]},"
    "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"P\",\"fields\":["
    "{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"why\",\"type\":\"string\",\"default\":\"so\"},"
    "{\"name\":\"when\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]}]}]},"
    "{\"name\":\"by\",\"type\":[\"null\",{\"type\":\"map\",\"values\":\"P\"}]},"
    "{\"name\":\"sum\",\"type\":[\"null\",{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":30,"
    "\"scale\":2}]}]}";

static int setup_nested(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(mr_schema_parse(mr_slice_of(nested_text), NULL, NULL, &f->schema, &f->error), MR_OK);
    assert_int_equal(mr_json_rows_open(f->schema, &f->rows, &f->error), MR_OK);
    *state = f;
    return 0;
}

static void assert_bytes(const mr_value *value, mr_type type, const char *bytes, size_t size)
{
    assert_int_equal(value->type, type);
    assert_true(mr_slice_equal((mr_slice){value->data, value->size}, (mr_slice){bytes, size}));
}

static void nested_values_are_encoded(void **state)
{
    fixture *f = *state;
    const mr_value *v =
        row(f, "{\"tags\":[1,null,-1],\"by\":{\"a\\n\":{\"x\":1}},\"at\":{\"when\":\"1970-01-02\","
               "\"more\":[{}],\"x\":2,\"WHY\":\"\"}}");
    assert_bytes(&v[0], MR_TYPE_ARRAY, "\6\2\2\0\2\1\0", 7);
    assert_bytes(&v[1], MR_TYPE_RECORD, "\4\0\2\2", 4);
    assert_bytes(&v[2], MR_TYPE_MAP, "\2\4a\n\2\4so\0\0", 10);
    assert_int_equal(v[3].type, MR_TYPE_NULL);
    v = row(f, "{\"tags\":[],\"by\":{},\"sum\":12345678901234567890123456.5}");
    assert_bytes(&v[0], MR_TYPE_ARRAY, "\0", 1);
    assert_bytes(&v[2], MR_TYPE_MAP, "\0", 1);
    assert_bytes(&v[3], MR_TYPE_BYTES, "\x03\xfd\x35\xeb\x6d\x79\x7a\x91\xbe\x38\xf3\x32", 12);
}

static void reasons_name_the_place_in_nested_values(void **state)
{
    fixture *f = *state;
    refused(f, "{\"tags\":[1,2.5]}", "column tags[1]: \"2.5\" is not an int, at byte 12");
    refused(f, "{\"tags\":{}}", "column tags: an object is not an array, at byte 9");
    refused(f, "{\"at\":{}}", "column at.x: is missing, and it is neither nullable nor has it a default");
    refused(f, "{\"at\":{\"x\":1,\"when\":\"x\"}}",
            "column at.when: \"x\" is not a date, as 2026-11-24, at byte 21");
    refused(f, "{\"at\":{\"x\":1,\"when\":5}}", "column at.when: a number is not a date, at byte 21");
    refused(f, "{\"at\":{\"x\":1,\"X2\":0,\"WHy\":\"\",\"whY\":\"\"}}",
            "column at.why: two members differ from its name by case only, at byte 36");
    refused(f, "{\"by\":{\"k\":{\"x\":true}}}", "column by.k.x: a boolean is not an int, at byte 17");
    refused(f, "{\"by\":{\"\xC3\xA9 \":0}}",
            "column by.\"\\xC3\\xA9 \": a number is not a record P, at byte 14");
    refused(f, "{\"by\":{\"a\":{\"x\":1},\"a\":{\"x\":1}}}",
            "not JSON: byte 20: a name stands twice in an object");
    refused(f, "{\"by\":{\"k\\u0000\":{\"x\":1}}}",
            "column by.\"k\\x5Cu0000\": a key holds a NUL, at byte 9");
    refused(f, "{\"sum\":1e2}", "column sum: \"1e2\" is not a decimal number, at byte 8");
    refused(f, "{\"sum\":0.001}",
            "column sum: \"0.001\" has more digits behind the point than decimal(30, 2), at byte 8");
}

/* Three bytes of JSON that stand for a kilobyte: what a row holds is bounded all the same. */
static void defaults_inside_cannot_blow_a_row_up(void **state)
{
    (void)state;
    fixture f = {.schema = NULL};
    mr_buf text = {0}, line = {0};
    assert_int_equal(
        mr_buf_printf(&text,
                      "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"a\",\"type\":"
                      "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"R\",\"fields\":"
                      "[{\"name\":\"d\",\"type\":\"string\",\"default\":\"%01000d\"}]}}}]}",
                      0),
        MR_OK);
    assert_int_equal(mr_schema_parse(mr_buf_slice(&text), NULL, NULL, &f.schema, &f.error), MR_OK);
    assert_int_equal(mr_json_rows_open(f.schema, &f.rows, &f.error), MR_OK);
    for (int count = 4000; count <= 300000; count += 296000) {
        line.size = 0;
        assert_int_equal(mr_buf_printf(&line, "{\"a\":[{}"), MR_OK);
        for (int i = 1; i < count; i++)
            assert_int_equal(mr_buf_append(&line, ",{}", 3), MR_OK);
        assert_int_equal(mr_buf_append(&line, "]}", 2), MR_OK);
        assert_int_equal(read_bytes(&f, line.data, line.size), count == 4000 ? MR_OK : MR_EINVALID);
    }
    assert_non_null(strstr(f.error.text, "over 4 MiB"));
    assert_true(f.arena.used_bytes < 64 * 1024);
    mr_json_rows_close(&f.rows);
    mr_schema_close(&f.schema);
    mr_arena_fini(&f.arena);
    mr_buf_fini(&text);
    mr_buf_fini(&line);
}

/* jansson is the oracle: texts of pieces of JSON, most of them wrong somewhere. */
static void the_check_agrees_with_jansson(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{",     "}", "[",       "]",           ",",      ":",    "\"a\"",
                                         "\"b\"", "1", "-2.5",    "\"\\u00e9\"", "true",   "null", " ",
                                         "\"",    "0", "{\"a\":", "[1,",         "\"a\":", "},"};
    uint64_t seed = 88172645463325252u;
    json_checker *checker;
    mr_error error;
    int valid = 0;
    assert_int_equal(json_checker_open(&checker, &error), MR_OK);
    for (int round = 0; round < 200000; round++) {
        char text[100] = "";
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        size_t count = 1 + seed % 7;
        for (size_t i = 0; i < count; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            strcat(text, pieces[(seed >> 9) % (sizeof pieces / sizeof *pieces)]);
        }
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        bool right = json_check(checker, mr_slice_of(text), &error) == MR_OK;
        if (right != (json != NULL))
            fail_msg("%s: %s", text, right ? "taken" : error.text);
        valid += right;
        json_decref(json);
    }
    assert_true(valid > 1000);
    json_checker_close(&checker);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(members_are_taken_by_name_in_any_order),
        TEST(what_is_missing_has_its_default_or_null),
        TEST(names_differ_by_case_only_where_the_exact_one_is_missing),
        TEST(strings_are_without_escapes),
        TEST(numbers_are_exact_and_in_range),
        TEST(other_kinds_of_values_are_refused),
        TEST(what_is_no_json_is_refused_with_its_place),
        TEST(many_names_are_told_apart),
        TEST(depth_is_bounded),
        cmocka_unit_test_setup_teardown(nested_values_are_encoded, setup_nested, teardown),
        cmocka_unit_test_setup_teardown(reasons_name_the_place_in_nested_values, setup_nested, teardown),
        TEST(defaults_inside_cannot_blow_a_row_up),
        TEST(the_check_agrees_with_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
