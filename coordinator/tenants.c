/* tenants.c - applying a tenant: who owns which topic and table, versions of specification and schemas. */
#include "coordinator/gone_sinks.h"
#include "coordinator/records.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VERSIONS_BYTES = 96 * 1024 };

typedef struct apply_request {
    mr_service *service;
    const mr_tenant_spec *spec;
    const mr_tenant_spec *last; /* NULL: the tenant is new */
    mr_tenant tenant;
    const mr_warnings *warnings;
    bool check_only;
    json_t *datasets; /* texts */
    json_t *warning_texts;
} apply_request;

/* Kafka holds `.` and `_` in names of topics for equal. */
static void fold_topic(char *out, size_t size, const char *tenant, const char *dataset, const char *suffix)
{
    snprintf(out, size, "%s.%s%s", tenant, dataset, suffix);
    for (; *out != '\0'; out++) {
        if (*out == '_')
            *out = '.';
    }
}

static mr_err own_topic(mr_db *db, const char *tenant, const char *dataset, const char *suffix,
                        mr_error *ret_error)
{
    char folded[256], owner[64], owned[128];
    fold_topic(folded, sizeof folded, tenant, dataset, suffix);
    mr_query *query = mr_db_select(db, "SELECT tenant, dataset FROM topics WHERE folded = ?", "t", folded);
    if (mr_query_next(query)) {
        snprintf(owner, sizeof owner, "%s", mr_query_text(query, 0));
        snprintf(owned, sizeof owned, "%s", mr_query_text(query, 1));
        mr_query_end(query);
        if (strcmp(owner, tenant) == 0 && strcmp(owned, dataset) == 0)
            return MR_OK;
        return mr_fail(ret_error, MR_EEXISTS,
                       "dataset \"%s\": its topic %s.%s%s is held for equal to one of dataset \"%s\" of "
                       "tenant %s: choose another name",
                       dataset, tenant, dataset, suffix, owned, owner);
    }
    mr_db_run(db, "INSERT INTO topics(folded, tenant, dataset) VALUES(?, ?, ?)", "ttt", folded, tenant,
              dataset);
    return MR_OK;
}

