/* env.h - what the framework tells a connector about where it runs. Borrowed: valid from open to close. */
#ifndef MR_CONNECTORS_ENV_H
#define MR_CONNECTORS_ENV_H

#include "core/arena.h"
#include "core/options.h"
#include "core/schema.h"

typedef struct mr_env {
    const char *tenant;
    const char *tenant_uid;
    const char *dataset;
    const char *connector; /* name of the connector, unique within the tenant */
    int32_t task;
    int64_t epoch; /* of this assignment: a connector with a store of its own fences with it */
    const char *topic;
    const mr_props *config; /* checked against the class's options, secrets resolved */
    const mr_schema *schema;
    const int *key_columns; /* indexes into the schema, in the order of the primary key */
    size_t key_column_count;
    size_t memory_budget_bytes; /* what the connector may hold at once */
} mr_env;

#endif
