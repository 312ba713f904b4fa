#include "core/props.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int open_empty(void **state)
{
    mr_props *props = NULL;
    if (mr_props_open(&props) != MR_OK)
        return -1;
    *state = props;
    return 0;
}

static int close_it(void **state)
{
    mr_props *props = *state;
    mr_props_close(&props);
    return props == NULL ? 0 : -1;
}

static mr_err parse(void **state, const char *text, mr_error *ret_error)
{
    return mr_props_parse(*state, "test.properties", mr_slice_of(text), ret_error);
}

static void assert_value(void **state, const char *key, const char *value)
{
    const char *got = mr_props_get(*state, key);
    assert_non_null(got);
    assert_string_equal(got, value);
}

static void test_reads_keys_and_values_with_either_separator(void **state)
{
    assert_int_equal(parse(state, "a=1\nb: 2\r\n c = 3 \rd 4\ne", NULL), MR_OK);
    assert_value(state, "a", "1");
    assert_value(state, "b", "2");
    assert_value(state, "c", "3 ");
    assert_value(state, "d", "4");
    assert_value(state, "e", "");
    assert_int_equal(mr_props_count(*state), 5);
}

static void test_keeps_the_order_of_the_file(void **state)
{
    const char *key, *value;
    assert_int_equal(parse(state, "z=1\na=2\n", NULL), MR_OK);
    mr_props_at(*state, 0, &key, &value);
    assert_string_equal(key, "z");
    mr_props_at(*state, 1, &key, &value);
    assert_string_equal(value, "2");
}

static void test_skips_comments_empty_lines_and_a_byte_order_mark(void **state)
{
    assert_int_equal(parse(state, "\xef\xbb\xbf# a=1\n\n  ! b=2 \\\nc=3\n   \n", NULL), MR_OK);
    assert_int_equal(mr_props_count(*state), 1);
    assert_value(state, "c", "3");
}

static void test_a_backslash_at_the_end_joins_lines(void **state)
{
    assert_int_equal(parse(state, "a=one,\\\n   two\\\r\n,three\nb=x\\\\\nc=end\\", NULL), MR_OK);
    assert_value(state, "a", "one,two,three");
    assert_value(state, "b", "x\\");
    assert_value(state, "c", "end");
}

static void test_unescapes_keys_and_values(void **state)
{
    assert_int_equal(parse(state, "a\\=b\\ c=\\tx\\ny\\:\\u00e9\\ud83d\\ude00", NULL), MR_OK);
    assert_value(state, "a=b c", "\tx\ny:\xc3\xa9\xf0\x9f\x98\x80");
}

static void test_names_the_line_of_a_fault(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"a=1\n=2\n", "test.properties line 2: no key"},
        {"a=1\\\n2\nb=1\na=3\n", "test.properties line 4: \"a\" is given twice"},
        {"a=\\u12\n", "line 1: \\u must be"},
        {"a=\\u0000\n", "line 1: \\u must be"},
        {"a=\\ud800x\n", "line 1: \\u must be"},
        {"\na=\xff\n", "line 2: is not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mr_error error;
        assert_int_equal(parse(state, cases[i].text, &error), MR_EINVALID);
        assert_non_null(strstr(error.text, cases[i].says));
    }
}

static void test_refuses_nul_bytes_and_large_texts(void **state)
{
    mr_error error;
    assert_int_equal(mr_props_parse(*state, "x", (mr_slice){"a=1\0b", 5}, &error), MR_EINVALID);
    assert_string_equal(error.text, "x line 1: holds a NUL byte");
    size_t size = 1024 * 1024 + 1;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, '#', size);
    assert_int_equal(mr_props_parse(*state, "x", (mr_slice){large, size}, &error), MR_ETOOLARGE);
    assert_int_equal(mr_props_parse(*state, "x", (mr_slice){large, size - 1}, &error), MR_OK);
    free(large);
}

static void test_refuses_more_keys_than_the_bound(void **state)
{
    mr_buf text = {0};
    mr_error error;
    for (int i = 0; i < 4097; i++)
        assert_int_equal(mr_buf_printf(&text, "k%d=1\n", i), MR_OK);
    assert_int_equal(mr_props_parse(*state, "x", mr_buf_slice(&text), &error), MR_ETOOLARGE);
    mr_buf_fini(&text);
}

static void test_a_text_that_is_refused_changes_nothing(void **state)
{
    assert_int_equal(mr_props_set(*state, "a", "old"), MR_OK);
    assert_int_equal(parse(state, "a=new\n=oops\n", NULL), MR_EINVALID);
    assert_value(state, "a", "old");
    assert_int_equal(parse(state, "a=new\n", NULL), MR_OK);
    assert_value(state, "a", "new");
    assert_int_equal(mr_props_count(*state), 1);
}

static void test_an_absent_key_has_no_value(void **state)
{
    assert_null(mr_props_get(*state, "a"));
}

static void test_a_missing_file_is_named(void **state)
{
    mr_error error;
    assert_int_equal(mr_props_load(*state, "/nowhere/x.properties", &error), MR_ENOTFOUND);
    assert_non_null(strstr(error.text, "/nowhere/x.properties"));
}

static void test_resolves_secrets_from_environment_and_file(void **state)
{
    char path[] = "/tmp/props-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "pw=s3cret\n", 10), 10);
    close(fd);
    char value[200];
    snprintf(value, sizeof value, "<${file:%s:pw}|${env:MR_PROPS_TEST}> ${other:x}", path);
    setenv("MR_PROPS_TEST", "from env ${env:HOME}", 1);
    assert_int_equal(mr_props_set(*state, "auth", value), MR_OK);
    assert_int_equal(mr_props_resolve(*state, NULL), MR_OK);
    assert_value(state, "auth", "<s3cret|from env ${env:HOME}> ${other:x}");
    unlink(path);
}

static void test_a_reference_that_leads_nowhere_names_the_key(void **state)
{
    static const char *const values[] = {"${env:MR_NO_SUCH_VARIABLE}", "${file:/nowhere:pw}", "${file:nokey}",
                                         "${env:HOME"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        mr_error error;
        assert_int_equal(mr_props_set(*state, "db.password", values[i]), MR_OK);
        assert_int_not_equal(mr_props_resolve(*state, &error), MR_OK);
        assert_ptr_equal(strstr(error.text, "db.password: "), error.text);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_empty, close_it)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_keys_and_values_with_either_separator),
        TEST(test_keeps_the_order_of_the_file),
        TEST(test_skips_comments_empty_lines_and_a_byte_order_mark),
        TEST(test_a_backslash_at_the_end_joins_lines),
        TEST(test_unescapes_keys_and_values),
        TEST(test_names_the_line_of_a_fault),
        TEST(test_refuses_nul_bytes_and_large_texts),
        TEST(test_refuses_more_keys_than_the_bound),
        TEST(test_a_text_that_is_refused_changes_nothing),
        TEST(test_an_absent_key_has_no_value),
        TEST(test_a_missing_file_is_named),
        TEST(test_resolves_secrets_from_environment_and_file),
        TEST(test_a_reference_that_leads_nowhere_names_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
