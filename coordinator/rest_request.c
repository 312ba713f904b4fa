#include "coordinator/rest_request.h"

#include "coordinator/calendar.h"
#include "coordinator/rest_server.h"
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_COLLECTED_BYTES = 1024 * 1024, MAX_KEY_BYTES = 200 };

/* --- what was asked --- */

static const char *lookup(const mr_request *request, enum MHD_ValueKind kind, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(request->connection, kind, name, strlen(name), &value, &size) !=
        MHD_YES)
        return NULL;
    if (value == NULL)
        return ""; /* "?purge" */
    return strlen(value) == size ? value : NULL;
}

const char *mr_request_query(const mr_request *request, const char *name)
{
    return lookup(request, MHD_GET_ARGUMENT_KIND, name);
}

const char *mr_request_header(const mr_request *request, const char *name)
{
    return lookup(request, MHD_HEADER_KIND, name);
}

bool mr_request_flag(mr_request *request, const char *name, bool *ret_ok)
{
    const char *text = mr_request_query(request, name);
    if (text == NULL || strcmp(text, "false") == 0)
        return false;
    if (*text == '\0' || strcmp(text, "true") == 0)
        return true;
    mr_request_error(request, 400, "query argument \"%s\": true or false is expected", name);
    *ret_ok = false;
    return false;
}

int64_t mr_request_number(mr_request *request, const char *name, int64_t minimum, int64_t maximum,
                          int64_t otherwise, bool *ret_ok)
{
    const char *text = mr_request_query(request, name);
    if (text == NULL)
        return otherwise;
    char *end;
    errno = 0;
    const int64_t number = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && number >= minimum && number <= maximum)
        return number;
    mr_request_error(request, 400, "query argument \"%s\": a number from %lld to %lld is expected", name,
                     (long long)minimum, (long long)maximum);
    *ret_ok = false;
    return otherwise;
}

/* Fixed digits, as in "04". */
static bool read_digits(const char **at, size_t count, int *ret_number)
{
    *ret_number = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *ret_number = *ret_number * 10 + (**at - '0');
    }
    return true;
}

static bool skip(const char **at, char c)
{
    return **at == c && *(*at)++ == c;
}

