/* clock.h - the two times a task needs. */
#ifndef MR_TASK_CLOCK_H
#define MR_TASK_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);     /* monotonic: for waits */
int64_t clock_utc_ms(void); /* since 1970: for records */

#endif
