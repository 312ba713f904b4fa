/* backoff.h - how long to wait before the next try: growing, capped, with jitter (R9). */
#ifndef MR_TASK_BACKOFF_H
#define MR_TASK_BACKOFF_H

#include <stdint.h>

/* {0} is the start. */
typedef struct backoff {
    uint32_t failures;
    uint64_t random; /* state of the jitter; seeded at the first use */
} backoff;

enum { BACKOFF_FIRST_MS = 100, BACKOFF_CAP_MS = 30000 };

/* The wait before the next try: doubles with each call from BACKOFF_FIRST_MS up to BACKOFF_CAP_MS; between
 * half of that and all of it, so that many tasks do not come back at once. */
int backoff_next_ms(backoff *backoff);
void backoff_reset(backoff *backoff); /* something went well */

#endif
