/* fence_task.c - takes a source over only to end its run: what was produced by then is all there will be. */
#include "bus/bus.h"
#include "core/fault.h"
#include "core/log.h"
#include "task/replay.h"
#include "task/source_position.h"
#include "task/task.h"

#include <stdlib.h>

typedef struct fence {
    const assignment *work;
    mr_bus *bus;
    mr_bus_writer *writer;
    source_position position;
    mr_err err; /* of reading the position */
    mr_error *ret_error;
} fence;

static void on_position(void *arg, mr_slice key, mr_slice value)
{
    fence *self = arg;
    mr_buf run = {0};
    if (self->err == MR_OK && source_position_key_parse(key, self->work->dataset, &run) &&
        mr_slice_equal(mr_buf_slice(&run), mr_slice_of(self->work->run_uid))) {
        source_position_fini(&self->position);
        self->err = source_position_parse(value, &self->position, self->ret_error);
    }
    mr_buf_fini(&run);
}

static mr_err fence_open(fence *self, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    const mr_bus_identity *id = &self->work->identity;
    mr_err err = mr_bus_open(self->work->props, id->tenant, id->tenant_uid, &self->bus, ret_error);
    if (err == MR_OK)
        err = mr_bus_writer_open(self->bus, id, &self->writer, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = mr_bus_load_positions(self->writer, on_position, self, ret_error);
    return err == MR_OK ? self->err : err;
}

static mr_err write_end(fence *self, mr_error *ret_error)
{
    mr_buf key = {0}, json = {0};
    self->position.ended = true;
    mr_err err = source_position_key(self->work->dataset, self->work->run_uid, &key, ret_error);
    if (err == MR_OK)
        err = source_position_print(&self->position, &json, ret_error);
    if (err == MR_OK)
        err = mr_bus_send_position(self->writer, mr_buf_slice(&key), mr_buf_slice(&json), ret_error);
    if (err == MR_OK)
        err = replay_release(self->work, self->writer, ret_error);
    if (err == MR_OK)
        err = mr_bus_commit(self->writer, ret_error);
    if (err == MR_OK)
        MR_FAULT("fence_committed");
    mr_buf_fini(&key);
    mr_buf_fini(&json);
    return err;
}

static mr_err show(const fence *self, task_context *task, mr_error *ret_error)
{
    Mr__Proto__SourceProgress progress;
    size_t count = self->position.range_count;
    Mr__Proto__Range *ranges = calloc(count + 1, sizeof *ranges);
    Mr__Proto__Range **list = calloc(count + 1, sizeof *list);
    mr_err err = ranges == NULL || list == NULL ? mr_fail(ret_error, MR_ENOMEM, "out of memory") : MR_OK;
    if (err == MR_OK) {
        source_position_progress(&self->position, self->work->run_uid, ranges, list, &progress);
        status_source(task->status, &progress);
        mr_log(MR_INFO, "run fenced", MR_STR("run", self->work->run_uid), MR_INT("read", self->position.read),
               MR_INT("produced", self->position.produced));
    }
    free(ranges);
    free(list);
    return err;
}

mr_err fence_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                     mr_error *ret_error)
{
    fence self = {.work = task->assignment, .ret_error = ret_error};
    mr_err err = fence_open(&self, ret_stored_epoch, ret_error);
    status_state(task->status, MR__PROTO__TASK_STATE__RUNNING);
    if (err == MR_OK && !self.position.ended)
        err = write_end(&self, ret_error);
    if (err == MR_OK)
        err = show(&self, task, ret_error);
    if (err == MR_OK)
        *ret_outcome = TASK_ENDED;
    source_position_fini(&self.position);
    mr_bus_writer_close(&self.writer);
    mr_bus_close(&self.bus);
    return err;
}
