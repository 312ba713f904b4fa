/* backoff.h - how long to wait before the next try: growing, capped, with jitter (R9). */
#ifndef MR_CORE_BACKOFF_H
#define MR_CORE_BACKOFF_H

#include <stdint.h>

/* {0} is the start. */
typedef struct mr_backoff {
    uint32_t failures;
    uint64_t random; /* state of the jitter; seeded at the first use */
} mr_backoff;

enum { MR_BACKOFF_FIRST_MS = 100, MR_BACKOFF_CAP_MS = 30000 };

/* The wait before the next try: doubles with each call from MR_BACKOFF_FIRST_MS up to MR_BACKOFF_CAP_MS;
 * between half of that and all of it, so that many tasks do not come back at once. */
int mr_backoff_next_ms(mr_backoff *backoff);
void mr_backoff_reset(mr_backoff *backoff); /* something went well */

#endif
