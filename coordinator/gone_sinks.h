/* gone_sinks.h - sinks that were removed: kept on record until a task has unregistered them on the bus,
 * because retention waits for every sink that is registered there. */
#ifndef MR_COORDINATOR_GONE_SINKS_H
#define MR_COORDINATOR_GONE_SINKS_H

#include "coordinator/task_config.h"

/* Within a command: the sink was removed. What it has not delivered is abandoned. */
void mr_sink_gone(mr_db *db, const char *uid, const char *dataset, const char *sink);
/* Within a command: its dataset was removed. The topic goes at due_ms, when all in it is old. */
void mr_sink_gone_with_topic(mr_db *db, const char *uid, const char *dataset, const char *sink,
                             int64_t due_ms);
/* Within a command: dataset and sink are there (again); what is still on record of the dataset's other sinks
 * leaves the topic alone. */
void mr_sink_there(mr_db *db, const char *uid, const char *dataset, const char *sink);

/* Wants a task for each that is due, whose last task has ended, and for which no run produces any more. */
mr_err mr_plan_gone_sinks(mr_service *service, const mr_tenant *tenant, mr_task_config *config,
                          mr_error *ret_error);
/* Within a command: its task has ended. The ledger of its runs is final. */
void mr_sink_released(mr_db *db, const char *uid, const char *dataset, const char *sink);

#endif
