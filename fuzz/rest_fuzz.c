/* rest_fuzz.c - requests to the API: paths, query strings, headers, forms, JSON bodies.
 *
 * Input: "METHOD TARGET", headers, an empty line, the body, as in HTTP but with LF. It goes over a socket to
 * the server, whose service only pretends (coordinator/rest_fake_service.c); every request is answered or its
 * connection closed, none with 500, and no file stays behind. */
#include "coordinator/rest.h"
#include "coordinator/rest_fake_service.h"
#include "core/log.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { IDLE_TURNS = 10, CLEANING_TURNS = 1000 }; /* of a millisecond */

static struct {
    uv_loop_t loop;
    mr_service *service;
    mr_rest *rest;
    mr_rest_config config;
} server;

static void start(void)
{
    mr_error error;
    (void)mr_log_configure("logfmt", "error", &error);
    uv_loop_init(&server.loop);
    server.config = (mr_rest_config){.listen = "127.0.0.1:0", .task_binary = "/nonexistent"};
    server.service = fake_service_open(fuzz_folder());
    FUZZ_CHECK(mr_rest_open(&server.loop, &server.config, server.service, &server.rest, &error) == MR_OK);
}

static int connect_to_server(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)mr_rest_port(server.rest)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger reset = {.l_onoff = 1}; /* or ports would run out in TIME_WAIT */
    FUZZ_CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    FUZZ_CHECK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
    return fd;
}

static void compose(mr_slice input, mr_buf *out)
{
    mr_slice rest = input, line = fuzz_take(&rest, '\n');
    (void)mr_buf_append(out, line.data, line.size);
    (void)mr_buf_printf(out, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    bool chunked = false;
    for (line = fuzz_take(&rest, '\n'); line.size > 0; line = fuzz_take(&rest, '\n')) {
        chunked =
            chunked || strncasecmp(line.data, "transfer-encoding", line.size < 17 ? line.size : 17) == 0;
        (void)mr_buf_append(out, line.data, line.size);
        (void)mr_buf_append(out, "\r\n", 2);
    }
    if (!chunked)
        (void)mr_buf_printf(out, "Content-Length: %zu\r\n", rest.size);
    (void)mr_buf_append(out, "\r\n", 2);
    (void)mr_buf_append(out, rest.data, rest.size);
}

/* Sends what can be sent; false when nothing could. */
static bool send_some(int fd, mr_slice *rest)
{
    const ssize_t size = rest->size > 0 ? send(fd, rest->data, rest->size, MSG_NOSIGNAL) : -1;
    if (size <= 0)
        return false;
    *rest = (mr_slice){rest->data + size, rest->size - (size_t)size};
    return true;
}

/* Sends all, runs the server, reads until it closes, or until it waits for more than there is. */
static void talk(int fd, mr_slice request, mr_buf *answer)
{
    for (int idle = 0; idle < IDLE_TURNS; idle++) {
        char data[4096];
        uv_run(&server.loop, UV_RUN_NOWAIT);
        if (send_some(fd, &request))
            idle = 0;
        const ssize_t size = recv(fd, data, sizeof data, 0);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != ENOTCONN))
            return;
        if (size > 0) {
            (void)mr_buf_append(answer, data, (size_t)size);
            idle = 0;
        } else {
            (void)poll(&(struct pollfd){.fd = uv_backend_fd(&server.loop), .events = POLLIN}, 1, 1);
        }
    }
}

static bool files_left(void)
{
    return fuzz_folder_entries("incoming") + fuzz_folder_entries("programs") > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server.rest == NULL)
        start();
    mr_buf request = {0}, answer = {0};
    compose((mr_slice){(const char *)data, size}, &request);
    const int fd = connect_to_server();
    talk(fd, mr_buf_slice(&request), &answer);
    close(fd);
    FUZZ_CHECK(answer.size < 12 || memcmp(answer.data, "HTTP/1.1 500", 12) != 0);
    for (int i = 0; i < CLEANING_TURNS && files_left(); i++) {
        uv_run(&server.loop, UV_RUN_NOWAIT);
        if (files_left())
            (void)poll(&(struct pollfd){.fd = uv_backend_fd(&server.loop), .events = POLLIN}, 1, 1);
    }
    FUZZ_CHECK(!files_left());
    mr_buf_fini(&request);
    mr_buf_fini(&answer);
    return 0;
}
