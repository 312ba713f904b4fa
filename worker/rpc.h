/* rpc.h - requests to the coordinator and its replies (R7).
 *
 * Two channels, so that a parked watch does not hold back a report; one request is under way on each. nng
 * sends a request again whenever the connection comes back, and a new one replaces it. Threads: nng's only
 * hand over to the loop; all functions and events belong to the loop's thread.
 */
#ifndef MR_WORKER_RPC_H
#define MR_WORKER_RPC_H

#include "proto/messages.h"

#include <uv.h>

typedef enum rpc_channel { RPC_REPORT, RPC_WATCH, RPC_CHANNELS } rpc_channel;

typedef struct rpc rpc;

typedef struct rpc_events {
    /* The answer; the receiver owns it. The channel is free. */
    void (*replied)(void *arg, rpc_channel channel, Mr__Proto__Reply *reply);
    /* MR_ETIMEDOUT: no answer in time; MR_EPROTOCOL, MR_ETOOLARGE: an answer nobody understands. The channel
     * is free. */
    void (*failed)(void *arg, rpc_channel channel, const mr_error *error);
} rpc_events;

/* Begins to connect and goes on trying (each 20 to 500 ms). `url` is nng's: ipc://PATH, tcp://HOST:PORT.
 * Borrows url and events. */
mr_err rpc_open(uv_loop_t *loop, const char *url, const rpc_events *events, void *arg, rpc **ret_rpc,
                mr_error *ret_error);
/* No event comes any more. Memory is given back once the loop has run again; the connection is left to the
 * end of the process, because nng 1.5 may wait for ever when a socket is closed (its issue 1543). */
void rpc_close(rpc **r);

/* Connects anew, beside what goes on. nng 1.5 may give up a connection for good when the other side dies
 * while it is being made: call this, rarely, while nobody answers. */
void rpc_redial(rpc *r);

bool rpc_busy(const rpc *r, rpc_channel channel);
/* The channel must be free. Failing leaves it free. */
mr_err rpc_send(rpc *r, rpc_channel channel, const Mr__Proto__Request *request, int timeout_ms,
                mr_error *ret_error);

#endif
