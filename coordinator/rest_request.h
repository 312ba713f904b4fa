/* rest_request.h - one HTTP request, as handlers see it.
 *
 * A handler answers exactly once, at once or, after mr_request_suspend, later. Thread: the loop's.
 */
#ifndef MR_COORDINATOR_REST_REQUEST_H
#define MR_COORDINATOR_REST_REQUEST_H

#include "coordinator/rest.h"
#include "coordinator/rest_guard.h"
#include "coordinator/rest_route.h"

#include <microhttpd.h>

typedef struct mr_request {
    mr_rest *rest;
    mr_service *service;
    struct MHD_Connection *connection;
    mr_connection *link; /* what rest_connections.h knows of it */
    mr_route_match match;
    const char *who;       /* what the client says of itself, or NULL */
    char from[48];         /* its address */
    const char *tenant;    /* the first path parameter, or "" */
    int64_t declared_size; /* Content-Length, or -1 */
    int64_t received;      /* bytes of the body so far */
    int64_t drop_limit;    /* bytes of body that may come after all; beyond it the connection is cut */

    void *state; /* the handler's, from its first call to the end */
    void (*end_state)(struct mr_request *request);
    mr_buf body; /* of mr_body_collect */

    char title[300]; /* "GET /tenants", for logs */
    struct MHD_Response *response;
    unsigned int status;
    bool handled, suspended, working, gone;
    void (*work)(struct mr_request *request);       /* on a pool thread */
    void (*after_work)(struct mr_request *request); /* on the loop */
    uv_work_t work_handle;
    struct mr_request *next_suspended;
} mr_request;

/* The whole body in request->body; at most 1 MiB, else 413. */
extern const mr_rest_body mr_body_collect;

/* --- what was asked --- */

/* NULL when absent. An argument or header that holds a NUL counts as absent. */
const char *mr_request_query(const mr_request *request, const char *name);
const char *mr_request_header(const mr_request *request, const char *name);
/* "true", "false" or, for `?purge` alone, true; false when absent. Another value answers 400 and gives false
 * in *ret_ok. */
bool mr_request_flag(mr_request *request, const char *name, bool *ret_ok);
/* A number within the bounds, `otherwise` when absent; else answers 400 and clears *ret_ok. */
int64_t mr_request_number(mr_request *request, const char *name, int64_t minimum, int64_t maximum,
                          int64_t otherwise, bool *ret_ok);
/* A time in UTC, "2026-03-01T12:00:00Z", in milliseconds; 0 when it is not given. Wrong: answers 400. */
int64_t mr_request_time(mr_request *request, const char *name, bool *ret_ok);
/* The Idempotency-Key, or NULL; answers 400 and clears *ret_ok when it is longer than 200 bytes, or not
 * visible ASCII. */
const char *mr_request_key(mr_request *request, bool *ret_ok);

/* Fills in who and from; answers 400 and is false when the client's name cannot be taken. rest_audit.c */
bool mr_request_identify(mr_request *request);
/* Calls fn as the client: what it changes is told so in the audit trail. */
void mr_request_act(mr_request *request, void (*fn)(mr_request *));

/* --- answers --- */

void mr_request_json(mr_request *request, unsigned int status, json_t *body); /* takes the body */
/* {"error_code":status,"message":text}, as Kafka Connect does. */
void mr_request_error(mr_request *request, unsigned int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As error, with the status that belongs to the code (service.h). */
void mr_request_fail(mr_request *request, const mr_error *error);
/* `status` with the view, or the error. Takes the view. */
void mr_request_view(mr_request *request, unsigned int status, mr_err err, json_t *view,
                     const mr_error *error);
void mr_request_respond(mr_request *request, unsigned int status,
                        struct MHD_Response *response); /* takes it */

/* --- waiting --- */

void mr_request_suspend(mr_request *request);
/* Goes on after suspend; by then the request is answered (or its response has more to give). */
void mr_request_resume(mr_request *request);
/* Runs `work` on a pool thread, then `after_work` here; the connection is suspended meanwhile. */
void mr_request_work(mr_request *request, void (*work)(mr_request *), void (*after_work)(mr_request *));

#endif
