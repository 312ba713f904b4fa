#include "core/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_a_failure_has_code_class_and_text(void **state)
{
    (void)state;
    mr_error error;
    assert_int_equal(mr_fail(&error, MR_EINVALID, "field %s", "x"), MR_EINVALID);
    assert_int_equal(error.class, MR_CONFIG);
    assert_string_equal(error.text, "field x");
    assert_int_equal(mr_classify(&error, MR_EINVALID, MR_DATA), MR_EINVALID);
    assert_int_equal(error.class, MR_DATA);
}

static void test_no_place_for_the_error_is_fine(void **state)
{
    (void)state;
    assert_int_equal(mr_fail(NULL, MR_EIO, "x"), MR_EIO);
    assert_int_equal(mr_fail_errno(NULL, ENOSPC, "x"), MR_ENOSPC);
    assert_int_equal(mr_wrap(NULL, MR_EIO, "x"), MR_EIO);
}

static void test_errno_decides_code_and_end_of_the_text(void **state)
{
    (void)state;
    mr_error error;
    assert_int_equal(mr_fail_errno(&error, ENOENT, "a.csv"), MR_ENOTFOUND);
    assert_string_equal(error.text, "a.csv: No such file or directory");
    assert_int_equal(mr_fail_errno(&error, EDQUOT, "a.csv"), MR_ENOSPC);
    assert_int_equal(mr_fail_errno(&error, ENOSPC, "/d/a.csv"), MR_ENOSPC);
    assert_string_equal(error.text, "/d/a.csv: No space left on device; make room there");
    assert_int_equal(mr_fail_errno(&error, EROFS, "/d/a.csv"), MR_EIO);
    assert_string_equal(error.text, "/d/a.csv: Read-only file system; mount it writable");
    assert_int_equal(mr_fail_errno(&error, EPERM, "a.csv"), MR_EIO);
}

static void test_a_context_stands_before_the_cause(void **state)
{
    (void)state;
    mr_error error;
    (void)mr_fail(&error, MR_EIO, "disk gone");
    assert_int_equal(mr_wrap(&error, MR_EIO, "tenant %s", "a"), MR_EIO);
    assert_string_equal(error.text, "tenant a: disk gone");
}

static void test_a_text_that_is_too_long_is_cut(void **state)
{
    (void)state;
    mr_error error;
    char large[2000];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    (void)mr_fail(&error, MR_EIO, "%s", large);
    (void)mr_wrap(&error, MR_EIO, "%s", large);
    (void)mr_fail_errno(&error, ENOENT, "%s", large);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_has_code_class_and_text),
        cmocka_unit_test(test_no_place_for_the_error_is_fine),
        cmocka_unit_test(test_errno_decides_code_and_end_of_the_text),
        cmocka_unit_test(test_a_context_stands_before_the_cause),
        cmocka_unit_test(test_a_text_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
