/* rest_server.c - libmicrohttpd in the libuv loop: its epoll descriptor is watched, its timeouts are a timer.
 */
#include "coordinator/rest_server.h"

#include "coordinator/rest_shape.h"
#include "core/log.h"
#include "core/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    CONNECTION_MEMORY_BYTES = 64 * 1024,
    DROP_BYTES = 16 * 1024 * 1024, /* of a body that nobody wants, before its connection is cut */
    INSPECTIONS = 16,
    CHECK_MS = 1000,
    OTHER_FILES = 512, /* that are open for other things than connections */
};

struct mr_rest {
    uv_loop_t *loop;
    const mr_rest_config *config;
    mr_service *service;
    mr_listen listen;
    struct MHD_Daemon *daemon;
    int port;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_timer_t check;
    mr_connections *connections;
    int open_handles;
    int working, inspecting;
    bool closing;
    mr_request *suspended; /* list; libmicrohttpd cannot stop while there are some */
};

uv_loop_t *mr_rest_loop(const mr_rest *rest)
{
    return rest->loop;
}

const mr_rest_config *mr_rest_config_of(const mr_rest *rest)
{
    return rest->config;
}

int mr_rest_port(const mr_rest *rest)
{
    return rest->port;
}

void mr_rest_set_now(mr_rest *rest)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    mr_service_set_now(rest->service, (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000);
}

static int64_t now_of(const mr_rest *rest)
{
    return (int64_t)uv_now(rest->loop);
}

static void on_timer(uv_timer_t *timer);

void mr_rest_kick(mr_rest *rest)
{
    if (!rest->closing)
        uv_timer_start(&rest->timer, on_timer, 0, 0);
}

/* --- life and death --- */

static void free_when_idle(mr_rest *rest)
{
    if (!rest->closing || rest->open_handles > 0 || rest->working > 0 || rest->inspecting > 0)
        return;
    mr_connections_close(&rest->connections);
    free(rest);
}

void mr_rest_working(mr_rest *rest, int change)
{
    rest->working += change;
    free_when_idle(rest);
}

bool mr_rest_may_inspect(mr_rest *rest)
{
    return rest->inspecting < INSPECTIONS;
}

void mr_rest_inspecting(mr_rest *rest, int change)
{
    rest->inspecting += change;
    free_when_idle(rest);
}

void mr_rest_suspended(mr_rest *rest, mr_request *request, bool suspended)
{
    mr_request **at = &rest->suspended;
    mr_connection_hold(request->link, suspended, now_of(rest));
    if (suspended) {
        request->next_suspended = *at;
        *at = request;
        return;
    }
    while (*at != request)
        at = &(*at)->next_suspended;
    *at = request->next_suspended;
}

/* --- requests --- */

static enum MHD_Result check_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    (void)value;
    mr_request *request = cls;
    const char *const *known = request->match.route->query;
    size_t count = 0;
    for (; known != NULL && known[count] != NULL; count++)
        if (strcmp(known[count], name) == 0)
            return MHD_YES;
    const char *near = count == 0 ? NULL : mr_nearest_name(name, known, count);
    if (near != NULL)
        mr_request_error(request, 400, "unknown query argument \"%.80s\"; did you mean \"%s\"?", name, near);
    else
        mr_request_error(request, 400, "unknown query argument \"%.80s\"", name);
    return MHD_NO;
}

static void answer_unrouted(mr_request *request, const char *method, const char *path)
{
    if (request->match.allowed[0] == '\0') {
        mr_request_error(request, 404, "there is no %.200s", path);
        return;
    }
    mr_request_error(request, 405, "%.20s is not possible on %.200s; %s is", method, path,
                     request->match.allowed);
    if (request->response != NULL)
        (void)MHD_add_response_header(request->response, "Allow", request->match.allowed);
}

static int64_t declared_size(const mr_request *request)
{
    const char *length = mr_request_header(request, "Content-Length");
    if (length != NULL)
        return strtoll(length, NULL, 10);
    return mr_request_header(request, "Transfer-Encoding") == NULL ? 0 : -1;
}

/* What is not answered as a request at all: the connection is closed. */
static bool turn_away(mr_request *request, const char *version)
{
    mr_error error;
    if (!mr_connection_admit(request->link, request->declared_size != 0, now_of(request->rest)))
        mr_request_error(request, 503, "too many connections; try again");
    else if (mr_rest_shape(request->connection, version, &error) != MR_OK)
        mr_request_error(request, 400, "%s", error.text);
    else
        return false;
    if (request->status == 400)
        mr_connection_complain(request->link, error.text, now_of(request->rest));
    if (request->response != NULL)
        (void)MHD_add_response_header(request->response, "Connection", "close");
    return true;
}

