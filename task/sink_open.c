/* sink_open.c - from an assignment to a sink that stands at its position.
 *
 * The order is R2's: the writer fences on the bus, the connector fences in the store, and only then positions
 * are read. Where the store keeps them, its positions count and the copy on the bus follows.
 */
#include "core/fault.h"
#include "task/scope.h"
#include "task/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static mr_err open_memory(sink *self, mr_error *ret_error)
{
    (void)mr_schema_fields(self->work->schema, &self->field_count);
    self->values = calloc(SINK_WRITE_RECORDS * self->field_count, sizeof *self->values);
    self->records = calloc(SINK_WRITE_RECORDS, sizeof *self->records);
    self->partitions = calloc((size_t)self->work->partitions, sizeof *self->partitions);
    if (self->values == NULL || self->records == NULL || self->partitions == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (int32_t i = 0; i < self->work->partitions; i++)
        self->partitions[i].position.offset = -1;
    self->verdicts = (mr_verdicts){
        .window = &self->window,
        .max_same_rejects = (uint64_t)assignment_integer(self->work, "max.same.rejects"),
    };
    return sink_window_open(self->work->partitions, &self->window, ret_error);
}

static mr_err open_connector(sink *self, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    const assignment *work = self->work;
    mr_err err = sink_decoder_open(assignment_text(work, "schemas"), work->schema, work->schema_id,
                                   &self->decoder, ret_error);
    if (err != MR_OK)
        return err;
    self->class = mr_sink_find(work->connector_class);
    self->self = calloc(1, self->class->state_size);
    if (self->self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->env = assignment_env(work, SINK_CONNECTOR_BUDGET_BYTES);
    return self->class->open(self->self, &self->env, &self->verdicts, ret_stored_epoch, ret_error);
}

/* What the bus knows of a partition: offset -1 when nothing. */
static mr_err load_copy(sink *self, int32_t partition, sink_position *ret_position, mr_error *ret_error)
{
    int64_t offset;
    mr_buf metadata = {0};
    mr_err err =
        mr_bus_load_offset(self->writer, self->work->topic, partition, &offset, &metadata, ret_error);
    if (err == MR_OK && offset >= 0)
        err = sink_position_parse(mr_buf_slice(&metadata), offset, ret_position, ret_error);
    mr_buf_fini(&metadata);
    return err;
}

/* Before the store is asked, and be it away for days: retention waits for registered sinks only. */
static mr_err register_sink(sink *self, mr_error *ret_error)
{
    bool fresh = false;
    mr_err err = MR_OK;
    for (int32_t i = 0; err == MR_OK && i < self->work->partitions; i++) {
        sink_partition *partition = &self->partitions[i];
        mr_buf metadata = {0};
        int64_t offset, first, end, start = scope_start(self->scope, i);
        err = mr_bus_load_offset(self->writer, self->work->topic, i, &offset, &metadata, ret_error);
        if (err == MR_OK)
            err = mr_bus_offsets(self->bus, self->work->topic, i, &first, &end, ret_error);
        mr_buf_fini(&metadata);
        if (err != MR_OK)
            return err;
        partition->position.offset = start >= 0 ? start : first;
        partition->touched = offset < 0;
        fresh = fresh || partition->touched;
    }
    return fresh ? sink_copy_positions(self, ret_error) : err;
}

typedef struct store_search {
    sink *sink;
    mr_err err;
    mr_error *ret_error;
} store_search;

static void on_store_position(void *arg, const mr_sink_position *found)
{
    store_search *search = arg;
    sink *self = search->sink;
    if (search->err != MR_OK || found->partition < 0 || found->partition >= self->work->partitions)
        return;
    sink_position *position = &self->partitions[found->partition].position;
    sink_position_fini(position);
    search->err = sink_position_parse(found->metadata, found->offset, position, search->ret_error);
}

/* The store's position counts; of the copy only the dead letters written ahead of it are taken. */
static mr_err take_rejecting(sink_position *position, const sink_position *copy, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t i = 0; err == MR_OK && i < copy->rejecting_count; i++)
        if (copy->rejecting[i] >= position->offset)
            err = sink_position_add_rejecting(position, copy->rejecting[i], ret_error);
    return err;
}

/* A bus that was lost and filled again: what stands below the position now was never delivered. */
static mr_err check_bus(const sink *self, sink_position *position, mr_error *ret_error)
{
    const char *id = mr_bus_id(self->bus);
    if (position->bus[0] != '\0' && id[0] != '\0' && strcmp(position->bus, id) != 0)
        return mr_fail(
            ret_error, MR_EDATALOSS,
            "position %" PRId64
            " is of bus %s, this one is %s: was its file lost and made anew? Restore it, or remove "
            "the sink's positions from its store to deliver all that is on this one",
            position->offset, position->bus, id);
    snprintf(position->bus, sizeof position->bus, "%s", id);
    return MR_OK;
}

static mr_err load_partition(sink *self, int32_t index, bool *ret_copy_is_old, mr_error *ret_error)
{
    sink_partition *partition = &self->partitions[index];
    sink_position copy = {.offset = -1};
    mr_err err = load_copy(self, index, &copy, ret_error);
    if (err == MR_OK && self->class->positions == NULL) {
        partition->position = copy;
        copy = (sink_position){.offset = -1};
    }
    int64_t first, end, copied = self->class->positions == NULL ? partition->position.offset : copy.offset;
    if (err == MR_OK)
        err = mr_bus_offsets(self->bus, self->work->topic, index, &first, &end, ret_error);
    if (err == MR_OK)
        err = check_bus(self, &partition->position, ret_error);
    if (err == MR_OK && partition->position.offset > end)
        err = mr_fail(ret_error, MR_EDATALOSS,
                      "position %" PRId64 " lies behind the end of the log, %" PRId64
                      ": is the bus an older one than the store?",
                      partition->position.offset, end);
    if (err == MR_OK)
        err = take_rejecting(&partition->position, &copy, ret_error);
    sink_position_fini(&copy);
    if (err != MR_OK)
        return err;
    partition->fetch = partition->position.offset;
    partition->end = partition->until = end;
    partition->has_run = partition->position.run_count > 0;
    partition->run = partition->has_run ? partition->position.run_count - 1 : 0;
    *ret_copy_is_old = *ret_copy_is_old || copied != partition->position.offset;
    partition->touched = copied != partition->position.offset;
    return MR_OK;
}

static mr_err load_positions(sink *self, mr_error *ret_error)
{
    store_search search = {.sink = self, .ret_error = ret_error};
    bool copy_is_old = false;
    if (self->class->positions != NULL) {
        mr_err err = self->class->positions(self->self, on_store_position, &search, ret_error);
        if (err == MR_OK)
            err = search.err;
        if (err != MR_OK)
            return err;
    }
    for (int32_t i = 0; i < self->work->partitions; i++) {
        mr_err err = load_partition(self, i, &copy_is_old, ret_error);
        if (err != MR_OK)
            return mr_wrap(ret_error, err, "partition %d of %s", i, self->work->topic);
    }
    return copy_is_old ? sink_copy_positions(self, ret_error) : MR_OK;
}

static void wake_reader(void *reader)
{
    mr_bus_wake(reader);
}

mr_err sink_assign(sink *self, mr_error *ret_error)
{
    control_on_news(self->task->control, NULL, NULL);
    mr_bus_reader_close(&self->reader);
    mr_err err = mr_bus_reader_open(self->bus, &self->reader, ret_error);
    for (int32_t i = 0; err == MR_OK && i < self->work->partitions; i++) {
        sink_partition *partition = &self->partitions[i];
        partition->reading = partition->fetch < scope_ceiling(self->scope, i);
        if (partition->reading)
            err = mr_bus_assign(self->reader, self->work->topic, i, partition->fetch, ret_error);
    }
    if (err == MR_OK)
        control_on_news(self->task->control, wake_reader, self->reader);
    return err;
}

mr_err sink_open(sink *self, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    status_step(self->task->status, "open");
    mr_err err = open_memory(self, ret_error);
    if (err == MR_OK)
        err = assignment_open_bus(self->work, &self->bus, &self->writer, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = register_sink(self, ret_error);
    if (err == MR_OK)
        err = open_connector(self, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = load_positions(self, ret_error);
    if (err == MR_OK)
        err = sink_assign(self, ret_error);
    MR_FAULT("task_sink_opened");
    return err;
}

void sink_close(sink *self)
{
    control_on_news(self->task->control, NULL, NULL);
    if (self->self != NULL)
        self->class->close(self->self);
    free(self->self);
    mr_bus_reader_close(&self->reader);
    mr_bus_writer_close(&self->writer);
    mr_bus_close(&self->bus);
    sink_decoder_close(&self->decoder);
    sink_window_close(&self->window);
    for (int32_t i = 0; self->partitions != NULL && i < self->work->partitions; i++)
        sink_position_fini(&self->partitions[i].position);
    free(self->partitions);
    free(self->values);
    free(self->records);
}
