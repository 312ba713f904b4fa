/* worker.h - one worker from start to end: the loop, and the order in which things begin and leave. */
#ifndef MR_WORKER_WORKER_H
#define MR_WORKER_WORKER_H

#include "worker/config.h"

/* Runs until SIGTERM or SIGINT; then tasks are told to stop, and it returns after at most 10 s (a second
 * signal: at once). No task is left when it returns. Call once, before other threads exist. */
mr_err worker_run(const worker_config *config, mr_error *ret_error);

#endif
