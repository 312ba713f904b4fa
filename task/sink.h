/* sink.h - one attempt of a sink task, as its parts share it. Internal to the sink loop. */
#ifndef MR_TASK_SINK_H
#define MR_TASK_SINK_H

#include "bus/bus.h"
#include "connectors/registry.h"
#include "task/sink_decode.h"
#include "task/sink_position.h"
#include "task/sink_verdicts.h"
#include "task/task.h"

enum {
    SINK_WRITE_RECORDS = 1024, /* given to the connector at once */
    SINK_FETCH_BYTES = 256 * 1024,
    SINK_CONNECTOR_BUDGET_BYTES = 24 * 1024 * 1024,
};

typedef struct sink_partition {
    sink_position position; /* committed, with what is about to be */
    int64_t fetch;          /* next offset to read */
    size_t run;             /* of the record read last: index into position.runs */
    bool has_run;
    bool reading;  /* assigned to the reader */
    bool touched;  /* the commit being made moves it */
    int64_t end;   /* of the log, as seen last */
    int64_t until; /* until.end: what is to be reached */
} sink_partition;

typedef struct sink {
    task_context *task;
    const assignment *work;
    const Mr__Proto__SinkScope *scope; /* of task->message; NULL by hand */
    mr_bus *bus;
    mr_bus_writer *writer;
    mr_bus_reader *reader;
    const mr_sink_class *class;
    void *self;
    mr_env env;
    mr_verdicts verdicts;
    sink_window window;
    sink_partition *partitions;
    sink_decoder *decoder;
    size_t field_count;
    mr_value *values;        /* of SINK_WRITE_RECORDS rows */
    mr_sink_record *records; /* the same */
    int64_t uncommitted_since_ms;
    int64_t quiet_until_ms; /* nothing could be settled: no commit for being idle before */
    int64_t retained_ms;    /* when retention was looked after last */
    bool idle;              /* nothing more to read right now */
} sink;

/* sink_open.c */
mr_err sink_open(sink *sink, int64_t *ret_stored_epoch, mr_error *ret_error);
void sink_close(sink *sink);
/* Reads the partitions that the scope lets through, from where each stands. */
mr_err sink_assign(sink *sink, mr_error *ret_error);

/* sink_commit.c */
mr_err sink_commit(sink *sink, mr_error *ret_error);
/* After a disconnection from a sink whose store keeps no positions: commits what is done, if that is
 * possible. */
void sink_save_progress(sink *sink);
/* Puts the present positions on the bus. */
mr_err sink_copy_positions(sink *sink, mr_error *ret_error);
void sink_show(sink *sink);

/* sink_deliver.c: records from the bus into the window, and from there to the connector. */
mr_err sink_fetch(sink *sink, int timeout_ms, mr_error *ret_error);
mr_err sink_deliver(sink *sink, mr_error *ret_error);
/* Passes over what a changed scope abandons of the records that wait. */
void sink_abandon_skipped(sink *sink);
/* What the verdicts given so far mean for the sink as a whole. */
mr_err sink_failure(sink *sink, mr_error *ret_error);

#endif
