/* inspect_child.h - a look at bus or store in a process of its own: `millrace-task --inspect KIND`.
 *
 * The coordinator never opens bus or store itself. The child is read-only, has a deadline and a memory limit,
 * and writes lines of JSON; its pipe is read only as fast as the client takes them, so it is held back in
 * turn. Thread: the loop's.
 */
#ifndef MR_COORDINATOR_INSPECT_CHILD_H
#define MR_COORDINATOR_INSPECT_CHILD_H

#include "core/props.h"

#include <uv.h>

typedef struct mr_inspect_child mr_inspect_child;

typedef struct mr_inspect_request {
    const char *task_binary;
    const char *kind; /* "query", "rejected" */
    const mr_props
        *config; /* given to the child through an inherited descriptor: nothing of it is seen in `ps` */
    int64_t deadline_ms;
    size_t memory_bytes;        /* of data (RLIMIT_DATA) */
    bool (*wanted)(void *arg);  /* asked twice a second; false ends the child */
    void *wanted_arg;           /* valid until close */
    void (*on_gone)(void *arg); /* after close: process and handles are gone */
    void *gone_arg;
} mr_inspect_request;

mr_err mr_inspect_child_open(uv_loop_t *loop, const mr_inspect_request *request, mr_inspect_child **ret_child,
                             mr_error *ret_error);
/* Its output, not blocking: read it until 0. */
int mr_inspect_child_fd(const mr_inspect_child *child);
/* Calls fn once, when the output can be read or has ended. */
void mr_inspect_child_wait(mr_inspect_child *child, void (*fn)(void *arg), void *arg);
/* Calls fn once, when it has exited; at once when it already has. */
void mr_inspect_child_wait_exit(mr_inspect_child *child, void (*fn)(void *arg), void *arg);
bool mr_inspect_child_exited(const mr_inspect_child *child);
/* After that: whether it exited with 0. */
bool mr_inspect_child_succeeded(const mr_inspect_child *child);
/* Whether it was killed because its time was over. */
bool mr_inspect_child_late(const mr_inspect_child *child);
/* Kills it if it still runs; memory is freed when it is reaped. NULL-safe. */
void mr_inspect_child_close(mr_inspect_child **child);

#endif
