/* status.h - what a task says about itself: written by its loop, read by the control thread.
 *
 * A status is observation, never a decision: only the latest counts, and one that is overwritten before it
 * was sent is no loss. Thread: any.
 */
#ifndef MR_TASK_STATUS_H
#define MR_TASK_STATUS_H

#include "proto/ids.h"
#include "proto/messages.h"

typedef struct status status;

mr_err status_open(status **ret_status, mr_error *ret_error);
void status_close(status **status);

/* Who speaks; kind, id, epoch and revision of the assignment in force. Copies. */
void status_identify(status *status, Mr__Proto__TaskKind kind, const char *tenant, const char *connector,
                     int32_t task, int64_t epoch, uint64_t revision);
void status_stall_after(status *status, int64_t stall_ms); /* 0: never */

void status_state(status *status, Mr__Proto__TaskState state);
void status_step(status *status, const char *step);         /* a literal */
void status_failure(status *status, const mr_error *error); /* NULL: all is well */
void status_stored_epoch(status *status, int64_t epoch);

/* Something moved: what STALLED is measured from. */
void status_moved(status *status);
/* Whether there is work; without work nothing stalls. */
void status_work(status *status, bool work);

/* Deep copies. When memory is short the former progress stays. */
void status_source(status *status, const Mr__Proto__SourceProgress *progress);
void status_sink(status *status, const Mr__Proto__SinkProgress *progress);
void status_program(status *status, const Mr__Proto__ProgramProgress *progress);

/* The control thread's side. Grows with every change; `urgent` with those of state and failure. */
uint64_t status_version(status *status, uint64_t *ret_urgent);
/* Judges STALLED, which counts as an urgent change; to be called now and then. */
void status_judge(status *status);
/* Appends the packed TaskToWorker. */
mr_err status_pack(status *status, mr_buf *out, mr_error *ret_error);

#endif
