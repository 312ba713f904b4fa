/* process_tree.h - all that descends from this process.
 *
 * As a subreaper the process inherits what its children leave behind, so its descendants are all that a
 * program has ever started, detached ones included.
 */
#ifndef MR_TASK_PROCESS_TREE_H
#define MR_TASK_PROCESS_TREE_H

#include "core/error.h"

mr_err process_tree_adopt(mr_error *ret_error); /* becomes a subreaper */

/* How many descendants there are now. Thread: any. */
int process_tree_count(void);
/* Kills every descendant (core/process_end.h); returns how many there were. Thread: any. */
int process_tree_kill(void);
/* Kills and reaps until there is none. MR_ETIMEDOUT when one does not die within timeout_ms. */
mr_err process_tree_end(int timeout_ms, int *ret_killed, mr_error *ret_error);

#endif
