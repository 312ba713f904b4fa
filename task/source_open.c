/* source_open.c - from an assignment to a source that stands at its position: the writer fences its
 * predecessors, only then the position is read (R2). */
#include "core/fault.h"
#include "task/source.h"

#include <stdlib.h>

enum { CONNECTOR_BUDGET_BYTES = 16 * 1024 * 1024 };

static mr_err read_bounds(source *self, mr_error *ret_error)
{
    const char *percent = assignment_text(self->work, "max.rejected.percent");
    char *rest = NULL;
    self->max_rejected_rows = assignment_text(self->work, "max.rejected.rows") == NULL
                                  ? -1
                                  : assignment_integer(self->work, "max.rejected.rows");
    self->max_rejected_percent = percent == NULL ? -1 : strtod(percent, &rest);
    if (percent != NULL && (*percent == '\0' || *rest != '\0' ||
                            !(self->max_rejected_percent >= 0 && self->max_rejected_percent <= 100)))
        return mr_fail(ret_error, MR_EINVALID,
                       "max.rejected.percent: \"%s\" is not a number between 0 and 100", percent);
    return MR_OK;
}

static mr_err open_encoders(source *self, mr_error *ret_error)
{
    const assignment *work = self->work;
    mr_err err =
        mr_avro_encoder_open(work->schema, NULL, 0, work->schema_id, &self->value_encoder, ret_error);
    if (err != MR_OK)
        return err;
    uint32_t key_id = (uint32_t)assignment_integer(work, "key.schema.id");
    return mr_avro_encoder_open(work->schema, work->key_columns, work->key_column_count, key_id,
                                &self->key_encoder, ret_error);
}

typedef struct position_search {
    source *source;
    mr_err err;
    mr_error *ret_error;
} position_search;

static bool is_closed(const source *self, mr_slice run_uid)
{
    size_t i;
    json_t *closed;
    json_array_foreach(self->closed_runs, i, closed)
    {
        mr_slice name = {json_string_value(closed), json_string_length(closed)};
        if (mr_slice_equal(name, run_uid))
            return true;
    }
    return false;
}

static void on_position(void *arg, mr_slice key, mr_slice value)
{
    position_search *search = arg;
    source *self = search->source;
    mr_buf run = {0};
    if (search->err == MR_OK && mr_slice_equal(key, mr_buf_slice(&self->replayed_key))) {
        search->err = mr_buf_append(&self->replayed, value.data, value.size);
        if (search->err != MR_OK)
            mr_fail(search->ret_error, search->err, "out of memory");
        return;
    }
    if (search->err != MR_OK || !source_position_key_parse(key, self->work->dataset, &run)) {
        mr_buf_fini(&run);
        return;
    }
    if (mr_slice_equal(mr_buf_slice(&run), mr_slice_of(self->work->run_uid))) {
        source_position_fini(&self->position);
        search->err = source_position_parse(value, &self->position, search->ret_error);
    } else if (is_closed(self, mr_buf_slice(&run))) {
        search->err = mr_buf_append(&self->stale_keys, key.data, key.size);
        if (search->err == MR_OK)
            search->err = mr_buf_append(&self->stale_keys, "", 1);
        if (search->err != MR_OK)
            mr_fail(search->ret_error, search->err, "out of memory");
    }
    mr_buf_fini(&run);
}

static mr_err load_position(source *self, mr_error *ret_error)
{
    position_search search = {.source = self, .ret_error = ret_error};
    self->closed_runs = json_loads(assignment_text(self->work, "closed.runs"), JSON_REJECT_DUPLICATES, NULL);
    mr_err err = replay_key(self->work->dataset, &self->replayed_key, ret_error);
    if (err == MR_OK)
        err = mr_bus_load_positions(self->writer, on_position, &search, ret_error);
    if (err == MR_OK)
        err = search.err;
    if (err == MR_OK)
        err = source_position_key(self->work->dataset, self->work->run_uid, &self->position_key, ret_error);
    for (size_t i = 0; err == MR_OK && i < self->position.range_count; i++)
        if (self->position.ranges[i].partition < self->work->partitions)
            self->opened[self->position.ranges[i].partition] = true;
    return err;
}

static mr_err open_connector(source *self, mr_error *ret_error)
{
    if (strcmp(self->work->connector_class, REPLAY_CLASS) == 0)
        return replay_open(self->work, self->bus, mr_buf_slice(&self->position.connector),
                           mr_buf_slice(&self->replayed), &self->replay, ret_error);
    self->class = mr_source_find(self->work->connector_class);
    self->self = calloc(1, self->class->state_size);
    if (self->self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->env = assignment_env(self->work, CONNECTOR_BUDGET_BYTES);
    return self->class->open(self->self, &self->env, mr_buf_slice(&self->position.connector), ret_error);
}

mr_err source_open(source *self, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    status_step(self->task->status, "open");
    self->opened = calloc((size_t)self->work->partitions, sizeof *self->opened);
    if (self->opened == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_err err = read_bounds(self, ret_error);
    if (err == MR_OK)
        err = open_encoders(self, ret_error);
    if (err == MR_OK)
        err = assignment_open_bus(self->work, &self->bus, &self->writer, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = load_position(self, ret_error);
    if (err == MR_OK && !self->position.ended)
        err = open_connector(self, ret_error);
    MR_FAULT("task_source_opened");
    return err;
}

void source_close(source *self)
{
    if (self->self != NULL)
        self->class->close(self->self);
    free(self->self);
    replay_close(&self->replay);
    mr_bus_writer_close(&self->writer);
    mr_bus_close(&self->bus);
    mr_avro_encoder_close(&self->value_encoder);
    mr_avro_encoder_close(&self->key_encoder);
    source_position_fini(&self->position);
    mr_buf_fini(&self->value);
    mr_buf_fini(&self->key);
    mr_buf_fini(&self->position_key);
    mr_buf_fini(&self->stale_keys);
    mr_buf_fini(&self->replayed_key);
    mr_buf_fini(&self->replayed);
    json_decref(self->closed_runs);
    mr_arena_fini(&self->arena);
    free(self->opened);
}

void source_show(source *self)
{
    Mr__Proto__SourceProgress progress;
    size_t count = self->position.range_count;
    Mr__Proto__Range *ranges = calloc(count + 1, sizeof *ranges);
    Mr__Proto__Range **list = calloc(count + 1, sizeof *list);
    if (ranges != NULL && list != NULL) {
        source_position_progress(&self->position, self->work->run_uid, ranges, list, &progress);
        status_source(self->task->status, &progress);
    }
    free(ranges);
    free(list);
}
