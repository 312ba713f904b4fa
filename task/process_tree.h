/* process_tree.h - all that descends from this process.
 *
 * As a subreaper the process inherits what its children leave behind, so its descendants are all that a
 * program has ever started, detached ones included.
 */
#ifndef MR_TASK_PROCESS_TREE_H
#define MR_TASK_PROCESS_TREE_H

#include "core/error.h"

mr_err process_tree_adopt(mr_error *ret_error); /* becomes a subreaper */

/* Sends SIGKILL to every descendant there is now; returns how many there are. Thread: any. */
int process_tree_kill(void);
/* Kills and reaps until there is none. MR_ETIMEDOUT when one does not die within timeout_ms. */
mr_err process_tree_end(int timeout_ms, mr_error *ret_error);

#endif
