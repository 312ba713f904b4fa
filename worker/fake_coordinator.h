/* fake_coordinator.h - the other side of a worker, for tests: takes reports, gives out what the test says. */
#ifndef MR_WORKER_FAKE_COORDINATOR_H
#define MR_WORKER_FAKE_COORDINATOR_H

#include "proto/messages.h"

typedef struct fake_coordinator fake_coordinator;

fake_coordinator *fake_open(const char *url);
void fake_close(fake_coordinator **f);

/* One task of tenant client_a in the assignments from now on, beside those of other connectors. */
void fake_assign(fake_coordinator *f, const char *connector, Mr__Proto__TaskKind kind, int64_t epoch,
                 uint64_t revision, const char *behave, const char *pid_file, uint64_t memory_limit_bytes);
void fake_unassign(fake_coordinator *f, const char *connector);
void fake_acknowledge(fake_coordinator *f, bool on); /* of ended tasks; off at first */
void fake_refuse_once(fake_coordinator *f, const char *reason);
/* The next report is answered with these bytes. They are borrowed. */
void fake_answer_once(fake_coordinator *f, mr_slice bytes);

/* Waits until a report shows the task in this state, at most 10 s; NULL: it did not. The caller's to close.
 */
Mr__Proto__TaskStatus *fake_wait(fake_coordinator *f, const char *connector, Mr__Proto__TaskState state);
/* Waits until a report does not show the task. */
bool fake_wait_gone(fake_coordinator *f, const char *connector);
/* Waits for a report of another incarnation than this one (empty: of any) and writes it there. */
bool fake_wait_incarnation(fake_coordinator *f, char incarnation[static 64]);
/* Waits for `count` more reports; false when they do not come. */
bool fake_wait_reports(fake_coordinator *f, int count);
bool fake_wait_leaving(fake_coordinator *f);

#endif
