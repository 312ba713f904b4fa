/* rpc_queue.h - from nng's threads to the loop: messages and ends of connections, in order, bounded. */
#ifndef MR_COORDINATOR_RPC_QUEUE_H
#define MR_COORDINATOR_RPC_QUEUE_H

#include "coordinator/rpc_pipes.h"
#include "core/error.h"

#include <nng/nng.h>
#include <uv.h>

typedef struct mr_rpc_event {
    struct mr_rpc_event *next;
    nng_msg *message; /* owned; NULL: the connection has ended */
    uint32_t pipe;
} mr_rpc_event;

typedef struct mr_rpc_queue mr_rpc_queue;

/* Listens and receives; `ready` is sent when events wait. */
mr_err mr_rpc_queue_open(const char *url, uv_async_t *ready, mr_rpc_queue **ret_queue, mr_error *ret_error);
/* All events that wait, oldest first; the caller frees them (and their messages). Thread: the loop's. */
mr_rpc_event *mr_rpc_queue_take(mr_rpc_queue *queue);
/* The connections; borrowed. That of an end is to be removed when its event is handled. */
mr_rpc_pipes *mr_rpc_queue_pipes(mr_rpc_queue *queue);
/* Sends the body as the answer to the message whose header was kept. Thread: the loop's. Drops it when the
 * peer is gone or does not read: it asks again. */
void mr_rpc_queue_send(mr_rpc_queue *queue, const void *header, size_t header_size, const void *body,
                       size_t body_size);
/* No event comes any more. Waits for connections to end, but at most a second. */
void mr_rpc_queue_close(mr_rpc_queue **queue);

#endif
