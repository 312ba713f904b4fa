#include "worker/restart_policy.h"

static int64_t growing_delay(restart_policy *policy, double chance)
{
    int64_t delay_ms = RESTART_FIRST_MS;
    for (unsigned i = 0; i < policy->failures && delay_ms < RESTART_CAP_MS; i++)
        delay_ms *= 2;
    if (delay_ms > RESTART_CAP_MS)
        delay_ms = RESTART_CAP_MS;
    policy->failures++;
    return delay_ms * 3 / 4 + (int64_t)(chance * (double)delay_ms / 4);
}

static int64_t bug_delay(restart_policy *policy, int64_t now_ms, double chance)
{
    int64_t *oldest = &policy->bug_ms[policy->bugs % RESTART_BUG_BUDGET];
    if (policy->bugs >= RESTART_BUG_BUDGET && now_ms - *oldest < RESTART_BUG_WINDOW_MS)
        return RESTART_NEVER;
    *oldest = now_ms;
    policy->bugs++;
    return growing_delay(policy, chance);
}

int64_t restart_delay(restart_policy *policy, mr_err_class class, int64_t now_ms, double chance)
{
    switch (class) {
    case MR_TRANSIENT:
        return growing_delay(policy, chance);
    case MR_CONFIG:
        return RESTART_CONFIG_MS;
    case MR_BUG:
        return bug_delay(policy, now_ms, chance);
    case MR_DATA:
    case MR_FENCED:
        break;
    }
    return RESTART_NEVER;
}

void restart_recovered(restart_policy *policy)
{
    policy->failures = 0;
}

void restart_progressed(restart_policy *policy)
{
    *policy = (restart_policy){0};
}
