#include "coordinator/rpc_pipes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int start(void **state)
{
    *state = mr_rpc_pipes_open();
    return *state == NULL ? -1 : 0;
}

static int stop(void **state)
{
    mr_rpc_pipes *pipes = *state;
    mr_rpc_pipes_close(&pipes);
    return 0;
}

static void a_pipe_that_says_nothing_is_closed(void **state)
{
    const char *why = NULL;
    assert_true(mr_rpc_pipes_add(*state, 1, "process 1", 1000));
    assert_true(mr_rpc_pipes_add(*state, 2, "process 2", 1000));
    mr_rpc_pipes_heard(*state, 2, 1500);
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 1000 + MR_PIPE_SILENT_MS, &why), 0);
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 1001 + MR_PIPE_SILENT_MS, &why), 1);
    assert_non_null(strstr(why, "says nothing"));
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 100000, &why), 0); /* told once; 2 may be silent */
}

static void of_too_many_those_go_first_that_were_never_heard(void **state)
{
    const char *why = NULL;
    for (uint32_t id = 1; id <= MR_PIPES_MAX; id++) {
        assert_true(mr_rpc_pipes_add(*state, id, "", 1000 + id));
        if (id != 7)
            mr_rpc_pipes_heard(*state, id, 5000 + id);
    }
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 6000, &why), 0);
    for (uint32_t id = 1; id <= 2; id++) {
        assert_true(mr_rpc_pipes_add(*state, MR_PIPES_MAX + id, "", 6000));
        mr_rpc_pipes_heard(*state, MR_PIPES_MAX + id, 6000);
    }
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 6000, &why), 7);
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 6000, &why), 1); /* heard, but longest ago */
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 6000, &why), 0);
    mr_rpc_pipes_remove(*state, 7);
    mr_rpc_pipes_remove(*state, 1);
    assert_int_equal(mr_rpc_pipes_unwanted(*state, 6000, &why), 0);
}

static void far_too_many_are_not_kept(void **state)
{
    uint32_t id = 1;
    while (mr_rpc_pipes_add(*state, id, "", 1000))
        id++;
    assert_int_equal(id, 2 * MR_PIPES_MAX + 1);
    mr_rpc_pipes_remove(*state, 5);
    assert_true(mr_rpc_pipes_add(*state, id, "process 9", 1000));
    char peer[MR_PIPE_PEER_BYTES];
    mr_rpc_pipes_peer(*state, id, peer);
    assert_string_equal(peer, "process 9");
    mr_rpc_pipes_peer(*state, 5, peer);
    assert_string_equal(peer, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pipe_that_says_nothing_is_closed),
        TEST(of_too_many_those_go_first_that_were_never_heard),
        TEST(far_too_many_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
