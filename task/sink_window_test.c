#include "task/sink_verdicts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct fixture {
    sink_window window;
    mr_verdicts verdicts;
    int64_t next_offset[4];
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    assert_int_equal(sink_window_open(4, &f->window, NULL), MR_OK);
    f->verdicts = (mr_verdicts){.window = &f->window, .max_same_rejects = 10};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sink_window_close(&f->window);
    test_free(f);
    return 0;
}

/* A batch of records of one partition, whose keys are the given letters. */
static void add(fixture *f, int32_t partition, const char *keys)
{
    size_t count = strlen(keys);
    sink_batch *batch = sink_window_batch(&f->window);
    assert_non_null(batch);
    mr_record *records = mr_arena_alloc(&batch->arena, count * sizeof *records);
    assert_non_null(records);
    for (size_t i = 0; i < count; i++) {
        char *key = mr_arena_alloc(&batch->arena, 1);
        assert_non_null(key);
        *key = keys[i];
        records[i] = (mr_record){.key = {key, 1},
                                 .value = {key, 1},
                                 .partition = partition,
                                 .offset = f->next_offset[partition]++};
    }
    assert_int_equal(sink_window_add(&f->window, batch, records, count, NULL), MR_OK);
}

static void give_all(fixture *f)
{
    for (uint64_t seq = f->window.base; seq < f->window.next; seq++)
        if (sink_window_at(&f->window, seq)->state == RECORD_WAITING)
            sink_window_set(&f->window, sink_window_at(&f->window, seq), RECORD_GIVEN);
}

static void verdict(fixture *f, uint64_t first, uint64_t last, mr_verdict verdict)
{
    mr_verdict_give(&f->verdicts, first, last, verdict, 1, "because");
}

static void test_positions_move_over_the_first_final_records_only(void **state)
{
    fixture *f = *state;
    add(f, 0, "abcd");
    give_all(f);
    verdict(f, 2, 3, MR_SINK_DONE);
    assert_int_equal(sink_window_settle(&f->window), 0);
    verdict(f, 0, 0, MR_SINK_DONE);
    assert_int_equal(sink_window_settle(&f->window), 1);
    sink_window_committed(&f->window);
    assert_int_equal(f->window.base, 1);
    verdict(f, 1, 1, MR_SINK_DONE);
    assert_int_equal(sink_window_settle(&f->window), 3);
    sink_window_committed(&f->window);
    assert_true(sink_window_empty(&f->window));
    assert_int_equal(f->window.bytes, 0);
}

static void test_a_partition_does_not_wait_for_another(void **state)
{
    fixture *f = *state;
    add(f, 0, "ab");
    add(f, 1, "cd");
    give_all(f);
    verdict(f, 2, 3, MR_SINK_DONE);
    assert_int_equal(sink_window_settle(&f->window), 2);
    sink_window_committed(&f->window);
    assert_int_equal(f->window.base, 0);
    assert_int_equal(sink_window_settle(&f->window), 0); /* not twice */
    verdict(f, 0, 1, MR_SINK_DONE);
    assert_int_equal(sink_window_settle(&f->window), 2);
    sink_window_committed(&f->window);
    assert_true(sink_window_empty(&f->window));
}

static void test_memory_is_held_until_all_of_a_batch_is_final(void **state)
{
    fixture *f = *state;
    add(f, 0, "ab");
    add(f, 0, "cd");
    add(f, 1, "ef");
    give_all(f);
    size_t held = f->window.held_bytes;
    verdict(f, 2, 5, MR_SINK_DONE);
    sink_window_release(&f->window);
    assert_int_equal(f->window.held_bytes, held * 2 / 3); /* partition 0 keeps its order */
    verdict(f, 0, 1, MR_SINK_DONE);
    sink_window_release(&f->window);
    assert_int_equal(f->window.held_bytes, 0);
}

