/* assignment.h - what one task process is asked to do, checked and typed.
 *
 * The words are those of docs/architecture.md, section 4. Secrets are resolved each time an assignment is
 * opened, so that a retry sees a secret that was changed. Immutable; thread: any.
 */
#ifndef MR_TASK_ASSIGNMENT_H
#define MR_TASK_ASSIGNMENT_H

#include "bus/bus.h"
#include "connectors/env.h"
#include "proto/messages.h"

typedef enum task_kind { TASK_SOURCE, TASK_SINK, TASK_PROGRAM, TASK_FENCE, TASK_RELEASE } task_kind;

typedef struct assignment {
    mr_props *props; /* secrets resolved */
    task_kind kind;
    mr_bus_identity identity; /* points into props */
    const char *dataset;
    const char *connector_class; /* source, sink */
    const mr_option *class_options;
    const char *topic;
    const char *rejected_topic;
    int32_t partitions;
    const char *run_uid;
    int64_t run_seq;
    mr_schema *schema;
    uint32_t schema_id;
    int *key_columns;
    size_t key_column_count;
} assignment;

/* `raw` is borrowed for the call. MR_EINVALID names the key. */
mr_err assignment_open(const mr_props *raw, assignment **ret_assignment, mr_error *ret_error);
void assignment_close(assignment **assignment); /* NULL-safe */

/* The values of an assignment's key, or its default. */
const char *assignment_text(const assignment *assignment, const char *name);
int64_t assignment_integer(const assignment *assignment, const char *name);
bool assignment_boolean(const assignment *assignment, const char *name);
/* The value of an option of the connector's class, or its default. */
const char *assignment_option(const assignment *assignment, const char *name);

/* What connector.class names where a source reads the dataset's rejected rows again (replay.h). */
#define REPLAY_CLASS "rejected"

/* The properties of an assignment that came from a worker: its config, and what its own fields say. */
mr_err assignment_props(const Mr__Proto__Assignment *message, mr_props **ret_props, mr_error *ret_error);

/* The bus, the writer, which fences, and only then the topics: while they are made the writer is named as the
 * holder of the lock. What was opened is set also on an error, and is the caller's to close. */
mr_err assignment_open_bus(const assignment *work, mr_bus **bus, mr_bus_writer **writer,
                           int64_t *ret_stored_epoch, mr_error *ret_error);

/* What a connector is told; borrowed from the assignment. */
mr_env assignment_env(const assignment *assignment, size_t memory_budget_bytes);

/* All framework keys of one kind, for --help; NULL ends the list. */
const mr_option *const *assignment_tables(task_kind kind);

#endif
