/* rest_look.h - answers a request with the output of `millrace-task --inspect` (inspect_child.h). Inside REST
 * only. */
#ifndef MR_COORDINATOR_REST_LOOK_H
#define MR_COORDINATOR_REST_LOOK_H

#include "coordinator/rest_request.h"

enum { MR_LOOK_DEADLINE_MS = 300 * 1000 };

typedef enum mr_look_shape {
    MR_LOOK_LINES, /* as they are: a query's columns, rows and last line */
    MR_LOOK_ARRAY, /* the lines as elements of one JSON array */
    MR_LOOK_CSV,   /* as it is: a file */
    MR_LOOK_ONE,   /* the first line, whose "offset" must be the third path parameter; else 404 */
} mr_look_shape;

/* Takes the request over: answers or suspends it. */
void mr_look_at(mr_request *request, mr_look_shape shape, const char *kind, const mr_props *config);

#endif
