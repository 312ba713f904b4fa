/* clock_set_back.c - the machine's clock was set back: what waits for a time goes on as if it had not been.
 * Set forward, all that waits is due, and the workers are excused (reconcile.c). */
#include "coordinator/service_internal.h"

static void shift(int64_t *at_ms, int64_t by_ms)
{
    if (*at_ms != 0 && *at_ms != INT64_MAX)
        *at_ms -= by_ms;
}

void mr_clock_set_back(mr_service *service, int64_t by_ms)
{
    mr_task *task;
    mr_later *later;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        shift(&task->retry_ms, by_ms);
        shift(&task->idle_since_ms, by_ms);
    }
    for (size_t at = 0; (later = mr_name_map_next(&service->later, &at)) != NULL;)
        shift(&later->when_ms, by_ms);
    mr_workers_excuse(service, -by_ms);
    shift(&service->started_ms, by_ms);
    shift(&service->flush_ms, by_ms);
    shift(&service->place_ms, by_ms);
    shift(&service->retain_ms, by_ms);
    shift(&service->promised_ms, by_ms);
    service->clock_set_back = true;
    mr_log(MR_WARN, "the clock was set back", MR_INT("by_ms", by_ms));
}
