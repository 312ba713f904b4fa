/* task_process.h - one process of a task, and the packets between it and the worker.
 *
 * The process leads a session of its own, has its control socket at descriptor 3 (MILLRACE_CONTROL_FD),
 * /dev/null as standard input, the worker's standard error as output and error, and nothing else open. It is
 * a child of the worker; who waits for children tells its exit. Thread: the loop's.
 */
#ifndef MR_WORKER_TASK_PROCESS_H
#define MR_WORKER_TASK_PROCESS_H

#include "proto/messages.h"

#include <uv.h>

typedef struct task_process task_process;

typedef struct task_process_events {
    /* A packet came; the receiver owns it. */
    void (*said)(void *arg, Mr__Proto__TaskToWorker *packet);
    /* The task sent what it must not. No more packets are read. */
    void (*broken)(void *arg, const mr_error *error);
    /* The task closed its socket: it is ending. */
    void (*hung_up)(void *arg);
} task_process_events;

/* Starts `binary`. Borrows events. MR_ENOTFOUND and MR_EREFUSED (not executable) are of class config. */
mr_err task_process_open(uv_loop_t *loop, const char *binary, const task_process_events *events, void *arg,
                         task_process **ret_process, mr_error *ret_error);
/* Closes the socket, at which a living task ends at once. No event comes after it. */
void task_process_close(task_process **p);

int task_process_pid(const task_process *p);

/* Never blocks: what the socket does not take is sent when it does, the latest assignment only. MR_ETOOLARGE:
 * the assignment does not fit into a packet. */
mr_err task_process_assign(task_process *p, const Mr__Proto__Assignment *assignment, mr_error *ret_error);
void task_process_stop(task_process *p);
void task_process_kill(task_process *p); /* SIGKILL to the task and its process group */

/* Reads what is there; before an exit is judged by the last word. Events come as usual. */
void task_process_drain(task_process *p);

#endif