static void begin_request(mr_request *request, const char *method, const char *path)
{
    mr_rest *rest = request->rest;
    mr_error error;
    if (mr_rest_guard(&rest->listen, mr_request_header(request, "Host"), mr_request_header(request, "Origin"),
                      &error) != MR_OK) {
        mr_request_error(request, 403, "%s", error.text);
        return;
    }
    if (!mr_request_identify(request))
        return;
    mr_route_find(mr_routes, method, path, &request->match);
    if (request->match.route == NULL) {
        answer_unrouted(request, method, path);
        return;
    }
    request->tenant = request->match.parameters[0];
    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, check_argument, request);
    const mr_rest_body *body = request->match.route->body;
    if (request->response == NULL && body != NULL && body->begin != NULL)
        body->begin(request);
    else if (request->response == NULL && body == NULL && request->declared_size > request->drop_limit)
        mr_request_error(request, 413, "%s %s takes no body", method, request->match.route->pattern);
}

static enum MHD_Result send_answer(mr_request *request)
{
    mr_connection_enter(request->link, MR_CONNECTION_ANSWER, now_of(request->rest));
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* libmicrohttpd cuts a path at a NUL: then it would name another tenant. A request whose raw path holds one
 * begins with the server in the place of its state. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    (void)connection;
    const char *nul = strstr(target, "%00");
    return nul != NULL && nul < target + strcspn(target, "?") ? cls : NULL;
}

static mr_request *create_request(mr_rest *rest, struct MHD_Connection *connection, const char *method,
                                  const char *path)
{
    mr_connection *link =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    mr_request *request = link == NULL ? NULL : calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->rest = rest;
    request->service = rest->service;
    request->connection = connection;
    request->tenant = "";
    request->drop_limit = DROP_BYTES;
    request->link = link;
    snprintf(request->title, sizeof request->title, "%s %s", method, path);
    return request;
}

/* libmicrohttpd does not notice an end of the connection that arrives together with data, and would keep
 * request and file of a client that is gone. Saying it again makes it look. */
static void repeat_end(const mr_request *request)
{
    char next;
    const int fd =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        (void)shutdown(fd, SHUT_RD);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
    mr_rest *rest = cls;
    const bool cut = *state == rest;
    mr_request *request = cut ? NULL : *state;
    if (request == NULL) {
        request = create_request(rest, connection, method, path);
        *state = request;
        if (request == NULL)
            return MHD_NO;
        request->declared_size = declared_size(request);
        mr_connection_enter(request->link, MR_CONNECTION_BODY, now_of(rest));
        if (turn_away(request, version))
            return send_answer(request);
        repeat_end(request);
        if (cut)
            mr_request_error(request, 400, "the path holds a NUL");
        else
            begin_request(request, method, path);
        /* An answer before the body closes the connection, so a small body is rather read to its end. */
        return request->response != NULL && request->declared_size > request->drop_limit
                   ? send_answer(request)
                   : MHD_YES;
    }
    if (*size > 0) {
        request->received += (int64_t)*size;
        const mr_route *route = request->match.route;
        if (request->response == NULL && route->body != NULL)
            route->body->data(request, data, *size);
        *size = 0;
        const bool dropping = request->response != NULL || route->body == NULL;
        repeat_end(request);
        return dropping && request->received > request->drop_limit ? MHD_NO : MHD_YES;
    }
    if (request->response == NULL && !request->handled) {
        request->handled = true;
        mr_request_act(request, request->match.route->handle);
    }
    if (request->response != NULL)
        return send_answer(request);
    return request->suspended ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode reason)
{
    (void)connection;
    mr_request *request = *state == cls ? NULL : *state;
    *state = NULL;
    if (request == NULL)
        return;
    mr_log(MR_DEBUG, "request", MR_STR("request", request->title), MR_INT("status", request->status),
           MR_INT("received_bytes", request->received),
           MR_STR("completed", reason == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "yes" : "no"));
    mr_connection_enter(request->link, MR_CONNECTION_IDLE, now_of(request->rest));
    request->connection = NULL;
    request->gone = true;
    if (!request->working)
        mr_request_free(request);
}

/* --- connections --- */

