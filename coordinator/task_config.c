/* task_config.c - see task_config.h. */
#include "coordinator/task_config.h"

#include "connectors/option_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mr_config_start(mr_task_config *config)
{
    mr_arena_reset(&config->arena);
    config->count = 0;
    config->failed = false;
}

void mr_config_set(mr_task_config *config, const char *key, const char *value)
{
    mr_slice key_copy = mr_arena_copy(&config->arena, mr_slice_of(key));
    mr_slice value_copy = mr_arena_copy(&config->arena, mr_slice_of(value != NULL ? value : ""));
    if (config->count == MR_CONFIG_KEYS || key_copy.data == NULL || value_copy.data == NULL) {
        config->failed = true;
        return;
    }
    Mr__Proto__Property *item = &config->items[config->count];
    mr__proto__property__init(item);
    item->key = (char *)key_copy.data;
    item->value = (char *)value_copy.data;
    config->pointers[config->count++] = item;
}

void mr_config_set_int(mr_task_config *config, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    mr_config_set(config, key, text);
}

void mr_config_set_json(mr_task_config *config, const char *key, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL)
        config->failed = true;
    else
        mr_config_set(config, key, text);
    free(text);
}

void mr_config_tenant(mr_task_config *config, const mr_tenant *tenant, const char *dataset)
{
    mr_config_set(config, "tenant", tenant->tenant);
    mr_config_set(config, "tenant.uid", tenant->uid);
    mr_config_set(config, "dataset", dataset);
}

void mr_config_bus(mr_task_config *config, mr_service *service, const char *tenant, const char *dataset)
{
    char topic[200];
    snprintf(topic, sizeof topic, "%s.%s", tenant, dataset);
    mr_config_set(config, "bus", service->config.bus);
    mr_config_set(config, "bus.dir", service->config.bus_dir);
    mr_config_set(config, "topic", topic);
}

void mr_config_topic(mr_task_config *config, mr_service *service, const char *tenant,
                     const mr_dataset *dataset)
{
    mr_config_bus(config, service, tenant, dataset->name);
    mr_config_set_int(config, "topic.partitions", dataset->topic_partitions);
}

mr_err mr_config_schema(mr_task_config *config, mr_service *service, const mr_tenant *tenant,
                        const mr_dataset *dataset, int64_t schema_id, mr_error *ret_error)
{
    char subject[256];
    snprintf(subject, sizeof subject, "%s.%s-value", tenant->tenant, dataset->name);
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT id, text FROM schemas WHERE uid = ? AND subject = ? AND (? = 0 OR id = ?)"
                     " ORDER BY version DESC LIMIT 1",
                     "ttii", tenant->uid, subject, schema_id, schema_id);
    if (!mr_query_next(query)) {
        mr_err err = mr_db_take_error(service->db, ret_error);
        return err != MR_OK
                   ? err
                   : mr_fail(ret_error, MR_EBUG, "%s has no schema %lld", subject, (long long)schema_id);
    }
    mr_config_set_int(config, "schema.id", mr_query_int(query, 0));
    mr_config_set(config, "schema", mr_query_text(query, 1));
    mr_query_end(query);
    json_t *key = json_array();
    for (size_t i = 0; i < dataset->key_column_count; i++)
        json_array_append_new(key, json_string(dataset->primary_key[i]));
    mr_config_set_json(config, "primary.key", key);
    return MR_OK;
}

void mr_config_schemas(mr_task_config *config, mr_service *service, const mr_tenant *tenant,
                       const mr_dataset *dataset)
{
    char subject[256], id[32];
    snprintf(subject, sizeof subject, "%s.%s-value", tenant->tenant, dataset->name);
    json_t *schemas = json_object();
    mr_query *query = mr_db_select(
        service->db, "SELECT id, text FROM schemas WHERE uid = ? AND subject = ? ORDER BY version", "tt",
        tenant->uid, subject);
    while (mr_query_next(query)) {
        snprintf(id, sizeof id, "%lld", (long long)mr_query_int(query, 0));
        json_object_set_new(schemas, id, json_string(mr_query_text(query, 1)));
    }
    if (json_object_size(schemas) > 1)
        mr_config_set_json(config, "schemas", schemas);
    else
        json_decref(schemas); /* `schema` alone is in the topic */
}

void mr_config_null_values(mr_task_config *config, const mr_dataset *dataset)
{
    json_t *nulls = json_array();
    for (size_t i = 0; i < dataset->csv_null_value_count; i++)
        json_array_append_new(nulls, json_string(dataset->csv_null_values[i]));
    mr_config_set_json(config, "csv.null.values", nulls);
}

void mr_config_layout(mr_task_config *config, const mr_dataset *dataset)
{
    char one[2] = {dataset->csv_delimiter, '\0'};
    mr_config_set(config, "files.type", dataset->file_type);
    if (strcmp(dataset->file_type, "csv") != 0)
        return;
    mr_config_set(config, "csv.delimiter", one);
    one[0] = dataset->csv_quote;
    if (one[0] != '"')
        mr_config_set(config, "csv.quote", one);
    mr_config_set(config, "csv.first.row.as.header", dataset->csv_header ? "true" : "false");
    mr_config_null_values(config, dataset);
}

void mr_config_sink(mr_task_config *config, mr_service *service, const mr_agreement_sink *sink,
                    const mr_dataset *dataset)
{
    const char *const known[][2] = {
        {"store.dir", service->config.store_dir},
        {"key.space", dataset->key_space},
        {"table", dataset->table},
    };
    mr_config_set(config, "connector.class", sink->class_name);
    for (size_t i = 0; i < mr_props_count(sink->options); i++) {
        const char *key, *value;
        mr_props_at(sink->options, i, &key, &value);
        mr_config_set(config, key, value);
    }
    /* What the dataset and the coordinator know, where the class asks for it and the agreement does not say.
     */
    const mr_option *table = mr_connector_options_find(sink->class_name, MR_CONNECTOR_SINK);
    for (; table != NULL && table->name != NULL; table++) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcmp(table->name, known[i][0]) == 0 && mr_props_get(sink->options, table->name) == NULL)
                mr_config_set(config, known[i][0], known[i][1]);
        }
    }
}

mr_err mr_config_assignment(mr_task_config *config, const char *tenant, const char *connector,
                            Mr__Proto__TaskKind kind, Mr__Proto__SinkScope *scope,
                            Mr__Proto__Assignment **ret_assignment, mr_error *ret_error)
{
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    Mr__Proto__Assignment assignment = MR__PROTO__ASSIGNMENT__INIT;
    id.tenant = (char *)tenant;
    id.connector = (char *)connector;
    assignment.id = &id;
    assignment.epoch = 1; /* set when it is placed */
    assignment.kind = kind;
    assignment.config = config->pointers;
    assignment.n_config = config->count;
    assignment.scope = scope;
    if (config->failed)
        return mr_fail(ret_error, MR_ENOMEM, "configuration of %s/%s: out of memory", tenant, connector);
    mr_err err = mr_assignment_copy(&assignment, ret_assignment);
    return err == MR_OK ? MR_OK
                        : mr_fail(ret_error, err, "configuration of %s/%s: out of memory", tenant, connector);
}

void mr_config_fini(mr_task_config *config)
{
    mr_arena_fini(&config->arena);
}
