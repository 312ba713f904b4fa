/* sqlite_sink.c - the rows of a transaction are queued, sorted by key and upserted at flush; the position and
 * the epoch are in the same transaction, so each record's effect is there exactly once (R2, R4). The write
 * lock is held from the first flush to the commit. */
#include "connectors/sqlite/sqlite_sink.h"

#include "connectors/option_tables.h"
#include "connectors/sqlite/fence.h"
#include "connectors/sqlite/pending.h"
#include "connectors/sqlite/row_queue.h"
#include "connectors/sqlite/row_writer.h"
#include "connectors/sqlite/table.h"
#include "core/avro.h"
#include "core/fault.h"
#include "core/plain_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_NAME_BYTES = 200, DEFAULT_QUEUE_BYTES = 16 * 1024 * 1024 };

typedef struct sqlite_sink {
    const mr_env *env;
    mr_verdicts *verdicts;
    sqlite_store store;
    sink_fence fence;
    row_writer writer;
    row_queue *queue;
    pending_records pending;
    mr_schema *key_schema;
    mr_avro_decoder *key_decoder;
    const mr_field *fields;
    size_t field_count;
    mr_value *values; /* of one row */
    bool plain;       /* all fields are of types that SQLite has */
    mr_arena texts;   /* of values of other types, as long as they are queued */
    size_t queue_bytes;
    int lock_timeout_ms;
    int waited_ms; /* for the lock, in flushes that did not get it */
} sqlite_sink;

static bool is_file_name(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= MAX_NAME_BYTES && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == size;
}

static mr_err check_names(const char *tenant, const char *key_space, const char *table, mr_error *ret_error)
{
    if (!is_file_name(tenant))
        return mr_fail(ret_error, MR_EINVALID, "tenant \"%.100s\" cannot name a folder", tenant);
    if (!is_file_name(key_space))
        return mr_fail(ret_error, MR_EINVALID,
                       "key.space \"%.100s\" cannot name a file: letters, digits, _, . and - are allowed, 1 "
                       "to %d, not a "
                       "dot or - first",
                       key_space, MAX_NAME_BYTES);
    if (table[0] == '\0' || strlen(table) > MAX_NAME_BYTES)
        return mr_fail(ret_error, MR_EINVALID, "table: a name has 1 to %d bytes", MAX_NAME_BYTES);
    if (strncasecmp(table, "millrace_", 9) == 0 || strncasecmp(table, "sqlite_", 7) == 0)
        return mr_fail(
            ret_error, MR_EINVALID,
            "table %s: names that begin with millrace_ or sqlite_ are taken; choose another by `table`",
            table);
    return MR_OK;
}

static const char *table_of(const mr_env *env)
{
    const char *table = mr_option_text(mr_sqlite_sink_options, env->config, "table");
    return table != NULL ? table : mr_schema_name(env->schema);
}