static mr_err own_table(mr_db *db, const char *tenant, const mr_dataset *dataset,
                        const mr_agreement_sink *sink, mr_error *ret_error)
{
    char folded[256], owner[64], owned[128];
    const char *store = sink->class_name, *table = mr_sink_table(sink, dataset);
    snprintf(folded, sizeof folded, "%s", table);
    for (char *c = folded; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    mr_query *query =
        mr_db_select(db,
                     "SELECT tenant, dataset FROM store_tables WHERE store = ? AND key_space = ? COLLATE"
                     " NOCASE AND folded = ?",
                     "ttt", store, dataset->key_space, folded);
    if (mr_query_next(query)) {
        snprintf(owner, sizeof owner, "%s", mr_query_text(query, 0));
        snprintf(owned, sizeof owned, "%s", mr_query_text(query, 1));
        mr_query_end(query);
        if (strcmp(owner, tenant) == 0 && strcmp(owned, dataset->name) == 0)
            return MR_OK;
        return mr_fail(
            ret_error, MR_EEXISTS,
            "%s: dataset \"%s\": table %s.%s in store %s belongs to dataset \"%s\" of tenant %s: choose "
            "another table or key space",
            dataset->document, dataset->name, dataset->key_space, table, store, owned, owner);
    }
    mr_db_run(db, "INSERT INTO store_tables(store, key_space, folded, tenant, dataset) VALUES(?, ?, ?, ?, ?)",
              "ttttt", store, dataset->key_space, folded, tenant, dataset->name);
    return MR_OK;
}

/* A new version of the subject, unless the last one has the same text. */
static void own_schema(mr_db *db, const char *uid, const char *subject, mr_slice text)
{
    char *copy = strndup(text.data, text.size);
    mr_query *query = mr_db_select(db,
                                   "SELECT version, text = ? FROM schemas WHERE uid = ? AND subject = ?"
                                   " ORDER BY version DESC LIMIT 1",
                                   "ttt", copy, uid, subject);
    int64_t version = 0;
    bool same = false;
    if (mr_query_next(query)) {
        version = mr_query_int(query, 0);
        same = mr_query_int(query, 1) != 0;
        mr_query_end(query);
    }
    if (!same)
        mr_db_run(db, "INSERT INTO schemas(uid, subject, version, text) VALUES(?, ?, ?, ?)", "ttit", uid,
                  subject, version + 1, copy);
    free(copy);
}

/* A sink is told all versions that may be in the topic, in one packet: as JSON, so quotes count twice. */
static mr_err check_versions(mr_db *db, const char *uid, const char *subject, const mr_dataset *dataset,
                             mr_error *ret_error)
{
    const int64_t count =
        mr_db_int(db, 0, "SELECT count(*) FROM schemas WHERE uid = ? AND subject = ?", "tt", uid, subject);
    const int64_t bytes =
        mr_db_int(db, 0,
                  "SELECT sum(2 * length(CAST(text AS BLOB)) - length(CAST(replace(text, '\"', '') AS BLOB)))"
                  " FROM schemas WHERE uid = ? AND subject = ?",
                  "tt", uid, subject);
    if (count < 2 || bytes + (int64_t)mr_schema_text(dataset->schema).size <= MAX_VERSIONS_BYTES)
        return MR_OK;
    return mr_fail(
        ret_error, MR_EREFUSED,
        "%s: dataset \"%s\": its %lld versions of the schema are together larger than the %d KiB that a "
        "sink can be told: use another dataset name",
        dataset->document, dataset->name, (long long)count, MAX_VERSIONS_BYTES / 1024);
}

mr_err mr_own_dataset(mr_db *db, const mr_tenant *owner, const mr_tenant_spec *spec,
                      const mr_dataset *dataset, mr_error *ret_error)
{
    const char *tenant = owner->tenant;
    mr_err err = own_topic(db, tenant, dataset->name, "", ret_error);
    if (err == MR_OK)
        err = own_topic(db, tenant, dataset->name, ".rejected", ret_error);
    for (size_t i = 0; i < spec->agreement->sink_count && err == MR_OK; i++) {
        const mr_agreement_sink *sink = &spec->agreement->sinks[i];
        mr_sink_there(db, owner->uid, dataset->name, sink->name);
        err = own_table(db, tenant, dataset, sink, ret_error);
    }
    mr_schema *key = NULL;
    if (err == MR_OK)
        err =
            mr_schema_key(dataset->schema, dataset->key_columns, dataset->key_column_count, &key, ret_error);
    if (err == MR_OK) {
        char subject[256];
        snprintf(subject, sizeof subject, "%s.%s-value", tenant, dataset->name);
        own_schema(db, owner->uid, subject, mr_schema_text(dataset->schema));
        err = check_versions(db, owner->uid, subject, dataset, ret_error);
        snprintf(subject, sizeof subject, "%s.%s-key", tenant, dataset->name);
        own_schema(db, owner->uid, subject, mr_schema_text(key));
    }
    mr_schema_close(&key);
    return err;
}

/* What is in the topic is kept as long as what any run left behind. */
void mr_drop_dataset(mr_db *db, const mr_service *service, const mr_tenant *owner, const mr_tenant_spec *last,
                     const char *dataset)
{
    const mr_agreement *agreement = last->agreement;
    int64_t due_ms = service->now_ms + agreement->data_retention_period_days * 86400000;
    for (size_t i = 0; i < agreement->sink_count; i++)
        mr_sink_gone_with_topic(db, owner->uid, dataset, agreement->sinks[i].name, due_ms);
    mr_db_run(db, "DELETE FROM topics WHERE tenant = ? AND dataset = ?", "tt", owner->tenant, dataset);
    mr_db_run(db, "DELETE FROM store_tables WHERE tenant = ? AND dataset = ?", "tt", owner->tenant, dataset);
}

/* A dataset that the new specification leaves out. */
static mr_err drop_dataset(mr_db *db, const apply_request *apply, const char *dataset, mr_error *ret_error)
{
    const char *uid = apply->tenant.uid;
    int64_t files = mr_db_int(db, 0,
                              "SELECT count(*) FROM uploads WHERE uid = ? AND dataset = ? AND state IN"
                              " ('receiving','ready','claimed')",
                              "tt", uid, dataset);
    int64_t runs =
        mr_db_int(db, 0,
                  "SELECT count(*) FROM run_datasets d JOIN runs r USING(run_uid) WHERE d.uid = ? AND"
                  " d.dataset = ? AND r.state NOT IN " SQL_FINAL,
                  "tt", uid, dataset);
    if (files > 0 || runs > 0)
        return mr_fail(ret_error, MR_EREFUSED,
                       "dataset \"%s\" cannot be removed: %lld file(s) wait and %lld run(s) are not finished "
                       "(millrace run "
                       "list %s)",
                       dataset, (long long)files, (long long)runs, apply->tenant.tenant);
    mr_drop_dataset(db, apply->service, &apply->tenant, apply->last, dataset);
    return MR_OK;
}

/* What a removed sink has not delivered is abandoned; should it come back, it starts with the next run. */
void mr_drop_sink(mr_db *db, const char *uid, const mr_tenant_spec *last, const char *sink)
{
    for (size_t i = 0; i < last->dataset_count; i++)
        mr_sink_gone(db, uid, last->datasets[i]->name, sink);
}

static mr_err compare_with_last(mr_db *db, const apply_request *apply, mr_error *ret_error)
{
    for (size_t i = 0; i < apply->last->dataset_count; i++) {
        const mr_dataset *before = apply->last->datasets[i];
        const mr_dataset *after = mr_spec_dataset(apply->spec, before->name);
        mr_err err = after != NULL ? mr_dataset_may_follow(before, after, ret_error)
                                   : drop_dataset(db, apply, before->name, ret_error);
        if (err != MR_OK)
            return err;
    }
    for (size_t i = 0; i < apply->last->agreement->sink_count; i++) {
        const mr_agreement_sink *before = &apply->last->agreement->sinks[i];
        const mr_agreement_sink *after = mr_spec_sink(apply->spec, before->name);
        if (after != NULL && strcmp(after->class_name, before->class_name) != 0)
            return mr_fail(ret_error, MR_EREFUSED,
                           "sink \"%s\" cannot become a %s: give the new one another name", before->name,
                           after->class_name);
        if (after == NULL)
            mr_drop_sink(db, apply->tenant.uid, apply->last, before->name);
    }
    return MR_OK;
}

static void insert_version(mr_db *db, const apply_request *apply)
{
    const mr_agreement *agreement = apply->spec->agreement;
    char *datasets = json_dumps(apply->datasets, JSON_COMPACT);
    char *warnings = json_dumps(apply->warning_texts, JSON_COMPACT);
    mr_db_run(
        db,
        "INSERT INTO specs(uid, version, agreement, datasets, program, warnings, retention_days, applied_ms)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        "tittttii", apply->tenant.uid, apply->tenant.version, agreement->text, datasets, apply->spec->program,
        warnings, agreement->data_retention_period_days, apply->service->now_ms);
    free(datasets);
    free(warnings);
}

/* Without its zone data it has no next time: that is looked for each hour (scheduler.c). */
static int64_t next_due(mr_service *service, const mr_tenant *known, const mr_agreement *agreement)
{
    mr_schedule schedule;
    if (known != NULL && strcmp(agreement->schedule, known->schedule) == 0 &&
        strcmp(agreement->time_zone, known->time_zone) == 0)
        return known->next_due_ms;
    if (mr_schedule_open(service, agreement->schedule, agreement->time_zone, &schedule, NULL) != MR_OK)
        return 0;
    return mr_schedule_next(&schedule, service->now_ms);
}

void mr_put_tenant(mr_db *db, mr_service *service, const mr_tenant *tenant, const mr_tenant *known,
                   const mr_agreement *agreement, int64_t created_ms)
{
    bool suspended = known != NULL && known->suspended;
    if (agreement->suspend != MR_SUSPEND_UNSAID)
        suspended = agreement->suspend == MR_SUSPEND_YES;
    mr_db_run(db,
              "INSERT INTO tenants(tenant, uid, state, version, created_ms, schedule, time_zone, next_due_ms,"
              " suspended, concurrency) VALUES(?, ?, 'ACTIVE', ?, ?, ?, ?, nullif(?, 0), ?, ?) ON "
              "CONFLICT(tenant) DO UPDATE"
              " SET version = excluded.version, schedule = excluded.schedule, time_zone = excluded.time_zone,"
              " next_due_ms = excluded.next_due_ms, suspended = excluded.suspended,"
              " concurrency = excluded.concurrency",
              "ttiittiii", tenant->tenant, tenant->uid, tenant->version, created_ms, agreement->schedule,
              agreement->time_zone, next_due(service, known, agreement), (int64_t)suspended,
              (int64_t)agreement->concurrency);
}

static mr_err execute_apply(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    apply_request *apply = arg;
    mr_err err = apply->last != NULL ? compare_with_last(db, apply, ret_error) : MR_OK;
    for (size_t i = 0; i < apply->spec->dataset_count && err == MR_OK; i++)
        err = mr_own_dataset(db, &apply->tenant, apply->spec, apply->spec->datasets[i], ret_error);
    if (err != MR_OK)
        return err;
    if (apply->check_only)
        return MR_OK;
    apply->tenant.version++;
    insert_version(db, apply);
    mr_put_tenant(db, apply->service, &apply->tenant, apply->last != NULL ? &apply->tenant : NULL,
                  apply->spec->agreement, apply->service->now_ms);
    mr_audit_apply(db, apply->last, apply->spec, apply->tenant.version);
    *ret_answer = json_pack("{s:s, s:s}", "tenant", apply->tenant.tenant, "uid", apply->tenant.uid);
    return mr_record_tenant(apply->service, apply->tenant.tenant, apply->tenant.uid, ret_error);
}

static mr_err prepare(mr_service *service, const mr_tenant_spec *spec, apply_request *apply,
                      mr_error *ret_error)
{
    const char *tenant = spec->agreement->client;
    *apply = (apply_request){.service = service, .spec = spec};
    if (mr_load_tenant(service, tenant, &apply->tenant)) {
        if (strcmp(apply->tenant.state, "ACTIVE") != 0)
            return mr_fail(ret_error, MR_EREFUSED, "tenant %s is being deleted: wait until it is gone",
                           tenant);
        mr_err err = mr_load_spec(service, apply->tenant.uid, apply->tenant.version, &apply->last, ret_error);
        if (err != MR_OK)
            return err;
    } else {
        snprintf(apply->tenant.tenant, sizeof apply->tenant.tenant, "%s", tenant);
        mr_random_hex(apply->tenant.uid, sizeof apply->tenant.uid);
    }
    return mr_db_take_error(service->db, ret_error);
}

mr_err mr_service_check_tenant(mr_service *service, const mr_tenant_spec *spec, mr_error *ret_error)
{
    apply_request apply;
    mr_err err = prepare(service, spec, &apply, ret_error);
    if (err != MR_OK)
        return err;
    /* The same statements as apply, rolled back. */
    mr_error error = {0};
    apply.check_only = true;
    mr_db_begin(service->db);
    err = execute_apply(service->db, &apply, NULL, &error);
    mr_db_rollback(service->db);
    if (err == MR_OK)
        return mr_db_take_error(service->db, ret_error);
    if (ret_error != NULL)
        *ret_error = error;
    return err;
}

mr_err mr_service_apply_tenant(mr_service *service, const char *key, const mr_tenant_spec *spec,
                               const mr_warnings *warnings, json_t **ret_answer, mr_error *ret_error)
{
    apply_request apply;
    mr_err err = prepare(service, spec, &apply, ret_error);
    if (err != MR_OK)
        return err;
    apply.datasets = json_array();
    apply.warning_texts = json_array();
    for (size_t i = 0; i < spec->dataset_count; i++)
        json_array_append_new(apply.datasets, json_string(spec->datasets[i]->text));
    for (size_t i = 0; warnings != NULL && i < warnings->count; i++)
        json_array_append_new(apply.warning_texts, json_string(warnings->texts[i]));
    const char *tenant = spec->agreement->client;
    bool exists = apply.last != NULL;
    err = mr_apply(service, "apply_tenant", tenant, key, execute_apply, &apply, NULL, ret_error);
    json_decref(apply.datasets);
    json_decref(apply.warning_texts);
    if (err != MR_OK)
        return err;
    mr_retry_failed_tasks(service, tenant);
    mr_log(MR_INFO, exists ? "tenant changed" : "tenant created", MR_STR("tenant", tenant));
    return mr_service_show_tenant(service, tenant, ret_answer, ret_error);
}

mr_err mr_service_tenant_spec(mr_service *service, const char *tenant, const mr_tenant_spec **ret_spec,
                              mr_error *ret_error)
{
    mr_tenant row;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    return err == MR_OK ? mr_load_spec(service, row.uid, row.version, ret_spec, ret_error) : err;
}