static void on_check(uv_timer_t *timer)
{
    mr_rest *rest = timer->data;
    mr_connections_check(rest->connections, now_of(rest));
    if (mr_connections_count(rest->connections) == 0)
        uv_timer_stop(timer);
}

/* libmicrohttpd calls this for a connection that was accepted, and before it is closed. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    mr_rest *rest = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context != NULL)
            mr_connection_end(*context, now_of(rest));
        return;
    }
    const int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *context = mr_connection_begin(rest->connections, fd, now_of(rest)); /* NULL: its request is not taken */
    if (!uv_is_active((uv_handle_t *)&rest->check))
        uv_timer_start(&rest->check, on_check, CHECK_MS, CHECK_MS);
}

/* Those that are cut off, or told that they are too many, are there for a moment longer. */
static size_t reserve_of(size_t most)
{
    return most / 4 + 16;
}

static size_t fitting(size_t most)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || most + reserve_of(most) + OTHER_FILES <= files.rlim_cur)
        return most;
    const size_t room = files.rlim_cur > OTHER_FILES + 32 ? files.rlim_cur - OTHER_FILES - 16 : 16;
    const size_t fits = room * 4 / 5;
    mr_log(MR_WARN,
           "fewer connections than rest.connections.max fit into the limit of open files (ulimit -n)",
           MR_INT("wanted", most), MR_INT("fit", fits));
    return fits;
}

/* --- the loop --- */

static void run(mr_rest *rest)
{
    mr_rest_set_now(rest);
    (void)MHD_run(rest->daemon);
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(rest->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&rest->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&rest->timer);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static mr_err start_daemon(mr_rest *rest, mr_error *ret_error)
{
    mr_connection_limits limits = rest->config->connections;
    limits.most = fitting(limits.most);
    const size_t most = limits.most + reserve_of(limits.most);
    /* On this machine all peers have one address. */
    const size_t most_of_peer = rest->listen.loopback ? 0 : limits.most / 2;
    rest->connections = mr_connections_open(&limits);
    if (rest->connections == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (rest->listen.address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    rest->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, rest, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&rest->listen.address, MHD_OPTION_NOTIFY_COMPLETED, on_completed, rest,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, rest, MHD_OPTION_NOTIFY_CONNECTION, on_connection, rest,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned int)most, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned int)most_of_peer, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    if (rest->daemon == NULL)
        return mr_fail(ret_error, MR_EIO, "listen: %s cannot be had; is another coordinator running?",
                       rest->config->listen);
    rest->port = MHD_get_daemon_info(rest->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return MR_OK;
}

mr_err mr_rest_open(uv_loop_t *loop, const mr_rest_config *config, mr_service *service, mr_rest **ret_rest,
                    mr_error *ret_error)
{
    mr_rest *rest = calloc(1, sizeof *rest);
    if (rest == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    rest->loop = loop;
    rest->config = config;
    rest->service = service;
    mr_err err = mr_listen_parse(config->listen, &rest->listen, ret_error);
    if (err == MR_OK && !rest->listen.loopback && !config->insecure)
        err = mr_fail(
            ret_error, MR_EREFUSED,
            "listen: %s is not a loopback address: who reaches it may run programs here. Use 127.0.0.1, "
            "or --insecure in a network that you trust",
            config->listen);
    if (err == MR_OK)
        err = start_daemon(rest, ret_error);
    if (err != MR_OK) {
        mr_connections_close(&rest->connections);
        free(rest);
        return err;
    }
    uv_timer_init(loop, &rest->timer);
    uv_timer_init(loop, &rest->check);
    uv_poll_init(loop, &rest->poll, MHD_get_daemon_info(rest->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    rest->poll.data = rest->timer.data = rest->check.data = rest;
    rest->open_handles = 3;
    uv_poll_start(&rest->poll, UV_READABLE, on_readable);
    *ret_rest = rest;
    return MR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    mr_rest *rest = handle->data;
    rest->open_handles--;
    free_when_idle(rest);
}

void mr_rest_close(mr_rest **rest_handle)
{
    mr_rest *rest = *rest_handle;
    *rest_handle = NULL;
    if (rest == NULL)
        return;
    rest->closing = true;
    while (rest->suspended != NULL)
        mr_request_resume(rest->suspended);
    MHD_stop_daemon(rest->daemon);
    uv_close((uv_handle_t *)&rest->poll, on_closed);
    uv_close((uv_handle_t *)&rest->timer, on_closed);
    uv_close((uv_handle_t *)&rest->check, on_closed);
}
