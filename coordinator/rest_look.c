/* rest_look.c - the output of an inspecting child, passed on as the client takes it.
 *
 * The status can only be chosen before the first byte, so the first line is awaited: an error there becomes a
 * status; one that comes later is the last line of a query, and cuts an array of rejected rows short.
 */
#include "coordinator/rest_look.h"
#include "coordinator/inspect_child.h"
#include "coordinator/rest_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 32 * 1024,
    KILL_AFTER_MS = 5 * 1000, /* a child that does not end itself at its deadline */
    CHILD_MEMORY_BYTES = 256 * 1024 * 1024,
};

typedef struct look {
    mr_request *request;
    mr_inspect_child *child;
    mr_look_shape shape;
    char head[BLOCK_BYTES]; /* what was read before the answer began */
    size_t head_size, head_at;
    bool ended;
    /* MR_LOOK_LINES: a query ends with {"rows":...} or {"error":...}; all other lines but the first are
     * arrays.
     */
    bool at_line_start, complete;
    size_t lines;
    /* MR_LOOK_ARRAY: lines become elements. */
    bool opened, closed, separator;
} look;

static void end_look(mr_request *request)
{
    look *self = request->state;
    mr_inspect_child_close(&self->child);
    free(self);
}

static void on_gone(void *arg)
{
    mr_rest_inspecting(arg, -1);
}

/* libmicrohttpd does not look at a connection that is suspended, and a query may never print a line. */
static bool client_is_there(void *arg)
{
    const mr_request *request = arg;
    char byte;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const ssize_t count = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

static void resume(void *arg)
{
    look *self = arg;
    mr_request_resume(self->request);
}

/* --- streaming --- */

/* Up to `size` bytes of output; 0 at its end; -1 and EAGAIN: later. */
static ssize_t fetch(look *self, char *to, size_t size)
{
    if (self->head_at < self->head_size) {
        const size_t left = self->head_size - self->head_at, count = left < size ? left : size;
        memcpy(to, self->head + self->head_at, count);
        self->head_at += count;
        return (ssize_t)count;
    }
    if (self->ended)
        return 0;
    ssize_t count;
    do
        count = read(mr_inspect_child_fd(self->child), to, size);
    while (count < 0 && errno == EINTR);
    self->ended = count == 0 || (count < 0 && errno != EAGAIN);
    return count < 0 && self->ended ? 0 : count;
}

static void watch_lines(look *self, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (self->at_line_start) {
            self->complete = bytes[i] == '{' && self->lines > 0;
            self->lines++;
        }
        self->at_line_start = bytes[i] == '\n';
    }
}

static const char *what_happened(const look *self)
{
    return mr_inspect_child_late(self->child) ? "it took longer than its deadline allows"
                                              : "it ended without an answer; the coordinator's log says why";
}

static ssize_t give_lines(look *self, char *to, size_t size)
{
    const ssize_t count = fetch(self, to, size);
    if (count > 0)
        watch_lines(self, to, (size_t)count);
    if (count != 0)
        return count;
    if (self->complete)
        return MHD_CONTENT_READER_END_OF_STREAM;
    self->complete = true;
    return snprintf(to, size, "%s{\"error\":\"%s\"}\n", self->at_line_start ? "" : "\n", what_happened(self));
}

/* Turns line ends into commas; the last one into nothing. Needs no more room than `size`. */
static ssize_t give_array(look *self, char *to, size_t size)
{
    if (self->closed)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!self->opened) {
        self->opened = true;
        *to = '[';
        return 1;
    }
    const ssize_t count = fetch(self, to + 1, size - 1);
    if (count < 0)
        return count;
    if (count == 0) {
        if (mr_inspect_child_late(self->child))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        self->closed = true;
        memcpy(to, "]\n", 2);
        return 2;
    }
    ssize_t used = 0;
    for (ssize_t i = 1; i <= count; i++) {
        const char c = to[i];
        if (c == '\n') {
            self->separator = true;
            continue;
        }
        if (self->separator)
            to[used++] = ',';
        self->separator = false;
        to[used++] = c;
    }
    return used;
}

static ssize_t give_when_readable(look *self)
{
    mr_request_suspend(self->request);
    mr_inspect_child_wait(self->child, resume, self);
    return 0;
}

/* A file is whole, or its connection breaks off: which, is known when the child has exited. */
static ssize_t give_file(look *self, char *to, size_t size)
{
    const ssize_t count = fetch(self, to, size);
    if (count < 0)
        return give_when_readable(self);
    if (count > 0)
        return count;
    if (mr_inspect_child_exited(self->child))
        return mr_inspect_child_succeeded(self->child) ? MHD_CONTENT_READER_END_OF_STREAM
                                                       : MHD_CONTENT_READER_END_WITH_ERROR;
    mr_request_suspend(self->request);
    mr_inspect_child_wait_exit(self->child, resume, self);
    return 0;
}

