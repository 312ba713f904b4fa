#include "core/backoff.h"

#include <time.h>
#include <unistd.h>

/* xorshift64 (Marsaglia 2003): spread matters here, quality does not. */
static uint64_t next_random(mr_backoff *self)
{
    if (self->random == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        self->random = ((uint64_t)now.tv_nsec << 20) ^ ((uint64_t)getpid() << 1) ^ 1;
    }
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

int mr_backoff_next_ms(mr_backoff *self)
{
    uint64_t wait = MR_BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < self->failures && wait < MR_BACKOFF_CAP_MS; i++)
        wait *= 2;
    if (wait > MR_BACKOFF_CAP_MS)
        wait = MR_BACKOFF_CAP_MS;
    if (self->failures < UINT32_MAX)
        self->failures++;
    return (int)(wait / 2 + next_random(self) % (wait / 2 + 1));
}

void mr_backoff_reset(mr_backoff *self)
{
    self->failures = 0;
}
