/* scope.h - which part of a topic a sink may deliver (SinkScope of millrace.proto). A scope of NULL allows
 * all. */
#ifndef MR_TASK_SCOPE_H
#define MR_TASK_SCOPE_H

#include "proto/messages.h"

#include <stdbool.h>

/* First offset of the partition that may not be delivered yet; INT64_MAX: no ceiling. */
int64_t scope_ceiling(const Mr__Proto__SinkScope *scope, int32_t partition);
/* Whether the record is to be passed over and counted as abandoned. */
bool scope_skips(const Mr__Proto__SinkScope *scope, int32_t partition, int64_t offset);
/* Where a sink without a position starts, or -1: at the first record that is stored. */
int64_t scope_start(const Mr__Proto__SinkScope *scope, int32_t partition);
/* Runs below it are final. */
int64_t scope_oldest_open_run(const Mr__Proto__SinkScope *scope);

#endif
