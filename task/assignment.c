#include "task/assignment.h"

#include "connectors/option_tables.h"
#include "connectors/registry.h"
#include "proto/ids.h"
#include "task/assignment_keys.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const mr_option *const source_tables[] = {task_common_keys,
                                                 mr_bus_options,
                                                 task_topic_keys,
                                                 task_schema_keys,
                                                 task_run_keys,
                                                 task_source_keys,
                                                 NULL};
static const mr_option *const sink_tables[] = {task_common_keys, mr_bus_options, task_topic_keys,
                                               task_schema_keys, task_sink_keys, NULL};
static const mr_option *const program_tables[] = {task_common_keys, task_run_keys, task_program_keys, NULL};
static const mr_option *const fence_tables[] = {task_common_keys, mr_bus_options, task_topic_keys,
                                                task_run_keys, NULL};
static const mr_option *const release_tables[] = {task_common_keys, mr_bus_options, task_topic_keys,
                                                  task_release_keys, NULL};

const mr_option *const *assignment_tables(task_kind kind)
{
    switch (kind) {
    case TASK_SOURCE:
        return source_tables;
    case TASK_SINK:
        return sink_tables;
    case TASK_PROGRAM:
        return program_tables;
    case TASK_FENCE:
        return fence_tables;
    case TASK_RELEASE:
        return release_tables;
    }
    return NULL;
}

/* The table that has the key; a key that none has is a mistake of ours. */
static const mr_option *table_of(const assignment *self, const char *name)
{
    for (const mr_option *const *table = assignment_tables(self->kind); *table != NULL; table++)
        for (const mr_option *row = *table; row->name != NULL; row++)
            if (strcmp(row->name, name) == 0)
                return *table;
    abort();
}

const char *assignment_text(const assignment *self, const char *name)
{
    return mr_option_text(table_of(self, name), self->props, name);
}

int64_t assignment_integer(const assignment *self, const char *name)
{
    return mr_option_integer(table_of(self, name), self->props, name);
}

bool assignment_boolean(const assignment *self, const char *name)
{
    return mr_option_boolean(table_of(self, name), self->props, name);
}

const char *assignment_option(const assignment *self, const char *name)
{
    return mr_option_text(self->class_options, self->props, name);
}

static mr_err find_kind(assignment *self, mr_error *ret_error)
{
    static const char *const names[] = {"source", "sink", "program", "fence", "release"};
    const char *kind = mr_props_get(self->props, "kind");
    for (int i = 0; kind != NULL && i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcmp(kind, names[i]) == 0) {
            self->kind = (task_kind)i;
            return MR_OK;
        }
    }
    return mr_fail(ret_error, MR_EINVALID, "kind: \"%s\" is none of source, sink, program, fence, release",
                   kind == NULL ? "" : kind);
}

/* The options of the connector's class, so that they are checked with the framework's own keys. */
static mr_err find_class(assignment *self, mr_error *ret_error)
{
    const char *name = mr_props_get(self->props, "connector.class");
    const mr_option *options = NULL;
    if (name == NULL)
        return mr_fail(ret_error, MR_EINVALID, "connector.class is missing");
    if (self->kind == TASK_SOURCE && strcmp(name, REPLAY_CLASS) == 0)
        options = task_replay_keys;
    else if (self->kind == TASK_SOURCE && mr_source_find(name) != NULL)
        options = mr_source_find(name)->options;
    if (self->kind == TASK_SINK && mr_sink_find(name) != NULL)
        options = mr_sink_find(name)->options;
    if (options == NULL)
        return mr_fail(ret_error, MR_EINVALID, "connector.class: there is no %s \"%s\"",
                       self->kind == TASK_SOURCE ? "source" : "sink", name);
    self->class_options = options;
    return MR_OK;
}

