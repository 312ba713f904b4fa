/* retain.h - removes what is old from a topic and its dead letters. */
#ifndef MR_TASK_RETAIN_H
#define MR_TASK_RETAIN_H

#include "task/assignment.h"

/* Records older than the assignment's `retention.ms`, at most `slices` of them from each topic; the key is
 * absent: none. A topic that fails does not keep the other from being tried; the last failure is returned. */
mr_err retain_topics(const assignment *work, mr_bus *bus, int slices, mr_error *ret_error);

#endif
