#include "core/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_an_empty_arena_needs_no_memory_and_may_be_ended(void **state)
{
    (void)state;
    mr_arena arena = {0};
    mr_arena_reset(&arena);
    mr_arena_fini(&arena);
    assert_null(arena.first);
}

static void test_allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    mr_arena arena = {0};
    char *before = NULL;
    for (size_t size = 0; size < 300; size++) {
        char *memory = mr_arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, (int)size, size);
        if (before != NULL)
            assert_int_equal(before[0], (char)(size - 1));
        before = size > 0 ? memory : NULL;
    }
    mr_arena_fini(&arena);
}

static void test_a_copy_has_a_nul_behind_it(void **state)
{
    (void)state;
    mr_arena arena = {0};
    mr_slice copy = mr_arena_copy(&arena, MR_SLICE_LITERAL("hello"));
    assert_int_equal(copy.size, 5);
    assert_string_equal(copy.data, "hello");
    copy = mr_arena_copy(&arena, (mr_slice){NULL, 0});
    assert_int_equal(copy.size, 0);
    assert_string_equal(copy.data, "");
    mr_arena_fini(&arena);
}

static void test_reset_gives_the_same_memory_again(void **state)
{
    (void)state;
    mr_arena arena = {0};
    void *first = mr_arena_alloc(&arena, 100);
    for (int i = 0; i < 5000; i++)
        assert_non_null(mr_arena_alloc(&arena, 100)); /* several chunks */
    assert_true(arena.used_bytes >= 500100);
    mr_arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_ptr_equal(mr_arena_alloc(&arena, 100), first);
    mr_arena_fini(&arena);
}

static void test_a_large_allocation_gets_a_chunk_of_its_own(void **state)
{
    (void)state;
    mr_arena arena = {0};
    char *small = mr_arena_alloc(&arena, 10);
    char *large = mr_arena_alloc(&arena, 5 * 1024 * 1024);
    assert_non_null(large);
    memset(large, 1, 5 * 1024 * 1024);
    assert_non_null(mr_arena_alloc(&arena, 10));
    mr_arena_reset(&arena);
    assert_ptr_equal(mr_arena_alloc(&arena, 10), small);
    mr_arena_fini(&arena);
}

static void test_a_size_that_cannot_be_is_refused(void **state)
{
    (void)state;
    mr_arena arena = {0};
    assert_null(mr_arena_alloc(&arena, SIZE_MAX));
    assert_null(mr_arena_alloc(&arena, SIZE_MAX - 20));
    mr_arena_fini(&arena);
}

static void test_large_things_between_small_ones_do_not_make_it_grow(void **state)
{
    enum { SMALL = 40000, LARGE = 100000 };
    (void)state;
    mr_arena arena = {0};
    void *first = NULL;
    for (int round = 0; round < 50; round++) {
        void *kept[3];
        for (int i = 0; i < 3; i++) {
            assert_non_null(mr_arena_alloc(&arena, LARGE));
            kept[i] = mr_arena_alloc(&arena, SMALL);
        }
        if (round == 1) /* the first round begins with a large one, and so with no chunk to keep */
            first = kept[0];
        if (round > 1)
            assert_ptr_equal(kept[0], first);
        mr_arena_reset(&arena);
    }
    mr_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_arena_needs_no_memory_and_may_be_ended),
        cmocka_unit_test(test_allocations_are_aligned_and_apart),
        cmocka_unit_test(test_a_copy_has_a_nul_behind_it),
        cmocka_unit_test(test_reset_gives_the_same_memory_again),
        cmocka_unit_test(test_a_large_allocation_gets_a_chunk_of_its_own),
        cmocka_unit_test(test_a_size_that_cannot_be_is_refused),
        cmocka_unit_test(test_large_things_between_small_ones_do_not_make_it_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