static mr_err check_options(assignment *self, mr_error *ret_error)
{
    const mr_option *tables[10] = {0};
    size_t count = 0;
    for (const mr_option *const *table = assignment_tables(self->kind); *table != NULL; table++)
        tables[count++] = *table;
    if (self->kind == TASK_SOURCE || self->kind == TASK_SINK) {
        mr_err err = find_class(self, ret_error);
        if (err != MR_OK)
            return err;
        tables[count] = self->class_options;
    }
    const char *name = mr_props_get(self->props, "name");
    return mr_options_check(tables, self->props, name == NULL ? "task" : name, ret_error);
}

static mr_err load_identity(assignment *self, mr_error *ret_error)
{
    self->identity = (mr_bus_identity){
        .tenant = assignment_text(self, "tenant"),
        .tenant_uid = assignment_text(self, "tenant.uid"),
        .connector = assignment_text(self, "name"),
        .task = (int32_t)assignment_integer(self, "task"),
        .epoch = assignment_integer(self, "epoch"),
    };
    self->dataset = assignment_text(self, "dataset");
    if (!mr_tenant_id_valid(self->identity.tenant))
        return mr_fail(ret_error, MR_EINVALID, "tenant: \"%s\" is not a tenant id", self->identity.tenant);
    if (!mr_name_valid(self->identity.connector))
        return mr_fail(ret_error, MR_EINVALID, "name: \"%s\" is not a connector name",
                       self->identity.connector);
    if (self->kind != TASK_SINK && self->kind != TASK_RELEASE) {
        self->run_uid = assignment_text(self, "run.uid");
        self->run_seq = assignment_integer(self, "run.seq");
        if (!mr_name_valid(self->run_uid))
            return mr_fail(ret_error, MR_EINVALID, "run.uid: \"%s\" is not a run id", self->run_uid);
    }
    return MR_OK;
}

static mr_err load_topic(assignment *self, mr_error *ret_error)
{
    char *rejected = NULL;
    self->topic = assignment_text(self, "topic");
    self->partitions = (int32_t)assignment_integer(self, "topic.partitions");
    if (asprintf(&rejected, "%s.rejected", self->topic) < 0)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->rejected_topic = rejected;
    return MR_OK;
}

