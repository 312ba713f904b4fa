#include "task/status.h"

#include "task/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int setup(void **state)
{
    status *status_made = NULL;
    assert_int_equal(status_open(&status_made, NULL), MR_OK);
    status_identify(status_made, MR__PROTO__TASK_KIND__SINK, "tenant", "sink", 0, 3, 1);
    *state = status_made;
    return 0;
}

static int teardown(void **state)
{
    status_close((status **)state);
    return 0;
}

/* What a worker would read; the caller closes it. */
static Mr__Proto__TaskToWorker *packed(void *state)
{
    mr_buf bytes = {0};
    Mr__Proto__TaskToWorker *packet = NULL;
    assert_int_equal(status_pack(state, &bytes, NULL), MR_OK);
    assert_int_equal(mr_from_task_unpack(mr_buf_slice(&bytes), &packet, NULL), MR_OK);
    mr_buf_fini(&bytes);
    return packet;
}

static Mr__Proto__TaskState shown(void *state)
{
    status_judge(state);
    Mr__Proto__TaskToWorker *packet = packed(state);
    Mr__Proto__TaskState seen = packet->status->state;
    mr_from_task_close(&packet);
    return seen;
}

static void wait_for(void *state, Mr__Proto__TaskState wanted)
{
    int64_t until = clock_ms() + 10000;
    while (shown(state) != wanted)
        assert_true(clock_ms() < until);
}

static void test_work_without_progress_is_stalled(void **state)
{
    status_stall_after(*state, 20);
    status_state(*state, MR__PROTO__TASK_STATE__RUNNING);
    status_work(*state, true);
    assert_int_equal(shown(*state), MR__PROTO__TASK_STATE__RUNNING);
    wait_for(*state, MR__PROTO__TASK_STATE__STALLED);
    status_moved(*state);
    assert_int_equal(shown(*state), MR__PROTO__TASK_STATE__RUNNING);
}

static void test_without_work_nothing_stalls(void **state)
{
    status_stall_after(*state, 1);
    status_state(*state, MR__PROTO__TASK_STATE__RUNNING);
    int64_t until = clock_ms() + 20;
    while (clock_ms() < until)
        assert_int_equal(shown(*state), MR__PROTO__TASK_STATE__RUNNING);
}

static void test_a_failure_is_told_until_it_is_over(void **state)
{
    mr_error error;
    uint64_t before, urgent;
    (void)status_version(*state, &before);
    mr_fail(&error, MR_EUNAVAILABLE, "store.example:9042 refuses the connection");
    status_failure(*state, &error);
    (void)status_version(*state, &urgent);
    assert_int_equal(urgent, before + 1);
    Mr__Proto__TaskToWorker *packet = packed(*state);
    assert_string_equal(packet->status->error->class_, "transient");
    assert_string_equal(packet->status->error->text, error.text);
    mr_from_task_close(&packet);
    status_failure(*state, NULL);
    packet = packed(*state);
    assert_null(packet->status->error);
    mr_from_task_close(&packet);
}

static void test_progress_is_copied(void **state)
{
    Mr__Proto__SourceProgress progress = MR__PROTO__SOURCE_PROGRESS__INIT;
    char uid[] = "uid";
    progress.run_uid = uid;
    progress.read = 7;
    status_source(*state, &progress);
    uid[0] = 'X';
    progress.read = 8;
    Mr__Proto__TaskToWorker *packet = packed(*state);
    assert_string_equal(packet->status->source->run_uid, "uid");
    assert_int_equal(packet->status->source->read, 7);
    mr_from_task_close(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_work_without_progress_is_stalled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_work_nothing_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_is_told_until_it_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress_is_copied, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
