/* rest_route.h - which handler answers which method and path. The table is in rest_routes.c. */
#ifndef MR_COORDINATOR_REST_ROUTE_H
#define MR_COORDINATOR_REST_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

struct mr_request;

enum { MR_ROUTE_PARAMETERS = 3, MR_ROUTE_PARAMETER_BYTES = 256 };

/* What happens to a body while it arrives. */
typedef struct mr_rest_body {
    /* Optional: the headers are there; may answer already. */
    void (*begin)(struct mr_request *request);
    /* The next bytes; may answer: the rest is then dropped. */
    void (*data)(struct mr_request *request, const char *data, size_t size);
} mr_rest_body;

typedef struct mr_route {
    const char *method;       /* NULL ends the table */
    const char *pattern;      /* "/tenants/{tenant}/runs/{run}" */
    const char *const *query; /* names of query arguments, NULL-terminated; NULL: none */
    const mr_rest_body *body; /* NULL: a body is dropped */
    /* The whole request has arrived and is not answered yet: answers, or suspends the connection. */
    void (*handle)(struct mr_request *request);
    const char *summary;
} mr_route;

extern const mr_route mr_routes[];

/* What stood in the path for {...}, in their order. */
typedef struct mr_route_match {
    const mr_route *route; /* NULL: `allowed` is empty: no such path; else the method is wrong */
    char parameters[MR_ROUTE_PARAMETERS][MR_ROUTE_PARAMETER_BYTES];
    char allowed[64]; /* "GET, PUT" */
} mr_route_match;

/* HEAD is answered as GET. A parameter is not empty. */
void mr_route_find(const mr_route *routes, const char *method, const char *path, mr_route_match *ret_match);

#endif
