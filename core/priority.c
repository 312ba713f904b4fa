#include "core/priority.h"

mr_priority mr_priority_raise(void)
{
    const struct sched_param first = {.sched_priority = 1};
    mr_priority former = {.policy = sched_getscheduler(0)};
    if (former.policy < 0 || sched_getparam(0, &former.parameters) != 0 ||
        sched_setscheduler(0, SCHED_RR, &first) != 0)
        former.policy = -1;
    return former;
}

void mr_priority_restore(const mr_priority *former)
{
    if (former->policy >= 0)
        (void)sched_setscheduler(0, former->policy, &former->parameters);
}
