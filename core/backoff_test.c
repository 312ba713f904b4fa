#include "core/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_waits_grow_and_are_capped(void **state)
{
    (void)state;
    mr_backoff pause = {0};
    int bound = MR_BACKOFF_FIRST_MS;
    for (int i = 0; i < 50; i++) {
        int wait = mr_backoff_next_ms(&pause);
        assert_in_range(wait, bound / 2, bound);
        bound = bound * 2 > MR_BACKOFF_CAP_MS ? MR_BACKOFF_CAP_MS : bound * 2;
    }
}

static void test_success_starts_over(void **state)
{
    (void)state;
    mr_backoff pause = {0};
    for (int i = 0; i < 10; i++)
        (void)mr_backoff_next_ms(&pause);
    mr_backoff_reset(&pause);
    assert_in_range(mr_backoff_next_ms(&pause), MR_BACKOFF_FIRST_MS / 2, MR_BACKOFF_FIRST_MS);
}

static void test_waits_are_spread(void **state)
{
    (void)state;
    mr_backoff pause = {.random = 42};
    int different = 0, last = 0;
    for (int i = 0; i < 20; i++) {
        pause.failures = 20;
        int wait = mr_backoff_next_ms(&pause);
        different += wait != last;
        last = wait;
    }
    assert_in_range(different, 15, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_grow_and_are_capped),
        cmocka_unit_test(test_success_starts_over),
        cmocka_unit_test(test_waits_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
