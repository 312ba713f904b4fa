#include "task/retain.h"

#include "task/clock.h"

mr_err retain_topics(const assignment *work, mr_bus *bus, int slices, mr_error *ret_error)
{
    const char *topics[] = {work->topic, work->rejected_topic};
    mr_err result = MR_OK;
    if (assignment_text(work, "retention.ms") == NULL)
        return MR_OK;
    int64_t before_ms = clock_utc_ms() - assignment_integer(work, "retention.ms");
    for (size_t i = 0; i < 2; i++) {
        bool more = true;
        for (int slice = 0; more && slice < slices; slice++) {
            mr_err err = mr_bus_retain(bus, topics[i], before_ms, &more, ret_error);
            if (err == MR_OK)
                continue;
            result = mr_wrap(ret_error, err, "topic %s", topics[i]);
            break;
        }
    }
    return result;
}