static void test_a_retry_takes_later_records_of_its_key_along(void **state)
{
    fixture *f = *state;
    add(f, 0, "abacb");
    add(f, 1, "a");
    give_all(f);
    verdict(f, 1, 5, MR_SINK_DONE);
    verdict(f, 0, 0, MR_SINK_RETRY);
    assert_true(f->window.partitions[0].retrying);
    assert_int_equal(f->window.waiting_from, 0);
    sink_window_release(&f->window);
    sink_window_rewind(&f->window, 0);
    static const uint8_t wanted[] = {RECORD_WAITING, RECORD_DONE, RECORD_WAITING,
                                     RECORD_DONE,    RECORD_DONE, RECORD_DONE};
    for (uint64_t seq = 0; seq < 6; seq++)
        assert_int_equal(sink_window_at(&f->window, seq)->state, wanted[seq]);
}

static void test_a_rejected_record_keeps_what_its_dead_letter_needs(void **state)
{
    fixture *f = *state;
    add(f, 0, "a");
    give_all(f);
    verdict(f, 0, 0, MR_SINK_REJECTED);
    sink_window_release(&f->window); /* the record itself is gone */
    const sink_letter *letter = sink_window_at(&f->window, 0)->letter;
    assert_string_equal(letter->reason, "because");
    assert_true(mr_slice_equal(letter->key, MR_SLICE_LITERAL("a")));
    assert_int_equal(f->window.letter_count, 1);
}

static void test_one_reason_in_a_row_stops_the_sink(void **state)
{
    fixture *f = *state;
    add(f, 0, "abcdefghijklmnopqrst");
    give_all(f);
    verdict(f, 0, 8, MR_SINK_REJECTED);
    verdict(f, 9, 9, MR_SINK_DONE);
    verdict(f, 10, 18, MR_SINK_REJECTED);
    assert_int_equal(f->verdicts.failure, MR_OK);
    verdict(f, 19, 19, MR_SINK_REJECTED);
    assert_int_equal(f->verdicts.failure, MR_EREFUSED);
}

static void test_verdicts_on_what_was_not_given_are_a_bug(void **state)
{
    fixture *f = *state;
    add(f, 0, "ab");
    give_all(f);
    verdict(f, 0, 0, MR_SINK_DONE);
    verdict(f, 0, 0, MR_SINK_DONE);
    assert_int_equal(f->verdicts.failure, MR_EBUG);
    f->verdicts.failure = MR_OK;
    verdict(f, 1, 7, MR_SINK_DONE);
    assert_int_equal(f->verdicts.failure, MR_EBUG);
}

static void test_a_disconnection_is_about_the_sink(void **state)
{
    fixture *f = *state;
    add(f, 0, "ab");
    give_all(f);
    verdict(f, 0, 1, MR_SINK_DISCONNECTED);
    assert_int_equal(f->verdicts.failure, MR_EUNAVAILABLE);
    assert_int_equal(f->verdicts.error.class, MR_TRANSIENT);
    assert_int_equal(sink_window_settle(&f->window), 0);
}

static void test_the_window_is_bounded(void **state)
{
    fixture *f = *state;
    char keys[101];
    memset(keys, 'k', 100);
    keys[100] = '\0';
    int batches = 0;
    for (; !sink_window_full(&f->window); batches++)
        add(f, 0, keys);
    assert_in_range(batches, 2, WINDOW_BYTES / (64 * 1024)); /* small batches hold whole chunks */
    give_all(f);
    verdict(f, 0, f->window.next - 1, MR_SINK_DONE);
    sink_window_release(&f->window);
    assert_false(sink_window_full(&f->window));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_positions_move_over_the_first_final_records_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_partition_does_not_wait_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_held_until_all_of_a_batch_is_final, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_retry_takes_later_records_of_its_key_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_rejected_record_keeps_what_its_dead_letter_needs, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_reason_in_a_row_stops_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verdicts_on_what_was_not_given_are_a_bug, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_disconnection_is_about_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_window_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
