/* source.h - one attempt of a source task, as its parts share it. Internal to the source loop. */
#ifndef MR_TASK_SOURCE_H
#define MR_TASK_SOURCE_H

#include "bus/bus.h"
#include "connectors/registry.h"
#include "core/avro.h"
#include "task/replay.h"
#include "task/source_position.h"
#include "task/task.h"

#include <jansson.h>

typedef struct source {
    task_context *task;
    const assignment *work;
    mr_bus *bus;
    mr_bus_writer *writer;
    const mr_source_class *class;
    void *self;
    replay *replay; /* in place of class and self: its rows were rejected before */
    mr_buf replayed_key, replayed;
    mr_env env;
    mr_avro_encoder *value_encoder, *key_encoder;
    mr_buf value, key;
    mr_buf position_key;
    mr_buf stale_keys; /* of closed runs, each with a NUL behind it; removed by the first commit */
    json_t *closed_runs;
    source_position position; /* with what was read but is not committed yet */
    bool *opened;             /* per partition: has a row of this run, committed or on its way */
    mr_arena arena;
    double max_rejected_percent; /* below 0: no bound */
    int64_t max_rejected_rows;   /* the same */
    bool committed_once;
    int64_t uncommitted_since_ms; /* 0: all is committed */
} source;

/* source_open.c */
mr_err source_open(source *source, int64_t *ret_stored_epoch, mr_error *ret_error);
void source_close(source *source);
/* Puts the committed position into the status. */
void source_show(source *source);

#endif
