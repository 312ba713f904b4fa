/* bell.h - how a reader learns that something was committed; private to bus/embedded.
 *
 * One descriptor that becomes readable when the bell file was touched, when mr_bus_wake was called, and each
 * second, so that a missed bell costs a second only. Where the system has no inotify instance left, the net
 * is drawn ten times a second instead.
 */
#ifndef MR_BUS_EMBEDDED_BELL_H
#define MR_BUS_EMBEDDED_BELL_H

#include "core/error.h"

#include <stdbool.h>

typedef struct embedded_bell {
    int epoll_fd, inotify_fd, wake_fd, timer_fd; /* -1: none */
} embedded_bell;

mr_err embedded_bell_open(embedded_bell *bell, const char *path, mr_error *ret_error);
void embedded_bell_close(embedded_bell *bell);

/* Takes in what has come, without waiting. True: somebody called wake. */
bool embedded_bell_drain(embedded_bell *bell);
void embedded_bell_wait(embedded_bell *bell, int timeout_ms);
void embedded_bell_wake(const embedded_bell *bell); /* thread: any; async-signal-safe */

#endif
