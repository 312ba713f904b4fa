/* rest_server.h - what requests need of the server they belong to. Inside REST only. */
#ifndef MR_COORDINATOR_REST_SERVER_H
#define MR_COORDINATOR_REST_SERVER_H

#include "coordinator/rest_request.h"

uv_loop_t *mr_rest_loop(const mr_rest *rest);
const mr_rest_config *mr_rest_config_of(const mr_rest *rest);
void mr_rest_set_now(mr_rest *rest); /* tells the service the time, before it is called */
void mr_rest_kick(mr_rest *rest);    /* libmicrohttpd has something to do although no descriptor says so */
void mr_rest_working(mr_rest *rest, int change);
void mr_rest_suspended(mr_rest *rest, mr_request *request, bool suspended);

/* Inspecting children that run now: a bound for all requests together. */
bool mr_rest_may_inspect(mr_rest *rest);
void mr_rest_inspecting(mr_rest *rest, int change);

void mr_request_free(mr_request *request);

#endif
