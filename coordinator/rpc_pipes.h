/* rpc_pipes.h - the connections of workers: who is at the other end, and which must go when there are too
 * many. nng 1.5 bounds neither their number nor how long one may say nothing. Thread: any. `now_ms` is of one
 * clock. */
#ifndef MR_COORDINATOR_RPC_PIPES_H
#define MR_COORDINATOR_RPC_PIPES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MR_PIPES_MAX = 1024,      /* more are closed: first those that have said nothing yet, the oldest first */
    MR_PIPE_PEER_BYTES = 64,  /* "process 4711", "10.0.0.7" */
    MR_PIPE_SILENT_MS = 10000 /* without one whole message; then it is closed */
};

typedef struct mr_rpc_pipes mr_rpc_pipes;

mr_rpc_pipes *mr_rpc_pipes_open(void);         /* NULL: out of memory */
void mr_rpc_pipes_close(mr_rpc_pipes **pipes); /* NULL-safe */

/* false: there are far too many, it is not kept. */
bool mr_rpc_pipes_add(mr_rpc_pipes *pipes, uint32_t id, const char *peer, int64_t now_ms);
void mr_rpc_pipes_remove(mr_rpc_pipes *pipes, uint32_t id);
/* Copies who is at the other end; "" when the pipe is not known. */
void mr_rpc_pipes_peer(mr_rpc_pipes *pipes, uint32_t id, char out[static MR_PIPE_PEER_BYTES]);
/* It has said something of sense. */
void mr_rpc_pipes_heard(mr_rpc_pipes *pipes, uint32_t id, int64_t now_ms);

/* One that is to be closed, or 0; *ret_why says why. It is told once. */
uint32_t mr_rpc_pipes_unwanted(mr_rpc_pipes *pipes, int64_t now_ms, const char **ret_why);

#endif
