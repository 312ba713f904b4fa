/* rpc.h - where workers report and ask what should run (R7), on a raw nng REP socket.
 *
 * A report is answered at once. A watch is parked until the version of its incarnation's assignments is
 * another one, or WATCH_MS have passed; one parked watch per incarnation, a newer one replaces it. nng's
 * threads only hand messages to the loop; all else is on the loop's thread. Peers are hostile until their
 * message was unpacked and checked.
 */
#ifndef MR_COORDINATOR_RPC_H
#define MR_COORDINATOR_RPC_H

#include "coordinator/drive.h"

#include <uv.h>

typedef struct mr_rpc mr_rpc;

/* `url`: ipc://PATH (mode 0600, only this user's and root's processes) or tcp://HOST:PORT. */
mr_err mr_rpc_open(uv_loop_t *loop, const char *url, mr_service *service, mr_rpc **ret_rpc,
                   mr_error *ret_error);
/* Answers parked watches whose time has come; called after each reconcile. Returns when it wants to be called
 * again. */
int64_t mr_rpc_answer(mr_rpc *rpc, int64_t now_ms);
/* Stops; memory is given back once the loop has run on. NULL-safe. */
void mr_rpc_close(mr_rpc **rpc);

#endif
