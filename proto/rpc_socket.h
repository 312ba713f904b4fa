/* rpc_socket.h - what both ends of the RPC need of an nng socket.
 *
 * Linking it replaces sendmsg() in this process: a broken pipe reads ECONNRESET. nng 1.5 takes EPIPE for the
 * closing of its own end, so that a peer which leaves during its handshake would end an ipc:// listener, or
 * dialer, for good: later connections would be accepted and never served.
 */
#ifndef MR_PROTO_RPC_SOCKET_H
#define MR_PROTO_RPC_SOCKET_H

#include <nng/nng.h>

/* Bounds messages to MR_RPC_MAX_BYTES. Call it before listening or dialling. nng's error, or 0. */
int mr_rpc_socket_init(nng_socket socket);

#endif
