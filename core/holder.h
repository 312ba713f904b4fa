/* holder.h - who holds a file's write lock, so that a frozen predecessor can be removed (R2).
 *
 * A process stopped (SIGSTOP) inside a SQLite write transaction blocks every other writer until it is gone.
 * Beside the database FILE lies FILE.holder; who has begun a write transaction says so in it, and clears it
 * before the lock is let go. Who then waits for the lock may kill the holder if that is an older epoch of the
 * same connector task on this machine: pid and start time must both match (a pid is used again), checked
 * through a pidfd.
 *
 * COMMIT holds the lock while it waits for the disk, where a process is most likely to be frozen: who never
 * clears its record stays removable there. A record that outlives its transaction names, to a newer epoch of
 * the same task, only a process that may not write any more.
 */
#ifndef MR_CORE_HOLDER_H
#define MR_CORE_HOLDER_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mr_holder mr_holder;

/* `identity` is tenant/connector/task; `epoch` ours. Creates the file (0600) when missing. */
mr_err mr_holder_open(const char *database_path, const char *identity, int64_t epoch, mr_holder **ret_holder,
                      mr_error *ret_error);
void mr_holder_close(mr_holder **holder);

void mr_holder_enter(mr_holder *holder); /* right after BEGIN IMMEDIATE succeeded */
void mr_holder_leave(mr_holder *holder); /* right before COMMIT or ROLLBACK lets the lock go */

/* Called while waiting for the lock: kills the process that holds it if it is an older epoch of our identity;
 * says whether it did. */
bool mr_holder_evict(mr_holder *holder);

/* Who said last that it holds the lock of that database, for messages: "tenant/connector/0, epoch 3, pid
 * 4711,". False when nobody did or that process is gone. */
bool mr_holder_name(const char *database_path, char *ret_name, size_t size);

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or 0 when it is gone. */
uint64_t mr_process_start_time(int pid);

#endif
