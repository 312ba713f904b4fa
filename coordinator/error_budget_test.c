#include "coordinator/error_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_narrower_bound_counts(void **state)
{
    (void)state;
    const mr_agreement none = {.max_rejected_percent = -1, .max_rejected_rows = -1},
                       both = {.max_rejected_percent = 10, .max_rejected_rows = 5},
                       zero = {.max_rejected_percent = -1, .max_rejected_rows = 0};
    assert_false(mr_has_error_budget(&none));
    assert_int_equal(mr_error_budget_rows(&none, 100), -1);
    assert_int_equal(mr_error_budget_rows(&both, 39), 3);
    assert_int_equal(mr_error_budget_rows(&both, 1000), 5);
    assert_int_equal(mr_error_budget_rows(&zero, 1000), 0);
    assert_false(mr_error_budget_is_low(&none, 10, 10));
    assert_false(mr_error_budget_is_low(&both, 1000, 3));
    assert_true(mr_error_budget_is_low(&both, 1000, 4));
    assert_false(mr_error_budget_is_low(&zero, 1000, 0));
    assert_true(mr_error_budget_is_low(&zero, 1000, 1));
}

static void its_end_is_told_in_numbers(void **state)
{
    (void)state;
    char words[200];
    const mr_agreement agreement = {.max_rejected_percent = 2.5, .max_rejected_rows = 5};
    mr_error_budget_words(&agreement, 40, 2, words, sizeof words);
    assert_string_equal(words, "2 of 40 rows were rejected, max_rejected_percent allows 2.5 %");
    mr_error_budget_words(&agreement, 400, 6, words, sizeof words);
    assert_string_equal(words, "6 of 400 rows were rejected, max_rejected_rows allows 5: no more were read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_narrower_bound_counts),
        cmocka_unit_test(its_end_is_told_in_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
