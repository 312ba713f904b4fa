#include "worker/restart_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void transient_delays_grow_up_to_the_cap_and_never_end(void **state)
{
    (void)state;
    restart_policy policy = {0};
    int64_t before = 0;
    for (int i = 0; i < 8; i++) {
        int64_t delay = restart_delay(&policy, MR_TRANSIENT, 0, 1.0);
        assert_true(delay > before || delay == RESTART_CAP_MS);
        before = delay;
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(restart_delay(&policy, MR_TRANSIENT, 0, 1.0), RESTART_CAP_MS);
}

static void chance_spreads_a_delay_over_its_last_quarter(void **state)
{
    (void)state;
    restart_policy low = {0}, high = {0};
    assert_int_equal(restart_delay(&low, MR_TRANSIENT, 0, 0.0), RESTART_FIRST_MS * 3 / 4);
    assert_int_equal(restart_delay(&high, MR_TRANSIENT, 0, 1.0), RESTART_FIRST_MS);
}

static void config_errors_are_retried_slowly(void **state)
{
    (void)state;
    restart_policy policy = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(restart_delay(&policy, MR_CONFIG, i, 0.5), RESTART_CONFIG_MS);
}

static void bugs_use_up_a_budget(void **state)
{
    (void)state;
    restart_policy policy = {0};
    for (int i = 0; i < RESTART_BUG_BUDGET; i++)
        assert_true(restart_delay(&policy, MR_BUG, 1000 + i, 0.5) > 0);
    assert_int_equal(restart_delay(&policy, MR_BUG, 2000, 0.5), RESTART_NEVER);
}

static void bugs_long_ago_do_not_count(void **state)
{
    (void)state;
    restart_policy policy = {0};
    for (int64_t i = 0; i < 100; i++)
        assert_true(restart_delay(&policy, MR_BUG, i * (RESTART_BUG_WINDOW_MS / RESTART_BUG_BUDGET), 0.5) >
                    0);
}

static void data_and_fencing_are_final(void **state)
{
    (void)state;
    restart_policy policy = {0};
    assert_int_equal(restart_delay(&policy, MR_DATA, 0, 0.5), RESTART_NEVER);
    assert_int_equal(restart_delay(&policy, MR_FENCED, 0, 0.5), RESTART_NEVER);
}

static void task_that_recovered_begins_its_back_off_anew(void **state)
{
    (void)state;
    restart_policy policy = {0};
    for (int i = 0; i < 20; i++)
        restart_delay(&policy, MR_TRANSIENT, 0, 1.0);
    restart_recovered(&policy);
    assert_int_equal(restart_delay(&policy, MR_TRANSIENT, 0, 1.0), RESTART_FIRST_MS);
}

static void bugs_with_progress_between_never_use_up_the_budget(void **state)
{
    (void)state;
    restart_policy policy = {0};
    for (int i = 0; i < 10 * RESTART_BUG_BUDGET; i++) {
        assert_int_equal(restart_delay(&policy, MR_BUG, 1000 + i, 1.0), RESTART_FIRST_MS);
        restart_progressed(&policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transient_delays_grow_up_to_the_cap_and_never_end),
        cmocka_unit_test(chance_spreads_a_delay_over_its_last_quarter),
        cmocka_unit_test(config_errors_are_retried_slowly),
        cmocka_unit_test(bugs_use_up_a_budget),
        cmocka_unit_test(bugs_long_ago_do_not_count),
        cmocka_unit_test(data_and_fencing_are_final),
        cmocka_unit_test(task_that_recovered_begins_its_back_off_anew),
        cmocka_unit_test(bugs_with_progress_between_never_use_up_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
