/* control.h - the thread that listens to the worker.
 *
 * It reads packets from the SOCK_SEQPACKET pair, keeps the latest assignment and whether to stop, wakes the
 * loop, and sends statuses without ever making the loop wait. At the end of the socket the worker is dead:
 * the process exits at once, without committing. By hand (fd -1) there is no worker; SIGTERM and SIGINT mean
 * stop. Thread: the loop's, except where it says otherwise.
 */
#ifndef MR_TASK_CONTROL_H
#define MR_TASK_CONTROL_H

#include "task/status.h"

typedef struct control control;

/* Blocks SIGTERM, SIGINT and SIGPIPE in the calling thread, so call it before any other thread exists.
 * Borrows status. */
mr_err control_open(int fd, status *status, control **ret_control, mr_error *ret_error);
/* Sends the last status (waits up to 2 s for a slow worker) and ends the thread. */
void control_close(control **control);

bool control_by_hand(const control *control);
bool control_stopping(control *control);

/* The assignment that came since the last call, or NULL; the caller's to close. */
Mr__Proto__Assignment *control_take(control *control);
bool control_has_assignment(control *control);

/* Waits until something came (stop, an assignment) or timeout_ms passed (-1: for ever). */
void control_wait(control *control, int timeout_ms);

/* Called by the control thread when something comes, to end a wait of the loop elsewhere; NULL: nobody. When
 * this returns, the former one is not running any more. */
void control_on_news(control *control, void (*wake)(void *arg), void *arg);
/* Called by the control thread right before it ends the process because the worker is gone. Async. */
void control_on_orphaned(control *control, void (*fn)(void *arg), void *arg);

#endif
