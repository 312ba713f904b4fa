#include "task/sink_position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_what_is_printed_is_what_was_read(void **state)
{
    (void)state;
    static const char full[] =
        "{\"runs\":[{\"seq\":12,\"uid\":\"6f\",\"delivered\":16,\"rejected\":2,\"abandoned\":1}],"
        "\"bus\":\"0a1b\",\"rejecting\":[4718,4720]}";
    sink_position position;
    mr_buf text = {0};
    assert_int_equal(sink_position_parse(mr_slice_of(full), 4711, &position, NULL), MR_OK);
    assert_int_equal(position.offset, 4711);
    assert_string_equal(position.bus, "0a1b");
    assert_int_equal(position.runs[0].delivered, 16);
    assert_true(sink_position_is_rejecting(&position, 4720));
    assert_false(sink_position_is_rejecting(&position, 4719));
    assert_int_equal(sink_position_print(&position, &text, NULL), MR_OK);
    assert_int_equal(text.size, sizeof full - 1);
    assert_memory_equal(text.data, full, text.size);
    mr_buf_fini(&text);
    sink_position_fini(&position);
}

static void test_runs_that_were_not_reached_are_not_printed(void **state)
{
    (void)state;
    sink_position position = {.offset = 0};
    mr_buf text = {0};
    size_t index;
    assert_int_equal(sink_position_run(&position, 1, "a", &index, NULL), MR_OK);
    position.runs[index].delivered = 5;
    assert_int_equal(sink_position_run(&position, 2, "b", &index, NULL), MR_OK);
    assert_int_equal(index, 1);
    assert_int_equal(sink_position_run(&position, 1, "a", &index, NULL), MR_OK);
    assert_int_equal(index, 0);
    assert_int_equal(sink_position_print(&position, &text, NULL), MR_OK);
    assert_non_null(memmem(text.data, text.size, "\"a\"", 3));
    assert_null(memmem(text.data, text.size, "\"b\"", 3));
    mr_buf_fini(&text);
    sink_position_fini(&position);
}

static void test_closed_runs_are_forgotten_but_not_the_last(void **state)
{
    (void)state;
    sink_position position = {.offset = 0};
    size_t index;
    for (int64_t seq = 1; seq <= 3; seq++)
        assert_int_equal(sink_position_run(&position, seq, "x", &index, NULL), MR_OK);
    sink_position_forget(&position, 2);
    assert_int_equal(position.run_count, 2);
    assert_int_equal(position.runs[0].seq, 2);
    sink_position_forget(&position, 9);
    assert_int_equal(position.run_count, 1);
    assert_int_equal(position.runs[0].seq, 3);
    sink_position_fini(&position);
}

static void test_rejecting_is_a_sorted_set_forgotten_below_the_position(void **state)
{
    (void)state;
    sink_position position = {.offset = 0};
    for (int64_t offset = 100; offset > 0; offset--)
        assert_int_equal(sink_position_add_rejecting(&position, offset, NULL), MR_OK);
    for (int64_t offset = 1; offset <= 100; offset++)
        assert_true(sink_position_is_rejecting(&position, offset));
    assert_int_equal(sink_position_add_rejecting(&position, 70, NULL), MR_OK);
    assert_int_equal(position.rejecting_count, 100);
    sink_position_advance(&position, 60);
    assert_int_equal(position.rejecting_count, 41);
    assert_false(sink_position_is_rejecting(&position, 59));
    assert_true(sink_position_is_rejecting(&position, 60));
    for (int64_t offset = 101; offset < 300; offset++)
        assert_int_equal(sink_position_add_rejecting(&position, offset, NULL), MR_OK);
    assert_int_equal(position.rejecting[position.rejecting_count - 1], 299);
    sink_position_fini(&position);
}

static void test_damaged_metadata_is_refused(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "{}", "{\"runs\":[{}]}", "{\"runs\":[],\"rejecting\":[\"1\"]}"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        sink_position position;
        assert_int_equal(sink_position_parse(mr_slice_of(damaged[i]), 0, &position, NULL), MR_EINVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_printed_is_what_was_read),
        cmocka_unit_test(test_runs_that_were_not_reached_are_not_printed),
        cmocka_unit_test(test_closed_runs_are_forgotten_but_not_the_last),
        cmocka_unit_test(test_rejecting_is_a_sorted_set_forgotten_below_the_position),
        cmocka_unit_test(test_damaged_metadata_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
