#include "bus/bus.h"
#include "bus/partitioner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* From Kafka's own tests (UtilsTest.testMurmur2). */
static void test_hashes_are_those_of_kafka(void **state)
{
    static const struct {
        const char *text;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(mr_murmur2(mr_slice_of(known[i].text)), known[i].hash);
}

static void test_a_negative_hash_gives_a_partition_in_range(void **state)
{
    (void)state;
    /* toPositive clears the sign: -973932308 & 0x7fffffff = 1173551340 */
    assert_int_equal(mr_bus_partition_of(MR_SLICE_LITERAL("21"), 7), 1173551340 % 7);
    for (int32_t partitions = 1; partitions < 50; partitions++) {
        int32_t partition = mr_bus_partition_of(MR_SLICE_LITERAL("foobar"), partitions);
        assert_in_range(partition, 0, partitions - 1);
    }
}

static void test_a_record_without_key_goes_to_partition_0(void **state)
{
    (void)state;
    assert_int_equal(mr_bus_partition_of((mr_slice){0}, 16), 0);
}

static void test_an_empty_key_is_a_key(void **state)
{
    (void)state;
    assert_int_equal(mr_bus_partition_of(MR_SLICE_LITERAL(""), 1000), (275646681 & INT32_MAX) % 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes_are_those_of_kafka),
        cmocka_unit_test(test_a_negative_hash_gives_a_partition_in_range),
        cmocka_unit_test(test_a_record_without_key_goes_to_partition_0),
        cmocka_unit_test(test_an_empty_key_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
