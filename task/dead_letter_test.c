#include "task/dead_letter.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_a_run_header_comes_back_as_it_was(void **state)
{
    (void)state;
    char text[RUN_TEXT_BYTES], uid[RUN_TEXT_BYTES];
    int64_t seq = 0;
    assert_true(run_text_parse(run_text(123456789012, "6f-uid", text), &seq, uid));
    assert_int_equal(seq, 123456789012);
    assert_string_equal(uid, "6f-uid");
}

/* Such a name could not stand in the metadata of a position, and its counts would be lost with it. */
static void test_a_run_header_with_a_name_that_is_none_is_passed_over(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "1", ":a", "1:", "-1:a", "1:\xff", "1:a b", "1:\n", "9999999999999999999:a"};
    char uid[RUN_TEXT_BYTES];
    int64_t seq;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(run_text_parse(mr_slice_of(wrong[i]), &seq, uid));
    assert_false(run_text_parse(MR_SLICE_LITERAL("1:a\0b"), &seq, uid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_header_comes_back_as_it_was),
        cmocka_unit_test(test_a_run_header_with_a_name_that_is_none_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
