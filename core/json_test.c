#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static json_t *loaded(const char *text)
{
    json_t *json = NULL;
    assert_int_equal(mr_json_load(mr_slice_of(text), "test", 0, &json, NULL), MR_OK);
    return json;
}

static void assert_refused(mr_slice text, mr_err code, const char *says)
{
    json_t *json = NULL;
    mr_error error = {.text = ""};
    assert_int_equal(mr_json_load(text, "a.json", 0, &json, &error), code);
    assert_null(json);
    if (strstr(error.text, says) == NULL)
        fail_msg("says %s", error.text);
}

static void test_a_fault_is_named_with_source_line_and_column(void **state)
{
    (void)state;
    assert_refused(mr_slice_of("{\n\"a\": x}"), MR_EINVALID, "a.json: line 2, column 6: ");
    assert_refused(mr_slice_of("{\n\"a\":1,\n\"a\":2}"), MR_EINVALID, "a.json: line 3, column 3: duplicate");
    assert_refused(mr_slice_of("{} x"), MR_EINVALID, "a.json: line 1, column 4: ");
    assert_refused((mr_slice){NULL, 0}, MR_EINVALID, "a.json: line 1, column 0: ");
}

static void test_what_a_string_cannot_hold_is_refused(void **state)
{
    (void)state;
    assert_refused(mr_slice_of("[\"a\\u0000b\"]"), MR_EINVALID, "line 1");
    assert_refused(mr_slice_of("{\"a\\u0000b\":1}"), MR_EINVALID, "line 1");
    assert_refused((mr_slice){"[\"a\0b\"]", 7}, MR_EINVALID, "line 1");
    assert_refused(mr_slice_of("[\"\xff\"]"), MR_EINVALID, "decode byte 0xff");
    assert_refused(mr_slice_of("[\"\\ud800\"]"), MR_EINVALID, "line 1");
}

static void test_an_integer_beyond_64_bits_is_refused(void **state)
{
    (void)state;
    assert_refused(mr_slice_of("[9223372036854775808]"), MR_EINVALID, "line 1");
    assert_refused(mr_slice_of("[1e999]"), MR_EINVALID, "line 1");
}

static void test_a_text_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    char *large = malloc(MR_JSON_MAX_BYTES + 1);
    assert_non_null(large);
    memset(large, ' ', MR_JSON_MAX_BYTES + 1);
    memcpy(large, "[]", 2);
    assert_refused((mr_slice){large, MR_JSON_MAX_BYTES + 1}, MR_ETOOLARGE, "4194305 bytes of JSON");
    json_t *json = NULL;
    assert_int_equal(mr_json_load((mr_slice){large, 3}, "x", 2, &json, NULL), MR_ETOOLARGE);
    assert_int_equal(mr_json_load((mr_slice){large, MR_JSON_MAX_BYTES}, "x", 0, &json, NULL), MR_OK);
    json_decref(json);
    free(large);
}

static void test_deep_nesting_is_refused_and_brackets_in_strings_do_not_count(void **state)
{
    (void)state;
    char text[300];
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_refused((mr_slice){text, 130}, MR_EINVALID, "a.json: line 1, column 65: more than 64 levels deep");
    json_t *json = NULL;
    assert_int_equal(mr_json_load((mr_slice){text + 1, 128}, "x", 0, &json, NULL), MR_OK);
    json_decref(json);
    memset(text, '[', sizeof text);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + 200, "\"]", 2);
    assert_int_equal(mr_json_load((mr_slice){text, 202}, "x", 0, &json, NULL), MR_OK);
    json_decref(json);
}

static void test_a_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    /* Behind a number jansson passes over it. */
    assert_refused((mr_slice){"{\"a\":\n1\0}", 9}, MR_EINVALID, "a.json: line 2, column 2: a NUL");
    assert_refused((mr_slice){"{}\0", 3}, MR_EINVALID, "a.json: line 1, column 3: a NUL");
    assert_refused((mr_slice){"[\"a\0\"]", 6}, MR_EINVALID, "a.json: line 1, column 4: a NUL");
}

