/* process_end.h - ends trees of processes for certain, also one that forks without end.
 *
 * To kill what a look at /proc shows is not enough: what was started since then goes on. So a look stops each
 * process the moment it is read; pids grow, so it catches up with the newest; and looks follow each other
 * until one finds nothing that still runs. Then all are killed.
 */
#ifndef MR_CORE_PROCESS_END_H
#define MR_CORE_PROCESS_END_H

#include "core/process_table.h"

typedef bool (*mr_process_root)(void *arg, const mr_process_table *table, const mr_process_info *process);

/* Kills the processes that `is_root` picks and all that descend from them, but never the caller. Returns how
 * many there were. `table` is what it works with, and holds the last look afterwards. */
size_t mr_process_trees_kill(mr_process_table *table, mr_process_root is_root, void *arg);

#endif
