#include "coordinator/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t memory(const char *text)
{
    uint64_t bytes = 0;
    mr_error error;
    return mr_quantity_memory(text, &bytes, &error) == MR_OK ? bytes : 0;
}

static uint32_t cpu(const char *text, bool *odd)
{
    uint32_t millis = 0;
    mr_error error;
    return mr_quantity_cpu(text, &millis, odd, &error) == MR_OK ? millis : 0;
}

static void memory_has_binary_and_decimal_units(void **state)
{
    (void)state;
    assert_int_equal(memory("64Mi"), 64 << 20);
    assert_int_equal(memory("1Gi"), 1 << 30);
    assert_int_equal(memory("1.5Ki"), 1536);
    assert_int_equal(memory("500M"), 500000000);
    assert_int_equal(memory("4096"), 4096);
}

static void what_is_no_amount_of_memory_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "Mi",  "64 Mi", "-1",           "64MB",
                                        "0x10", "nan", "0",     "9999999999Ti", "1e400"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(memory(wrong[i]), 0);
}

static void cpu_is_in_cores_or_thousandths(void **state)
{
    (void)state;
    bool odd = true;
    assert_int_equal(cpu("250m", &odd), 250);
    assert_false(odd);
    assert_int_equal(cpu("1", &odd), 1000);
    assert_int_equal(cpu("0.1", &odd), 100);
    assert_int_equal(cpu("1.5", &odd), 1500);
    assert_false(odd);
}

static void cpu_in_a_unit_of_memory_counts_its_number_as_cores(void **state)
{
    (void)state;
    bool odd = false;
    assert_int_equal(cpu("1Gi", &odd), 1000);
    assert_true(odd);
}

static void what_is_no_amount_of_cpu_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "m", "0", "-250m", "250mm", "one", "99999999"};
    bool odd;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(cpu(wrong[i], &odd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_has_binary_and_decimal_units),
        cmocka_unit_test(what_is_no_amount_of_memory_is_refused),
        cmocka_unit_test(cpu_is_in_cores_or_thousandths),
        cmocka_unit_test(cpu_in_a_unit_of_memory_counts_its_number_as_cores),
        cmocka_unit_test(what_is_no_amount_of_cpu_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
