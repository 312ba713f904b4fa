#include "task/backoff.h"

#include "task/clock.h"

#include <unistd.h>

/* xorshift64 (Marsaglia 2003): spread matters here, quality does not. */
static uint64_t next_random(backoff *self)
{
    if (self->random == 0)
        self->random = ((uint64_t)clock_utc_ms() << 20) ^ ((uint64_t)getpid() << 1) ^ 1;
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

int backoff_next_ms(backoff *self)
{
    uint64_t wait = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < self->failures && wait < BACKOFF_CAP_MS; i++)
        wait *= 2;
    if (wait > BACKOFF_CAP_MS)
        wait = BACKOFF_CAP_MS;
    if (self->failures < UINT32_MAX)
        self->failures++;
    return (int)(wait / 2 + next_random(self) % (wait / 2 + 1));
}

void backoff_reset(backoff *self)
{
    self->failures = 0;
}
