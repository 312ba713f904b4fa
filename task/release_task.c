/* release_task.c - takes a sink that was removed over only to unregister it, so that retention waits for it
 * no more. */
#include "core/fault.h"
#include "core/log.h"
#include "task/retain.h"
#include "task/task.h"

#include <limits.h>

static mr_err release(const assignment *work, mr_bus *bus, mr_bus_writer *writer, mr_error *ret_error)
{
    int32_t partitions = 0;
    mr_err err = mr_bus_partitions(bus, work->topic, &partitions, ret_error);
    if (err == MR_ENOTFOUND)
        return MR_OK; /* nothing was ever written to it */
    for (int32_t i = 0; err == MR_OK && i < partitions; i++)
        err = mr_bus_send_offset(writer, work->topic, i, -1, (mr_slice){0}, ret_error);
    if (err == MR_OK)
        err = mr_bus_commit(writer, ret_error);
    if (err == MR_OK)
        MR_FAULT("release_committed");
    return err == MR_OK ? retain_topics(work, bus, INT_MAX, ret_error) : err;
}

mr_err release_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                       mr_error *ret_error)
{
    const assignment *work = task->assignment;
    mr_bus *bus = NULL;
    mr_bus_writer *writer = NULL;
    mr_err err = mr_bus_open(work->props, work->identity.tenant, work->identity.tenant_uid, &bus, ret_error);
    if (err == MR_OK)
        err = mr_bus_writer_open(bus, &work->identity, &writer, ret_stored_epoch, ret_error);
    status_state(task->status, MR__PROTO__TASK_STATE__RUNNING);
    if (err == MR_OK)
        err = release(work, bus, writer, ret_error);
    if (err == MR_OK) {
        *ret_outcome = TASK_ENDED;
        mr_log(MR_INFO, "sink released", MR_STR("topic", work->topic));
    }
    mr_bus_writer_close(&writer);
    mr_bus_close(&bus);
    return err;
}
