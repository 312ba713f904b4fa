/* drive.h - what drives the service: reports of workers, connections, time. The loop (main.c, rpc.c) calls it
 * with real ones; a simulation with invented ones.
 *
 * Thread: the loop thread only. After every call the caller runs mr_service_reconcile.
 */
#ifndef MR_COORDINATOR_DRIVE_H
#define MR_COORDINATOR_DRIVE_H

#include "coordinator/service.h"
#include "proto/messages.h"

/* A report that was unpacked and checked. Fills `ret_ack` with what is durable (free with mr_ack_fini).
 * MR_EREFUSED: the incarnation was replaced by a newer one. *ret_new: first word of this incarnation. */
typedef struct mr_ack {
    Mr__Proto__Ack ack;
    size_t capacity;
} mr_ack;
mr_err mr_service_report(mr_service *service, const Mr__Proto__Report *report, mr_ack *ret_ack, bool *ret_new,
                         mr_error *ret_error);
void mr_ack_fini(mr_ack *ack);

/* Something else of that incarnation arrived: it is connected. */
void mr_service_heard(mr_service *service, const char *incarnation);
/* Its connection broke (R8: 300 ms to come back). */
void mr_service_disconnected(mr_service *service, const char *incarnation);
/* Its process is known to be dead. */
void mr_service_died(mr_service *service, const char *incarnation);

/* Version of what should run on that incarnation; 0: unknown incarnation. */
uint64_t mr_service_desired_version(mr_service *service, const char *incarnation);
/* All that should run there, packed as a Reply. */
mr_err mr_service_desired(mr_service *service, const char *incarnation, mr_buf *out, mr_error *ret_error);

/* Does all that is due at the service's time: schedules, steps of runs, placement, liveness, upkeep. Returns
 * when it wants to be called again at the latest. Errors (a full disk) are logged, and tried again. */
int64_t mr_service_reconcile(mr_service *service);
/* Whether something happened that the last reconcile has not seen. */
bool mr_service_pending(const mr_service *service);
/* Whether something was discarded since the last call: then run mr_service_sweep on a pool thread. */
bool mr_service_wants_sweep(mr_service *service);
void mr_service_sweep(mr_service *service); /* thread: any, one at a time; blocks */

/* Pid and start time of a local worker's process, for a pidfd; false when it is not on this machine. */
bool mr_service_worker_pid(mr_service *service, const char *incarnation, const char *boot_id, int *ret_pid,
                           uint64_t *ret_start_time);
const char *mr_service_staging_id(const mr_service *service);

#endif