static ssize_t give(void *cls, uint64_t position, char *to, size_t size)
{
    (void)position;
    look *self = cls;
    ssize_t count;
    if (self->shape == MR_LOOK_CSV)
        return give_file(self, to, size);
    do
        count = self->shape == MR_LOOK_LINES ? give_lines(self, to, size) : give_array(self, to, size);
    while (count == 0);
    if (count != -1 || self->ended) /* the end of the stream is -1 as well */
        return count;
    return give_when_readable(self);
}

/* --- the answer's beginning --- */

static json_t *first_line(const look *self)
{
    const char *end = memchr(self->head, '\n', self->head_size);
    return json_loadb(self->head, end == NULL ? self->head_size : (size_t)(end - self->head), 0, NULL);
}

static void answer_one(look *self)
{
    json_t *line = first_line(self);
    const char *offset = self->request->match.parameters[2];
    char found[32];
    snprintf(found, sizeof found, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(line, "offset")));
    if (line != NULL && strcmp(found, offset) == 0)
        mr_request_json(self->request, 200, json_incref(line));
    else
        mr_request_error(self->request, 404, "there is no rejected row at offset %.40s of %.200s", offset,
                         self->request->match.parameters[1]);
    json_decref(line);
}

static void begin_answer(look *self)
{
    json_t *line = first_line(self);
    const char *problem = json_string_value(json_object_get(line, "error"));
    const bool failed = self->ended && !mr_inspect_child_succeeded(self->child);
    if (problem != NULL && self->shape == MR_LOOK_LINES)
        mr_request_error(self->request, 400, "%s", problem);
    else if (failed && self->head_size == 0)
        mr_request_error(self->request, mr_inspect_child_late(self->child) ? 504 : 500, "%s",
                         what_happened(self));
    else if (self->shape == MR_LOOK_ONE)
        answer_one(self);
    else {
        struct MHD_Response *response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, give, self, NULL);
        if (response != NULL)
            (void)MHD_add_response_header(response, "Content-Type",
                                          self->shape == MR_LOOK_LINES ? "application/x-ndjson"
                                          : self->shape == MR_LOOK_CSV ? "text/csv; charset=utf-8"
                                                                       : "application/json");
        mr_request_respond(self->request, 200, response);
    }
    json_decref(line);
}

static void on_exit_known(void *arg)
{
    look *self = arg;
    begin_answer(self);
    mr_request_resume(self->request);
}

/* Reads until a line is complete, the buffer full or the output at its end. */
static void read_head(void *arg)
{
    look *self = arg;
    while (self->head_size < sizeof self->head) {
        const ssize_t count = read(mr_inspect_child_fd(self->child), self->head + self->head_size,
                                   sizeof self->head - self->head_size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN) {
            if (self->shape != MR_LOOK_ONE && memchr(self->head, '\n', self->head_size) != NULL)
                break;
            mr_inspect_child_wait(self->child, read_head, self);
            return;
        }
        if (count <= 0) {
            self->ended = true;
            mr_inspect_child_wait_exit(self->child, on_exit_known, self);
            return;
        }
        self->head_size += (size_t)count;
    }
    begin_answer(self);
    mr_request_resume(self->request);
}

void mr_look_at(mr_request *request, mr_look_shape shape, const char *kind, const mr_props *config)
{
    mr_error error;
    const mr_inspect_request inspect = {.task_binary = mr_rest_config_of(request->rest)->task_binary,
                                        .kind = kind,
                                        .config = config,
                                        .deadline_ms = MR_LOOK_DEADLINE_MS + KILL_AFTER_MS,
                                        .memory_bytes = CHILD_MEMORY_BYTES,
                                        .wanted = client_is_there,
                                        .wanted_arg = request,
                                        .on_gone = on_gone,
                                        .gone_arg = request->rest};
    if (!mr_rest_may_inspect(request->rest)) {
        mr_request_error(request, 503, "too many queries run already; try again");
        return;
    }
    look *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mr_request_error(request, 500, "out of memory");
        return;
    }
    *self = (look){.request = request, .shape = shape, .at_line_start = true};
    request->state = self;
    request->end_state = end_look;
    if (mr_inspect_child_open(mr_rest_loop(request->rest), &inspect, &self->child, &error) != MR_OK) {
        mr_request_fail(request, &error);
        return;
    }
    mr_rest_inspecting(request->rest, 1);
    mr_request_suspend(request);
    mr_inspect_child_wait(self->child, read_head, self);
}
