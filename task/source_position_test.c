#include "task/source_position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char full[] =
    "{\"position\":{\"manifest\":\"ab\",\"file\":0,\"byte\":1043,\"line\":18},\"counts\":{\"read\":17,"
    "\"filtered\":0,"
    "\"rejected\":1,\"produced\":16,\"rejected_files\":0,\"bytes\":1043},\"ranges\":[[0,4711,4730],[3,0,7]],"
    "\"ended\":true,\"over_rejected\":false}";

static void test_what_is_printed_is_what_was_read(void **state)
{
    (void)state;
    source_position position;
    mr_buf text = {0};
    assert_int_equal(source_position_parse(mr_slice_of(full), &position, NULL), MR_OK);
    assert_int_equal(position.read, 17);
    assert_int_equal(position.range_count, 2);
    assert_true(position.ended);
    assert_true(source_position_has(&position, 3));
    assert_false(source_position_has(&position, 1));
    assert_int_equal(source_position_print(&position, &text, NULL), MR_OK);
    assert_int_equal(text.size, sizeof full - 1);
    assert_memory_equal(text.data, full, text.size);
    mr_buf_fini(&text);
    source_position_fini(&position);
}

static void test_a_start_has_no_position(void **state)
{
    (void)state;
    source_position start = {0}, again;
    mr_buf text = {0};
    assert_int_equal(source_position_print(&start, &text, NULL), MR_OK);
    assert_int_equal(source_position_parse(mr_buf_slice(&text), &again, NULL), MR_OK);
    assert_int_equal(again.connector.size, 0);
    assert_int_equal(again.range_count, 0);
    mr_buf_fini(&text);
    source_position_fini(&again);
}

static void test_ranges_keep_their_first_and_move_their_end(void **state)
{
    (void)state;
    source_position position = {0};
    assert_int_equal(source_position_extend(&position, 2, 10, 20, NULL), MR_OK);
    assert_int_equal(source_position_extend(&position, 2, 25, 30, NULL), MR_OK);
    assert_int_equal(position.range_count, 1);
    assert_int_equal(position.ranges[0].first, 10);
    assert_int_equal(position.ranges[0].end, 30);
    source_position_fini(&position);
}

static void test_keys_name_dataset_and_run(void **state)
{
    (void)state;
    mr_buf key = {0}, run = {0};
    assert_int_equal(source_position_key("rows", "uid-1", &key, NULL), MR_OK);
    assert_true(source_position_key_parse(mr_buf_slice(&key), "rows", &run));
    assert_true(mr_slice_equal(mr_buf_slice(&run), MR_SLICE_LITERAL("uid-1")));
    assert_false(source_position_key_parse(mr_buf_slice(&key), "others", &run));
    assert_false(source_position_key_parse(MR_SLICE_LITERAL("[]"), "rows", &run));
    mr_buf_fini(&key);
    mr_buf_fini(&run);
}

static void test_damaged_positions_are_refused(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "{}",
        "{\"position\":null,\"counts\":{},\"ranges\":[],\"ended\":false,\"over_rejected\":false}",
        "{\"position\":null,\"counts\":{\"read\":-1,\"filtered\":0,\"rejected\":0,\"produced\":0,\"rejected_"
        "files\":0,"
        "\"bytes\":0},\"ranges\":[],\"ended\":false,\"over_rejected\":false}",
        "{\"position\":null,\"counts\":{\"read\":1,\"filtered\":0,\"rejected\":0,\"produced\":0,\"rejected_"
        "files\":0,"
        "\"bytes\":0},\"ranges\":[[0,9,8]],\"ended\":false,\"over_rejected\":false}",
        "{\"position\":null,\"counts\":{\"read\":1,\"filtered\":0,\"rejected\":0,\"produced\":0,\"rejected_"
        "files\":0,"
        "\"bytes\":0},\"ranges\":[[0,8,9],[0,1,2]],\"ended\":false,\"over_rejected\":false}",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        source_position position;
        mr_error error;
        assert_int_equal(source_position_parse(mr_slice_of(damaged[i]), &position, &error), MR_EINVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_printed_is_what_was_read),
        cmocka_unit_test(test_a_start_has_no_position),
        cmocka_unit_test(test_ranges_keep_their_first_and_move_their_end),
        cmocka_unit_test(test_keys_name_dataset_and_run),
        cmocka_unit_test(test_damaged_positions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