static void test_getters_answer_what_is_there(void **state)
{
    (void)state;
    json_t *json = loaded("{\"t\":\"x\",\"i\":-5,\"b\":false,\"o\":{},\"a\":[1],\"n\":null}");
    const char *text = NULL;
    int64_t integer = 0;
    bool boolean = true;
    json_t *object = NULL, *array = NULL;
    assert_int_equal(mr_json_get_text(json, "t", "", &text, NULL), MR_OK);
    assert_string_equal(text, "x");
    assert_int_equal(mr_json_get_integer(json, "i", "", -5, 5, &integer, NULL), MR_OK);
    assert_int_equal(integer, -5);
    assert_int_equal(mr_json_get_boolean(json, "b", "", &boolean, NULL), MR_OK);
    assert_false(boolean);
    assert_int_equal(mr_json_get_object(json, "o", "", &object, NULL), MR_OK);
    assert_int_equal(mr_json_get_array(json, "a", "", &array, NULL), MR_OK);
    assert_int_equal(json_array_size(array), 1);
    assert_true(mr_json_has(json, "t"));
    assert_false(mr_json_has(json, "n"));
    assert_false(mr_json_has(json, "z"));
    json_decref(json);
}

static void test_a_field_that_does_not_fit_is_named_by_its_path(void **state)
{
    (void)state;
    json_t *json = loaded("{\"t\":\"x\",\"i\":7,\"r\":1.5,\"n\":null}");
    const char *text = "before";
    int64_t integer = 1;
    bool boolean = true;
    json_t *other = NULL;
    mr_error error;
    assert_int_equal(mr_json_get_text(json, "z", "a.b", &text, &error), MR_EINVALID);
    assert_string_equal(error.text, "\"a.b.z\": is missing");
    assert_int_equal(mr_json_get_text(json, "i", "", &text, &error), MR_EINVALID);
    assert_string_equal(error.text, "\"i\": a string is expected");
    assert_int_equal(mr_json_get_text(json, "n", "", &text, &error), MR_EINVALID);
    assert_int_equal(mr_json_get_integer(json, "r", "", 0, 9, &integer, &error), MR_EINVALID);
    assert_string_equal(error.text, "\"r\": a whole number is expected");
    assert_int_equal(mr_json_get_integer(json, "i", "a", 0, 6, &integer, &error), MR_EINVALID);
    assert_string_equal(error.text, "\"a.i\": 7 is not within 0 to 6");
    assert_int_equal(mr_json_get_boolean(json, "t", "", &boolean, &error), MR_EINVALID);
    assert_int_equal(mr_json_get_boolean(json, "z", "", &boolean, &error), MR_EINVALID);
    assert_int_equal(mr_json_get_object(json, "t", "", &other, &error), MR_EINVALID);
    assert_int_equal(mr_json_get_array(json, "t", "", &other, &error), MR_EINVALID);
    assert_string_equal(text, "before");
    assert_true(integer == 1 && boolean && other == NULL);
    json_decref(json);
}

static void test_what_is_not_an_object_has_no_fields(void **state)
{
    (void)state;
    json_t *json = loaded("[1]");
    const char *text = NULL;
    assert_int_equal(mr_json_get_text(json, "t", "", &text, NULL), MR_EINVALID);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fault_is_named_with_source_line_and_column),
        cmocka_unit_test(test_what_a_string_cannot_hold_is_refused),
        cmocka_unit_test(test_an_integer_beyond_64_bits_is_refused),
        cmocka_unit_test(test_a_text_beyond_the_bound_is_refused),
        cmocka_unit_test(test_deep_nesting_is_refused_and_brackets_in_strings_do_not_count),
        cmocka_unit_test(test_a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(test_getters_answer_what_is_there),
        cmocka_unit_test(test_a_field_that_does_not_fit_is_named_by_its_path),
        cmocka_unit_test(test_what_is_not_an_object_has_no_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