static mr_err load_key_columns(assignment *self, const json_t *columns, mr_error *ret_error)
{
    self->key_column_count = json_array_size(columns);
    if (self->key_column_count == 0)
        return mr_fail(ret_error, MR_EINVALID, "primary.key names no column");
    self->key_columns = calloc(self->key_column_count, sizeof *self->key_columns);
    if (self->key_columns == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (size_t i = 0; i < self->key_column_count; i++) {
        const char *column = json_string_value(json_array_get(columns, i));
        self->key_columns[i] = column == NULL ? -1 : mr_schema_find(self->schema, mr_slice_of(column));
        if (self->key_columns[i] < 0)
            return mr_fail(ret_error, MR_EINVALID, "primary.key: the schema has no column \"%s\"",
                           column == NULL ? "" : column);
    }
    return MR_OK;
}

static mr_err load_schema(assignment *self, mr_error *ret_error)
{
    self->connector_class = assignment_text(self, "connector.class");
    self->schema_id = (uint32_t)assignment_integer(self, "schema.id");
    mr_err err =
        mr_schema_parse(mr_slice_of(assignment_text(self, "schema")), NULL, NULL, &self->schema, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "schema");
    json_t *columns = json_loads(assignment_text(self, "primary.key"), JSON_REJECT_DUPLICATES, NULL);
    err = load_key_columns(self, columns, ret_error);
    json_decref(columns);
    return err;
}

static mr_err load(assignment *self, const mr_props *raw, mr_error *ret_error)
{
    mr_err err = mr_props_open(&self->props);
    for (size_t i = 0; err == MR_OK && i < mr_props_count(raw); i++) {
        const char *key, *value;
        mr_props_at(raw, i, &key, &value);
        err = mr_props_set(self->props, key, value);
    }
    if (err != MR_OK)
        return mr_fail(ret_error, err, "out of memory");
    if ((err = mr_props_resolve(self->props, ret_error)) != MR_OK)
        return err;
    if ((err = find_kind(self, ret_error)) != MR_OK)
        return err;
    if ((err = check_options(self, ret_error)) != MR_OK)
        return err;
    if ((err = load_identity(self, ret_error)) != MR_OK)
        return err;
    if (self->kind != TASK_PROGRAM && (err = load_topic(self, ret_error)) != MR_OK)
        return err;
    if (self->kind == TASK_SOURCE || self->kind == TASK_SINK)
        err = load_schema(self, ret_error);
    return err;
}

mr_err assignment_open(const mr_props *raw, assignment **ret_assignment, mr_error *ret_error)
{
    assignment *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_err err = load(self, raw, ret_error);
    if (err != MR_OK) {
        assignment_close(&self);
        return mr_wrap(ret_error, err, "task configuration");
    }
    *ret_assignment = self;
    return MR_OK;
}

void assignment_close(assignment **self)
{
    if (*self == NULL)
        return;
    mr_schema_close(&(*self)->schema);
    free((*self)->key_columns);
    free((char *)(*self)->rejected_topic);
    mr_props_close(&(*self)->props);
    free(*self);
    *self = NULL;
}

/* The fields of the message win over what the config says. */
static mr_err set_fields(mr_props *props, const Mr__Proto__Assignment *message)
{
    char number[24];
    mr_err err = mr_props_set(props, "kind", mr_kind_name(message->kind));
    if (err == MR_OK)
        err = mr_props_set(props, "tenant", message->id->tenant);
    if (err == MR_OK)
        err = mr_props_set(props, "name", message->id->connector);
    snprintf(number, sizeof number, "%" PRId32, message->id->task);
    if (err == MR_OK)
        err = mr_props_set(props, "task", number);
    snprintf(number, sizeof number, "%" PRId64, message->epoch);
    if (err == MR_OK)
        err = mr_props_set(props, "epoch", number);
    return err;
}

mr_err assignment_props(const Mr__Proto__Assignment *message, mr_props **ret_props, mr_error *ret_error)
{
    mr_props *props = NULL;
    mr_err err = mr_props_open(&props);
    for (size_t i = 0; err == MR_OK && i < message->n_config; i++)
        err = mr_props_set(props, message->config[i]->key, message->config[i]->value);
    if (err == MR_OK)
        err = set_fields(props, message);
    if (err != MR_OK) {
        mr_props_close(&props);
        return mr_fail(ret_error, err, "out of memory");
    }
    *ret_props = props;
    return MR_OK;
}

mr_env assignment_env(const assignment *self, size_t memory_budget_bytes)
{
    return (mr_env){
        .tenant = self->identity.tenant,
        .tenant_uid = self->identity.tenant_uid,
        .dataset = self->dataset,
        .connector = self->identity.connector,
        .task = self->identity.task,
        .epoch = self->identity.epoch,
        .topic = self->topic,
        .config = self->props,
        .schema = self->schema,
        .key_columns = self->key_columns,
        .key_column_count = self->key_column_count,
        .memory_budget_bytes = memory_budget_bytes,
    };
}

mr_err assignment_open_bus(const assignment *work, mr_bus **bus, mr_bus_writer **writer,
                           int64_t *ret_stored_epoch, mr_error *ret_error)
{
    const mr_bus_identity *id = &work->identity;
    mr_err err = mr_bus_open(work->props, id->tenant, id->tenant_uid, bus, ret_error);
    if (err == MR_OK)
        err = mr_bus_writer_open(*bus, id, writer, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = mr_bus_create_topic(*bus, work->topic, work->partitions, ret_error);
    if (err == MR_OK)
        err = mr_bus_create_topic(*bus, work->rejected_topic, 1, ret_error);
    return err;
}
