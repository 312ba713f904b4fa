#include "coordinator/rest_connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 4 };

/* Ends of socket pairs: what is cut off is seen at the other end, and no byte is ever moved. */
static struct {
    mr_connections *all;
    mr_connection *link[8];
    int ours[8], theirs[8];
    size_t count;
} peers;

static int start(void **state)
{
    (void)state;
    const mr_connection_limits limits = {.most = MOST, .head_ms = 1000, .idle_ms = 5000, .slow_ms = 3000};
    peers.all = mr_connections_open(&limits);
    peers.count = 0;
    return peers.all == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < peers.count; i++) {
        mr_connection_end(peers.link[i], 100000);
        close(peers.ours[i]);
        close(peers.theirs[i]);
    }
    assert_int_equal(mr_connections_count(peers.all), 0);
    mr_connections_close(&peers.all);
    return 0;
}

static mr_connection *join(int64_t now_ms)
{
    int ends[2];
    const size_t i = peers.count++;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peers.ours[i] = ends[0];
    peers.theirs[i] = ends[1];
    peers.link[i] = mr_connection_begin(peers.all, ends[0], now_ms);
    assert_non_null(peers.link[i]);
    return peers.link[i];
}

static bool is_cut(size_t i)
{
    char byte;
    return recv(peers.theirs[i], &byte, 1, MSG_DONTWAIT) == 0;
}

static void a_head_that_does_not_come_is_cut_off(void **state)
{
    (void)state;
    join(1000);
    mr_connections_check(peers.all, 2000);
    assert_false(is_cut(0));
    mr_connections_check(peers.all, 2001);
    assert_true(is_cut(0));
}

static void one_that_had_a_request_may_wait_longer(void **state)
{
    (void)state;
    mr_connection_enter(join(1000), MR_CONNECTION_BODY, 1001);
    mr_connection_enter(peers.link[0], MR_CONNECTION_ANSWER, 1002);
    mr_connection_enter(peers.link[0], MR_CONNECTION_IDLE, 1003);
    mr_connections_check(peers.all, 6003);
    assert_false(is_cut(0));
    mr_connections_check(peers.all, 6004);
    assert_true(is_cut(0));
}

static void a_body_that_stands_still_is_cut_off_but_not_while_we_work(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        mr_connection_enter(join(1000), MR_CONNECTION_BODY, 1000);
    mr_connection_hold(peers.link[1], true, 1500);
    mr_connections_check(peers.all, 4000);
    assert_false(is_cut(0));
    mr_connections_check(peers.all, 4001);
    assert_true(is_cut(0));
    mr_connections_check(peers.all, 9000);
    assert_false(is_cut(1));
    mr_connection_hold(peers.link[1], false, 9000);
    mr_connections_check(peers.all, 11000);
    assert_false(is_cut(1));
    mr_connections_check(peers.all, 14000);
    assert_true(is_cut(1));
}

static void a_newcomer_takes_the_place_of_who_waits_longest(void **state)
{
    (void)state;
    mr_connection_enter(join(1000), MR_CONNECTION_ANSWER, 1000);
    for (int64_t i = 1; i <= MOST; i++)
        join(1000 + i);
    assert_false(is_cut(0));
    assert_true(is_cut(1));
    for (size_t i = 2; i <= MOST; i++)
        assert_false(is_cut(i));
    assert_true(mr_connection_admit(peers.link[MOST], false, 1010));
}

static void one_too_many_is_not_admitted_while_all_are_busy_and_quick(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOST; i++)
        mr_connection_enter(join(1000), MR_CONNECTION_ANSWER, 1000);
    assert_false(mr_connection_admit(join(1500), false, 1500));
    mr_connection_enter(peers.link[MOST], MR_CONNECTION_ANSWER, 1500); /* it is told so */
    mr_connections_check(peers.all, 2500);                             /* now they are slow */
    assert_true(mr_connection_admit(join(2500), false, 2500));
    size_t cut = 0;
    for (size_t i = 0; i <= MOST; i++)
        cut += is_cut(i);
    assert_int_equal(cut, 1);
}

static void bodies_leave_room_for_those_that_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOST; i++)
        mr_connection_enter(join(1000), MR_CONNECTION_BODY, 1000);
    assert_false(mr_connection_admit(peers.link[0], true, 1000));
    assert_true(mr_connection_admit(peers.link[0], false, 1000));
    mr_connection_enter(peers.link[3], MR_CONNECTION_IDLE, 1000);
    assert_true(mr_connection_admit(peers.link[0], true, 1000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_that_does_not_come_is_cut_off),
        TEST(one_that_had_a_request_may_wait_longer),
        TEST(a_body_that_stands_still_is_cut_off_but_not_while_we_work),
        TEST(a_newcomer_takes_the_place_of_who_waits_longest),
        TEST(one_too_many_is_not_admitted_while_all_are_busy_and_quick),
        TEST(bodies_leave_room_for_those_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