static mr_err open_memory(sqlite_sink *sink, mr_error *ret_error)
{
    const mr_env *env = sink->env;
    sink->fields = mr_schema_fields(env->schema, &sink->field_count);
    sink->plain = true;
    for (size_t i = 0; i < sink->field_count; i++)
        sink->plain = sink->plain && sink->fields[i].logical == MR_LOGICAL_NONE &&
                      mr_plain_type(&sink->fields[i]) == sink->fields[i].type;
    sink->values = calloc(sink->field_count, sizeof *sink->values);
    if (sink->values == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a row");
    mr_err err =
        mr_schema_key(env->schema, env->key_columns, env->key_column_count, &sink->key_schema, ret_error);
    if (err == MR_OK)
        err = mr_avro_decoder_open(sink->key_schema, sink->key_schema, &sink->key_decoder, ret_error);
    if (err == MR_OK)
        err = row_queue_open(env->schema, env->key_columns, env->key_column_count, &sink->queue, ret_error);
    sink->queue_bytes = env->memory_budget_bytes > 0 ? env->memory_budget_bytes : DEFAULT_QUEUE_BYTES;
    return err;
}

static mr_err open_store(sqlite_sink *sink, const char *key_space, mr_error *ret_error)
{
    const mr_option *options = mr_sqlite_sink_options;
    const mr_env *env = sink->env;
    char identity[400];
    store_settings settings = {
        .cache_bytes = mr_option_integer(options, env->config, "sqlite.cache.bytes"),
        .wal_bytes = mr_option_integer(options, env->config, "sqlite.wal.bytes"),
        .lock_timeout_ms = (int)mr_option_integer(options, env->config, "sqlite.lock.timeout.ms"),
    };
    if (snprintf(identity, sizeof identity, "%s/%s/%d", env->tenant, env->connector, env->task) >=
        (int)sizeof identity)
        return mr_fail(ret_error, MR_EINVALID, "connector %.100s...: the name is too long", env->connector);
    sink->lock_timeout_ms = settings.lock_timeout_ms;
    return store_open(&sink->store, mr_option_text(options, env->config, "store.dir"), env->tenant, key_space,
                      identity, env->epoch, &settings, ret_error);
}

/* One transaction: fenced and the table as the schema wants it, or nothing. */
static mr_err adopt(sqlite_sink *sink, const char *table, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    mr_err err = store_begin(&sink->store, ret_error);
    if (err != MR_OK)
        return err;
    err = fence_open(&sink->fence, &sink->store, sink->env, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = table_adopt(&sink->store, table, sink->env, ret_error);
    MR_FAULT("sqlite_before_fenced");
    if (err == MR_OK)
        err = store_commit(&sink->store, ret_error);
    else
        store_rollback(&sink->store);
    MR_FAULT("sqlite_after_fenced");
    return err;
}

static mr_err sqlite_sink_open(void *self, const mr_env *env, mr_verdicts *verdicts,
                               int64_t *ret_stored_epoch, mr_error *ret_error)
{
    sqlite_sink *sink = self;
    const char *key_space = mr_option_text(mr_sqlite_sink_options, env->config, "key.space");
    const char *table = table_of(env);
    sink->env = env;
    sink->verdicts = verdicts;
    mr_err err = check_names(env->tenant, key_space, table, ret_error);
    if (err == MR_OK)
        err = open_memory(sink, ret_error);
    if (err == MR_OK)
        err = open_store(sink, key_space, ret_error);
    if (err == MR_OK)
        err = adopt(sink, table, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        err = row_writer_open(&sink->writer, &sink->store, table, env, ret_error);
    return err;
}

static mr_err sqlite_sink_positions(void *self, mr_sink_position_fn fn, void *arg, mr_error *ret_error)
{
    sqlite_sink *sink = self;
    return fence_positions(&sink->fence, fn, arg, ret_error);
}

/* The transaction begins with the check of the epoch: what follows in it cannot be overtaken. */
static mr_err begin(sqlite_sink *sink, mr_error *ret_error)
{
    if (sink->store.in_transaction)
        return MR_OK;
    mr_err err = store_begin(&sink->store, ret_error);
    if (err != MR_OK)
        return err;
    err = fence_check(&sink->fence, ret_error);
    if (err != MR_OK)
        store_rollback(&sink->store);
    return err;
}

static mr_err write_row(sqlite_sink *sink, const queued_row *row, bool *ret_stored, mr_error *ret_error)
{
    char refusal[REFUSAL_BYTES];
    row_queue_values(sink->queue, row, sink->values);
    mr_err err = row->is_delete ? row_writer_delete(&sink->writer, sink->values, refusal, ret_error)
                                : row_writer_upsert(&sink->writer, sink->values, refusal, ret_error);
    *ret_stored = err == MR_OK && refusal[0] == '\0';
    if (err == MR_OK && refusal[0] != '\0')
        err = pending_refuse(&sink->pending, row->seq, refusal, ret_error);
    return err;
}

/* Of records with one key the last counts; when the store refuses that, the one before. */
static mr_err write_group(sqlite_sink *sink, const queued_entry *group, size_t count, mr_error *ret_error)
{
    bool stored = false;
    while (count > 0 && !stored) {
        mr_err err = write_row(sink, group[--count].row, &stored, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static mr_err write_sorted(sqlite_sink *sink, mr_error *ret_error)
{
    enum { AHEAD = 8 };
    size_t count;
    const queued_entry *entries = row_queue_sort(sink->queue, &count);
    for (size_t first = 0, end; first < count; first = end) {
        if (first + AHEAD < count)
            __builtin_prefetch(entries[first + AHEAD].row);
        for (end = first + 1; end < count && row_queue_same_key(entries[first].row, entries[end].row); end++)
            continue;
        mr_err err = write_group(sink, entries + first, end - first, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

/* Everything queued goes into the open transaction and gets its final verdict. */
static mr_err apply(sqlite_sink *sink, mr_error *ret_error)
{
    mr_err err = begin(sink, ret_error);
    if (err != MR_OK)
        return err;
    err = write_sorted(sink, ret_error);
    if (err != MR_OK) {
        store_rollback(&sink->store);
        return err;
    }
    row_queue_reset(sink->queue);
    mr_arena_reset(&sink->texts);
    MR_FAULT("sqlite_applied");
    pending_settle(&sink->pending, sink->verdicts);
    return MR_OK;
}

static mr_err refuse(sqlite_sink *sink, uint64_t seq, const char *reason, mr_error *ret_error)
{
    return pending_refuse(&sink->pending, seq, reason, ret_error);
}

/* As SQLite keeps them, into sink->values. MR_EINVALID: *ret_error says why it cannot. */
static mr_err make_plain(sqlite_sink *sink, const mr_field *fields, size_t count, const mr_value *values,
                         mr_error *ret_error)
{
    for (size_t i = 0; i < count; i++) {
        mr_err err = mr_plain_value(&fields[i], &values[i], &sink->texts, &sink->values[i], ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static mr_err queue_delete(sqlite_sink *sink, const mr_sink_record *record, mr_error *ret_error)
{
    uint32_t schema_id;
    mr_slice body;
    mr_error why;
    mr_err err = mr_wire_split(record->key, &schema_id, &body, &why);
    if (err == MR_OK)
        err = mr_avro_decode(sink->key_decoder, body, sink->values, &why);
    if (err == MR_OK && !sink->plain) {
        size_t count;
        const mr_field *fields = mr_schema_fields(sink->key_schema, &count);
        err = make_plain(sink, fields, count, sink->values, &why);
    }
    if (err == MR_ENOMEM)
        return mr_fail(ret_error, err, "%s", why.text);
    if (err == MR_OK)
        return row_queue_add(sink->queue, record->seq, sink->values, true, ret_error);
    char reason[600];
    snprintf(reason, sizeof reason, "the key of a tombstone cannot be read: %s", why.text);
    return refuse(sink, record->seq, reason, ret_error);
}

/* SQLite has no NaN: it keeps NULL in its place, which a nullable column takes. */
static const mr_field *find_impossible(const sqlite_sink *sink, const mr_value *values)
{
    for (size_t i = 0; i < sink->field_count; i++) {
        if ((values[i].type == MR_TYPE_DOUBLE || values[i].type == MR_TYPE_FLOAT) && isnan(values[i].real) &&
            !sink->fields[i].nullable)
            return &sink->fields[i];
    }
    return NULL;
}

static mr_err queue_upsert(sqlite_sink *sink, const mr_sink_record *record, mr_error *ret_error)
{
    const mr_field *impossible = find_impossible(sink, record->values);
    const mr_value *values = record->values;
    char reason[400];
    mr_error why;
    if (impossible == NULL && !sink->plain) {
        mr_err err = make_plain(sink, sink->fields, sink->field_count, values, &why);
        if (err != MR_OK)
            return err == MR_ETOOLARGE ? refuse(sink, record->seq, why.text, ret_error)
                                       : mr_fail(ret_error, err, "%s", why.text);
        values = sink->values;
    }
    if (impossible == NULL)
        return row_queue_add(sink->queue, record->seq, values, false, ret_error);
    snprintf(reason, sizeof reason, "column %s: NaN, which SQLite keeps as NULL, but the column is NOT NULL",
             impossible->name);
    return refuse(sink, record->seq, reason, ret_error);
}

static mr_err sqlite_sink_write(void *self, const mr_sink_record *records, size_t count, mr_error *ret_error)
{
    sqlite_sink *sink = self;
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        mr_err err = pending_add(&sink->pending, records[i].seq, ret_error);
        if (err == MR_OK && records[i].values == NULL)
            err = queue_delete(sink, &records[i], ret_error);
        else if (err == MR_OK)
            err = queue_upsert(sink, &records[i], ret_error);
        if (err == MR_OK && row_queue_bytes(sink->queue) + sink->texts.used_bytes >= sink->queue_bytes) {
            err = apply(sink, ret_error);
            told = i + 1;
        }
        if (err != MR_OK)
            return err;
    }
    for (; told < count; told++)
        mr_verdict_give(sink->verdicts, records[told].seq, records[told].seq, MR_SINK_QUEUED, 0, NULL);
    return MR_OK;
}

/* While another writer has the store, the records stay queued for a later flush, up to the lock timeout. */
static mr_err sqlite_sink_flush(void *self, int timeout_ms, mr_error *ret_error)
{
    sqlite_sink *sink = self;
    if (sink->pending.range_count == 0)
        return MR_OK;
    sink->store.lock_timeout_ms = timeout_ms < sink->lock_timeout_ms ? timeout_ms : sink->lock_timeout_ms;
    mr_err err = begin(sink, ret_error);
    sink->store.lock_timeout_ms = sink->lock_timeout_ms;
    if (err == MR_EUNAVAILABLE && sink->waited_ms + timeout_ms < sink->lock_timeout_ms) {
        sink->waited_ms += timeout_ms;
        return MR_OK;
    }
    sink->waited_ms = 0;
    return err == MR_OK ? apply(sink, ret_error) : err;
}

static mr_err store_positions(sqlite_sink *sink, const mr_sink_position *positions, size_t count,
                              mr_error *ret_error)
{
    mr_err err = begin(sink, ret_error);
    for (size_t i = 0; i < count && err == MR_OK; i++)
        err = fence_store(&sink->fence, &positions[i], ret_error);
    if (err != MR_OK)
        store_rollback(&sink->store);
    return err;
}

static mr_err sqlite_sink_commit(void *self, const mr_sink_position *positions, size_t count,
                                 mr_error *ret_error)
{
    sqlite_sink *sink = self;
    mr_err err = store_positions(sink, positions, count, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("sqlite_before_commit");
    err = store_commit(&sink->store, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("sqlite_after_commit");
    if (MR_FAULT_FAILS("sqlite_commit_unknown"))
        return mr_fail(ret_error, MR_EUNKNOWN, "store %s: the outcome of the commit is not known",
                       sink->store.path);
    return fence_committed(&sink->fence, positions, count, ret_error);
}

static void sqlite_sink_close(void *self)
{
    sqlite_sink *sink = self;
    row_writer_close(&sink->writer);
    fence_close(&sink->fence);
    store_close(&sink->store);
    row_queue_close(&sink->queue);
    pending_fini(&sink->pending);
    mr_avro_decoder_close(&sink->key_decoder);
    mr_schema_close(&sink->key_schema);
    mr_arena_fini(&sink->texts);
    free(sink->values);
    sink->values = NULL;
}

const mr_sink_class mr_sqlite_sink = {
    .name = "sqlite",
    .options = mr_sqlite_sink_options,
    .state_size = sizeof(sqlite_sink),
    .open = sqlite_sink_open,
    .positions = sqlite_sink_positions,
    .write = sqlite_sink_write,
    .flush = sqlite_sink_flush,
    .commit = sqlite_sink_commit,
    .close = sqlite_sink_close,
};
