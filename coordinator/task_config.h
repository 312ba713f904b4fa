/* task_config.h - an assignment's configuration while it is put together (keys: docs/architecture.md section
 * 4). */
#ifndef MR_COORDINATOR_TASK_CONFIG_H
#define MR_COORDINATOR_TASK_CONFIG_H

#include "coordinator/service_internal.h"
#include "core/arena.h"

enum { MR_CONFIG_KEYS = 128 };

typedef struct mr_task_config {
    mr_arena arena;
    Mr__Proto__Property items[MR_CONFIG_KEYS];
    Mr__Proto__Property *pointers[MR_CONFIG_KEYS];
    size_t count;
    bool failed; /* out of memory, or too many keys */
} mr_task_config;

/* Begins anew. */
void mr_config_start(mr_task_config *config);
void mr_config_set(mr_task_config *config, const char *key, const char *value);
void mr_config_set_int(mr_task_config *config, const char *key, int64_t value);
void mr_config_set_json(mr_task_config *config, const char *key, json_t *value); /* takes value */

/* bus, bus.dir, topic. */
void mr_config_bus(mr_task_config *config, mr_service *service, const char *tenant, const char *dataset);
/* These and topic.partitions; schema, schema.id, primary.key of a dataset; schema_id 0: the
 * latest. */
void mr_config_topic(mr_task_config *config, mr_service *service, const char *tenant,
                     const mr_dataset *dataset);
mr_err mr_config_schema(mr_task_config *config, mr_service *service, const mr_tenant *tenant,
                        const mr_dataset *dataset, int64_t schema_id, mr_error *ret_error);
/* `schemas`: every version of the dataset's schema. */
void mr_config_schemas(mr_task_config *config, mr_service *service, const mr_tenant *tenant,
                       const mr_dataset *dataset);
/* connector.class and options of a sink. */
/* How the dataset's files are to be read: files.type, and for CSV csv.*. */
void mr_config_layout(mr_task_config *config, const mr_dataset *dataset);
void mr_config_null_values(mr_task_config *config, const mr_dataset *dataset); /* csv.null.values alone */
void mr_config_sink(mr_task_config *config, mr_service *service, const mr_agreement_sink *sink,
                    const mr_dataset *dataset);
/* kind-independent keys of docs/architecture.md section 4 that identify the tenant. */
void mr_config_tenant(mr_task_config *config, const mr_tenant *tenant, const char *dataset);

/* The assignment with this configuration and `scope` (may be NULL), a copy of its own. */
mr_err mr_config_assignment(mr_task_config *config, const char *tenant, const char *connector,
                            Mr__Proto__TaskKind kind, Mr__Proto__SinkScope *scope,
                            Mr__Proto__Assignment **ret_assignment, mr_error *ret_error);
void mr_config_fini(mr_task_config *config);

#endif
