#include "coordinator/placement.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mr_place_worker worker(const char *name)
{
    return (mr_place_worker){.name = name, .eligible = true, .cpu_millis = 1000, .memory_bytes = 1 << 20};
}

static mr_place_task task(const char *last_worker, uint32_t cpu_millis)
{
    return (mr_place_task){.last_worker = last_worker, .cpu_millis = cpu_millis, .memory_bytes = 4096};
}

static void tasks_spread_by_load(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a"), worker("b")};
    mr_place_task tasks[] = {task("", 100), task("", 100), task("", 100), task("", 100)};
    mr_place(workers, 2, tasks, 4);
    assert_int_equal(workers[0].tasks, 2);
    assert_int_equal(workers[1].tasks, 2);
}

static void a_task_goes_back_to_where_it_was(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a"), worker("b")};
    workers[1].used_cpu_millis = 500;
    mr_place_task tasks[] = {task("b", 100)};
    mr_place(workers, 2, tasks, 1);
    assert_int_equal(tasks[0].choice, 1);
}

static void what_does_not_fit_waits(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a")};
    mr_place_task tasks[] = {task("", 800), task("", 800)};
    mr_place(workers, 1, tasks, 2);
    assert_int_equal(tasks[0].choice, 0);
    assert_int_equal(tasks[1].choice, -1);
    assert_false(tasks[1].clamped);
}

static void a_task_larger_than_any_worker_is_clamped(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a"), worker("b")};
    mr_place_task tasks[] = {task("", 5000)};
    mr_place(workers, 2, tasks, 1);
    assert_true(tasks[0].choice >= 0);
    assert_true(tasks[0].clamped);
    assert_int_equal(workers[tasks[0].choice].used_cpu_millis, 1000);
}

static void a_worker_that_is_not_eligible_gets_nothing(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a")};
    workers[0].eligible = false;
    mr_place_task tasks[] = {task("a", 1)};
    mr_place(workers, 1, tasks, 1);
    assert_int_equal(tasks[0].choice, -1);
}

static void assignments_of_a_worker_fit_into_one_message(void **state)
{
    (void)state;
    mr_place_worker workers[] = {worker("a")};
    mr_place_task tasks[] = {task("", 1), task("", 1)};
    tasks[0].message_bytes = tasks[1].message_bytes = 600 * 1024;
    mr_place(workers, 1, tasks, 2);
    assert_int_equal(tasks[0].choice, 0);
    assert_int_equal(tasks[1].choice, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_spread_by_load),
        cmocka_unit_test(a_task_goes_back_to_where_it_was),
        cmocka_unit_test(what_does_not_fit_waits),
        cmocka_unit_test(a_task_larger_than_any_worker_is_clamped),
        cmocka_unit_test(a_worker_that_is_not_eligible_gets_nothing),
        cmocka_unit_test(assignments_of_a_worker_fit_into_one_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