static bool read_time(const char *at, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second = 0, milli = 0;
    if (!read_digits(&at, 4, &year) || !skip(&at, '-') || !read_digits(&at, 2, &month) || !skip(&at, '-') ||
        !read_digits(&at, 2, &day) || !skip(&at, 'T') || !read_digits(&at, 2, &hour) || !skip(&at, ':') ||
        !read_digits(&at, 2, &minute))
        return false;
    if (skip(&at, ':') && (!read_digits(&at, 2, &second) || (skip(&at, '.') && !read_digits(&at, 3, &milli))))
        return false;
    if (strcmp(at, "Z") != 0 || year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 ||
        second > 59 || day < 1 || day > mr_date_of(mr_day_of(year, month, 1)).month_days)
        return false;
    *ret_ms = ((mr_day_of(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000 + milli;
    return true;
}

int64_t mr_request_time(mr_request *request, const char *name, bool *ret_ok)
{
    const char *text = mr_request_query(request, name);
    int64_t time_ms = 0;
    if (text != NULL && !read_time(text, &time_ms)) {
        mr_request_error(request, 400,
                         "query argument \"%s\": a time in UTC is expected, as in 2026-03-01T12:00:00Z",
                         name);
        *ret_ok = false;
    }
    return time_ms;
}

const char *mr_request_key(mr_request *request, bool *ret_ok)
{
    const char *key = mr_request_header(request, "Idempotency-Key");
    if (key == NULL || *key == '\0')
        return NULL;
    size_t size = 0;
    while (key[size] > ' ' && key[size] < 0x7f)
        size++;
    if (key[size] == '\0' && size <= MAX_KEY_BYTES)
        return key;
    mr_request_error(request, 400,
                     "header Idempotency-Key: at most %d characters of ASCII without blanks are taken",
                     MAX_KEY_BYTES);
    *ret_ok = false;
    return NULL;
}

void mr_request_act(mr_request *request, void (*fn)(mr_request *))
{
    mr_service_set_client(request->service, request->who, request->from);
    fn(request);
    mr_service_set_client(request->service, NULL, NULL);
}

/* --- answers --- */

void mr_request_respond(mr_request *request, unsigned int status, struct MHD_Response *response)
{
    if (response == NULL || request->response != NULL) {
        if (response != NULL)
            MHD_destroy_response(response);
        return; /* without an answer the connection is closed: memory is short */
    }
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    request->response = response;
    request->status = status;
}

void mr_request_json(mr_request *request, unsigned int status, json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(body);
    mr_buf line = {0};
    if (text != NULL && mr_buf_printf(&line, "%s\n", text) == MR_OK) {
        struct MHD_Response *response =
            MHD_create_response_from_buffer(line.size, line.data, MHD_RESPMEM_MUST_COPY);
        if (response != NULL)
            (void)MHD_add_response_header(response, "Content-Type", "application/json");
        mr_request_respond(request, status, response);
    }
    mr_buf_fini(&line);
    free(text);
}

void mr_request_error(mr_request *request, unsigned int status, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (status >= 500)
        mr_log(MR_ERROR, "request failed", MR_STR("request", request->title), MR_INT("status", status),
               MR_STR("error", text));
    /* What was cut within a character, or quoted from a request, need not be UTF-8. */
    json_t *message = json_string(text);
    for (char *c = text; message == NULL && *c != '\0'; c++)
        if ((*c & 0x80) != 0)
            *c = '?';
    if (message == NULL)
        message = json_string(text);
    mr_request_json(request, status, json_pack("{s:i, s:o}", "error_code", (int)status, "message", message));
}

static unsigned int status_of(mr_err code)
{
    switch (code) {
    case MR_EINVALID:
        return 400;
    case MR_ENOTFOUND:
        return 404;
    case MR_EREFUSED:
    case MR_EEXISTS:
        return 409;
    case MR_ETOOLARGE:
        return 413;
    case MR_ENOSPC:
        return 507;
    case MR_EUNAVAILABLE:
    case MR_EIO: /* a disk that fails, or cannot be written: the way back is not the client's */
        return 503;
    default:
        return 500;
    }
}

void mr_request_fail(mr_request *request, const mr_error *error)
{
    mr_request_error(request, status_of(error->code), "%s", error->text);
}

void mr_request_view(mr_request *request, unsigned int status, mr_err err, json_t *view,
                     const mr_error *error)
{
    if (err == MR_OK)
        mr_request_json(request, status, view);
    else
        mr_request_fail(request, error);
}

/* --- bodies --- */

static void collect(mr_request *request, const char *data, size_t size)
{
    if (request->body.size + size > MAX_COLLECTED_BYTES)
        mr_request_error(request, 413, "the body is larger than 1 MiB");
    else if (mr_buf_append(&request->body, data, size) != MR_OK)
        mr_request_error(request, 500, "out of memory");
}

static void begin_collect(mr_request *request)
{
    if (request->declared_size > MAX_COLLECTED_BYTES)
        mr_request_error(request, 413, "the body is larger than 1 MiB");
}

const mr_rest_body mr_body_collect = {.begin = begin_collect, .data = collect};

/* --- waiting --- */

void mr_request_suspend(mr_request *request)
{
    MHD_suspend_connection(request->connection);
    request->suspended = true;
    mr_rest_suspended(request->rest, request, true);
}

void mr_request_resume(mr_request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    mr_rest_suspended(request->rest, request, false);
    MHD_resume_connection(request->connection);
    mr_rest_kick(request->rest);
}

static void on_work(uv_work_t *handle)
{
    mr_request *request = handle->data;
    request->work(request);
}

static void on_after_work(uv_work_t *handle, int status)
{
    (void)status; /* never cancelled */
    mr_request *request = handle->data;
    request->working = false;
    mr_rest_working(request->rest, -1);
    if (request->gone) {
        mr_request_free(request);
        return;
    }
    mr_rest_set_now(request->rest);
    mr_request_act(request, request->after_work);
    mr_request_resume(request);
}

void mr_request_work(mr_request *request, void (*work)(mr_request *), void (*after_work)(mr_request *))
{
    request->work = work;
    request->after_work = after_work;
    request->work_handle.data = request;
    mr_request_suspend(request);
    request->working = true;
    mr_rest_working(request->rest, 1);
    (void)uv_queue_work(mr_rest_loop(request->rest), &request->work_handle, on_work, on_after_work);
}

void mr_request_free(mr_request *request)
{
    if (request->end_state != NULL)
        request->end_state(request);
    if (request->response != NULL)
        MHD_destroy_response(request->response);
    mr_buf_fini(&request->body);
    free(request);
}
