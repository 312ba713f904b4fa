/* rpc_test.c - the RPC server with real sockets; loop and clients take turns in one thread. */
#include "coordinator/rpc.h"
#include "coordinator/service_fixture.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 5000 };

static struct {
    service_fixture fixture;
    uv_loop_t loop;
    mr_rpc *rpc;
    char url[160];
} server;

static int64_t wall_ms(void)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static int start_server(void **state)
{
    mr_error error = {0};
    (void)state;
    fixture_open(&server.fixture);
    snprintf(server.url, sizeof server.url, "ipc://%s/rpc.sock", server.fixture.dir);
    uv_loop_init(&server.loop);
    if (mr_rpc_open(&server.loop, server.url, server.fixture.service, &server.rpc, &error) != MR_OK)
        fail_msg("%s", error.text);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    mr_rpc_close(&server.rpc);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&server.loop), 0);
    fixture_close(&server.fixture);
    return 0;
}

static void turn(void)
{
    int64_t now_ms = wall_ms();
    uv_run(&server.loop, UV_RUN_NOWAIT);
    mr_service_set_now(server.fixture.service, now_ms);
    mr_service_reconcile(server.fixture.service);
    mr_rpc_answer(server.rpc, now_ms);
    usleep(1000);
}

static nng_socket dial(void)
{
    nng_socket client;
    assert_int_equal(nng_req0_open(&client), 0);
    nng_socket_set_ms(client, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    assert_int_equal(nng_dial(client, server.url, NULL, 0), 0);
    return client;
}

static void send_bytes(nng_socket client, const void *data, size_t size)
{
    assert_int_equal(nng_send(client, (void *)data, size, 0), 0);
}

static void send_watch(nng_socket client, uint64_t version)
{
    Mr__Proto__Request request = MR__PROTO__REQUEST__INIT;
    Mr__Proto__Watch watch = MR__PROTO__WATCH__INIT;
    mr_buf out = {0};
    watch.worker = "w1";
    watch.incarnation = "life";
    watch.version = version;
    request.protocol = MR_PROTOCOL;
    request.watch = &watch;
    assert_int_equal(mr_request_pack(&request, &out, NULL), MR_OK);
    send_bytes(client, out.data, out.size);
    mr_buf_fini(&out);
}

static void send_report(nng_socket client, const char *incarnation)
{
    Mr__Proto__Request request = MR__PROTO__REQUEST__INIT;
    Mr__Proto__Report report = MR__PROTO__REPORT__INIT;
    mr_buf out = {0};
    report.worker = "w1";
    report.incarnation = (char *)incarnation;
    report.sequence = 1;
    report.host = "elsewhere";
    report.cpu_millis = 1000;
    report.memory_bytes = 1u << 30;
    report.staging_id = (char *)mr_service_staging_id(server.fixture.service);
    request.protocol = MR_PROTOCOL;
    request.report = &report;
    assert_int_equal(mr_request_pack(&request, &out, NULL), MR_OK);
    send_bytes(client, out.data, out.size);
    mr_buf_fini(&out);
}

/* NULL: none came within the time. */
static Mr__Proto__Reply *receive(nng_socket client, int64_t timeout_ms)
{
    Mr__Proto__Reply *reply = NULL;
    int64_t deadline_ms = wall_ms() + timeout_ms;
    while (reply == NULL && wall_ms() < deadline_ms) {
        nng_msg *message;
        turn();
        if (nng_recvmsg(client, &message, NNG_FLAG_NONBLOCK) != 0)
            continue;
        mr_slice body = {nng_msg_body(message), nng_msg_len(message)};
        assert_int_equal(mr_reply_unpack(body, &reply, NULL), MR_OK);
        nng_msg_free(message);
    }
    return reply;
}

static void report_from(nng_socket client, const char *incarnation)
{
    send_report(client, incarnation);
    Mr__Proto__Reply *reply = receive(client, DEADLINE_MS);
    assert_non_null(reply);
    assert_non_null(reply->ack);
    mr_reply_close(&reply);
}

static uint64_t version_from(nng_socket client, uint64_t seen)
{
    send_watch(client, seen);
    Mr__Proto__Reply *reply = receive(client, DEADLINE_MS);
    assert_non_null(reply);
    assert_non_null(reply->assignments);
    uint64_t version = reply->assignments->version;
    mr_reply_close(&reply);
    return version;
}

static void a_report_is_answered_at_once(void **state)
{
    (void)state;
    nng_socket client = dial();
    report_from(client, "life");
    nng_close(client);
}

static void a_watch_is_parked_until_something_changes(void **state)
{
    (void)state;
    nng_socket reports = dial(), watches = dial();
    report_from(reports, "life");
    uint64_t version = version_from(watches, 0);
    send_watch(watches, version);
    assert_null(receive(watches, 50));
    server.fixture.now_ms = wall_ms();
    fixture_apply(&server.fixture, "a", "0 0 1 1 *", "");
    fixture_upload(&server.fixture, "a", "rows.csv", NULL);
    json_t *answer = NULL;
    assert_int_equal(mr_service_run_now(server.fixture.service, NULL, "a", &answer, NULL), MR_OK);
    json_decref(answer);
    Mr__Proto__Reply *reply = receive(watches, DEADLINE_MS);
    assert_non_null(reply);
    assert_true(reply->assignments->version != version);
    assert_int_equal(reply->assignments->n_assignments, 1);
    mr_reply_close(&reply);
    nng_close(reports);
    nng_close(watches);
}

static void a_newer_watch_replaces_the_parked_one(void **state)
{
    (void)state;
    nng_socket reports = dial(), first = dial(), second = dial();
    report_from(reports, "life");
    uint64_t version = version_from(first, 0);
    send_watch(first, version);
    assert_null(receive(first, 20));
    send_watch(second, 0); /* answered, and the first one's place is taken */
    Mr__Proto__Reply *reply = receive(second, DEADLINE_MS);
    assert_non_null(reply);
    mr_reply_close(&reply);
    assert_null(receive(first, 20));
    nng_close(reports);
    nng_close(first);
    nng_close(second);
}

static void a_former_incarnation_is_refused(void **state)
{
    (void)state;
    nng_socket client = dial();
    report_from(client, "life");
    nng_close(client);
    client = dial();
    Mr__Proto__Reply *reply = NULL;
    do { /* until the end of the former connection is seen */
        mr_reply_close(&reply);
        send_report(client, "next-life");
        reply = receive(client, DEADLINE_MS);
        assert_non_null(reply);
    } while (reply->ack == NULL);
    mr_reply_close(&reply);
    send_report(client, "life");
    reply = receive(client, DEADLINE_MS);
    assert_non_null(reply);
    assert_int_equal(strncmp(reply->refused, MR_REFUSED_REPLACED, strlen(MR_REFUSED_REPLACED)), 0);
    mr_reply_close(&reply);
    nng_close(client);
}

static void a_watch_before_the_first_report_is_refused(void **state)
{
    (void)state;
    nng_socket client = dial();
    send_watch(client, 0);
    Mr__Proto__Reply *reply = receive(client, DEADLINE_MS);
    assert_non_null(reply);
    assert_string_equal(reply->refused, "this incarnation has not reported yet");
    mr_reply_close(&reply);
    nng_close(client);
}

static void hostile_messages_are_refused_and_nothing_else_happens(void **state)
{
    static char large[2 * MR_RPC_MAX_BYTES];
    (void)state;
    nng_socket client = dial();
    memset(large, 0x0a, sizeof large);
    const size_t sizes[] = {0, 1, 7, 1000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        send_bytes(client, large, sizes[i]);
        Mr__Proto__Reply *reply = receive(client, DEADLINE_MS);
        assert_non_null(reply);
        assert_true(reply->refused[0] != '\0');
        mr_reply_close(&reply);
    }
    send_bytes(client, large, sizeof large); /* beyond the bound: the connection is closed */
    assert_null(receive(client, 50));
    nng_close(client);
    client = dial();
    report_from(client, "life");
    nng_close(client);
}

/* One that connects, says this and goes away, without having read our half of the handshake. */
static void leave_during_handshake(const char *says, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server.url + strlen("ipc://"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (size > 0)
        assert_int_equal(send(fd, says, size, MSG_NOSIGNAL), (ssize_t)size);
    close(fd);
}

static void serves_within_a_second_after_peers_left_during_their_handshake(const char *says, size_t size)
{
    for (int i = 0; i < 100; i++) /* the kernel lets 128 wait */
        leave_during_handshake(says, size);
    nng_socket client = dial();
    send_report(client, "life");
    Mr__Proto__Reply *reply = receive(client, 1000);
    assert_non_null(reply);
    mr_reply_close(&reply);
    nng_close(client);
}

static void peers_that_leave_at_once_do_not_end_the_service(void **state)
{
    (void)state;
    serves_within_a_second_after_peers_left_during_their_handshake("", 0);
}

static void peers_that_leave_half_a_header_do_not_end_the_service(void **state)
{
    (void)state;
    serves_within_a_second_after_peers_left_during_their_handshake("\0SP", 3);
}

static void peers_that_speak_something_else_do_not_end_the_service(void **state)
{
    (void)state;
    serves_within_a_second_after_peers_left_during_their_handshake("GET / HTTP/1.1\r\n", 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_is_answered_at_once),
        TEST(a_watch_is_parked_until_something_changes),
        TEST(a_newer_watch_replaces_the_parked_one),
        TEST(a_former_incarnation_is_refused),
        TEST(a_watch_before_the_first_report_is_refused),
        TEST(hostile_messages_are_refused_and_nothing_else_happens),
        TEST(peers_that_leave_at_once_do_not_end_the_service),
        TEST(peers_that_leave_half_a_header_do_not_end_the_service),
        TEST(peers_that_speak_something_else_do_not_end_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
