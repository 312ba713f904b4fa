/* rest.h - the REST API (docs/rest.md): libmicrohttpd inside the libuv loop.
 *
 * Thread: the loop's. A request that waits for the disk or for a child suspends its connection; nothing here
 * blocks the loop beyond a write to the page cache.
 */
#ifndef MR_COORDINATOR_REST_H
#define MR_COORDINATOR_REST_H

#include "coordinator/rest_connections.h"
#include "coordinator/service.h"

#include <uv.h>

typedef struct mr_rest mr_rest;

/* Borrowed until mr_rest_close. */
typedef struct mr_rest_config {
    const char *listen;      /* "127.0.0.1:8083", "[::1]:0", "localhost:8083"; port 0: any free one */
    bool insecure;           /* an address other than loopback is allowed */
    const char *task_binary; /* path of millrace-task, for --inspect */
    mr_connection_limits connections;
} mr_rest_config;

/* Listens. MR_EINVALID: the address; MR_EREFUSED: not loopback; MR_EIO: it is taken. */
mr_err mr_rest_open(uv_loop_t *loop, const mr_rest_config *config, mr_service *service, mr_rest **ret_rest,
                    mr_error *ret_error);
/* Ends all connections and inspecting children, and closes its handles: memory is freed when the loop has run
 * on until they are closed. NULL-safe. */
void mr_rest_close(mr_rest **rest);

int mr_rest_port(const mr_rest *rest);

#endif
