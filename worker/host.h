/* host.h - what a worker tells about the machine it is on. */
#ifndef MR_WORKER_HOST_H
#define MR_WORKER_HOST_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { HOST_ID_BYTES = 64 };

/* The kernel's boot id: the same for all processes until the machine starts again. */
mr_err host_boot_id(char out[static HOST_ID_BYTES], mr_error *ret_error);
uint32_t host_cpu_millis(void);   /* of the processors this process may use */
uint64_t host_memory_bytes(void); /* in total */
/* 32 random hexadecimal digits. */
mr_err host_random_id(char out[static HOST_ID_BYTES], mr_error *ret_error);
/* The id in STAGING_DIR/.staging-id. MR_ENOTFOUND until the coordinator has made it. */
mr_err host_staging_id(const char *staging_dir, char out[static HOST_ID_BYTES], mr_error *ret_error);

#endif
