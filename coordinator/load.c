/* load.c - rows of tenants and runs, and specifications, as the core sees them. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *out, size_t size, mr_query *query, int column)
{
    snprintf(out, size, "%s", mr_query_text(query, column));
}

bool mr_load_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant)
{
    mr_query *query = mr_db_select(
        service->db,
        "SELECT tenant, uid, state, schedule, version, next_due_ms, last_due_ms, time_zone, suspended,"
        " schedule_note FROM tenants"
        " WHERE tenant = ?",
        "t", tenant);
    if (!mr_query_next(query))
        return false;
    copy_text(ret_tenant->tenant, sizeof ret_tenant->tenant, query, 0);
    copy_text(ret_tenant->uid, sizeof ret_tenant->uid, query, 1);
    copy_text(ret_tenant->state, sizeof ret_tenant->state, query, 2);
    copy_text(ret_tenant->schedule, sizeof ret_tenant->schedule, query, 3);
    ret_tenant->version = mr_query_int(query, 4);
    ret_tenant->next_due_ms = mr_query_int(query, 5);
    ret_tenant->last_due_ms = mr_query_int(query, 6);
    copy_text(ret_tenant->time_zone, sizeof ret_tenant->time_zone, query, 7);
    ret_tenant->suspended = mr_query_int(query, 8) != 0;
    copy_text(ret_tenant->schedule_note, sizeof ret_tenant->schedule_note, query, 9);
    mr_query_end(query);
    return true;
}

mr_err mr_find_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant, mr_error *ret_error)
{
    if (mr_load_tenant(service, tenant, ret_tenant))
        return MR_OK;
    mr_err err = mr_db_take_error(service->db, ret_error);
    return err != MR_OK ? err : mr_fail(ret_error, MR_ENOTFOUND, "there is no tenant \"%s\"", tenant);
}

#define RUN_COLUMNS                                                                                          \
    "SELECT run_uid, tenant, uid, run_id, trigger, state, outcome, reason, manifest_sha256, retry_of, seq, " \
    "version,"                                                                                               \
    " files, attempts, attempt_after_ms, sealed_epoch, created_ms, finished_ms, due_ms, replaces FROM runs "

static bool read_run(mr_query *query, mr_run *run)
{
    if (!mr_query_next(query))
        return false;
    copy_text(run->run_uid, sizeof run->run_uid, query, 0);
    copy_text(run->tenant, sizeof run->tenant, query, 1);
    copy_text(run->uid, sizeof run->uid, query, 2);
    copy_text(run->run_id, sizeof run->run_id, query, 3);
    copy_text(run->trigger, sizeof run->trigger, query, 4);
    copy_text(run->state, sizeof run->state, query, 5);
    copy_text(run->outcome, sizeof run->outcome, query, 6);
    copy_text(run->reason, sizeof run->reason, query, 7);
    copy_text(run->manifest_sha256, sizeof run->manifest_sha256, query, 8);
    copy_text(run->retry_of, sizeof run->retry_of, query, 9);
    run->seq = mr_query_int(query, 10);
    run->version = mr_query_int(query, 11);
    run->files = mr_query_int(query, 12);
    run->attempts = mr_query_int(query, 13);
    run->attempt_after_ms = mr_query_int(query, 14);
    run->sealed_epoch = mr_query_int(query, 15);
    run->created_ms = mr_query_int(query, 16);
    run->finished_ms = mr_query_int(query, 17);
    run->due_ms = mr_query_int(query, 18);
    copy_text(run->replaces, sizeof run->replaces, query, 19);
    mr_query_end(query);
    return true;
}

bool mr_load_run(mr_service *service, const char *run_uid, mr_run *ret_run)
{
    return read_run(mr_db_select(service->db, RUN_COLUMNS "WHERE run_uid = ?", "t", run_uid), ret_run);
}

mr_err mr_find_run(mr_service *service, const char *tenant, const char *run, mr_run *ret_run,
                   mr_error *ret_error)
{
    mr_tenant row;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err != MR_OK)
        return err;
    mr_query *query = mr_db_select(service->db, RUN_COLUMNS "WHERE uid = ? AND (run_id = ? OR run_uid = ?)",
                                   "ttt", row.uid, run, run);
    if (read_run(query, ret_run))
        return MR_OK;
    err = mr_db_take_error(service->db, ret_error);
    return err != MR_OK ? err : mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no run \"%s\"", tenant, run);
}

size_t mr_list_open_runs(mr_service *service, const char *uid, char (*ret_uids)[UID_BYTES], size_t limit)
{
    size_t count = 0;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT run_uid FROM runs WHERE uid = ? AND state NOT IN " SQL_FINAL
                                   " ORDER BY seq IS NULL, seq, created_ms, run_id LIMIT ?",
                                   "ti", uid, (int64_t)limit);
    while (mr_query_next(query))
        copy_text(ret_uids[count++], UID_BYTES, query, 0);
    return count;
}

/* --- specifications --- */

static mr_err parse_datasets(const json_t *texts, mr_tenant_spec *spec, mr_error *ret_error)
{
    spec->datasets = calloc(json_array_size(texts) + 1, sizeof *spec->datasets);
    if (spec->datasets == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "specification: out of memory");
    mr_dataset_rules rules = {.document = "dataset"};
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        mr_err err = mr_dataset_parse(mr_slice_of(text != NULL ? text : ""), &rules, NULL,
                                      &spec->datasets[spec->dataset_count], ret_error);
        if (err != MR_OK)
            return err;
        spec->dataset_count++;
    }
    return MR_OK;
}

static mr_err parse_spec(mr_service *service, mr_query *query, mr_tenant_spec *spec, mr_error *ret_error)
{
    mr_agreement_rules rules = {.document = "agreement", .default_store = service->config.store};
    mr_err err =
        mr_agreement_parse(mr_slice_of(mr_query_text(query, 0)), &rules, NULL, &spec->agreement, ret_error);
    json_t *texts = json_loads(mr_query_text(query, 1), 0, NULL);
    if (err == MR_OK)
        err = parse_datasets(texts, spec, ret_error);
    json_decref(texts);
    if (err == MR_OK && !mr_query_null(query, 2)) {
        spec->program = strdup(mr_query_text(query, 2));
        if (spec->program == NULL)
            err = mr_fail(ret_error, MR_ENOMEM, "specification: out of memory");
    }
    return err;
}

mr_err mr_load_spec(mr_service *service, const char *uid, int64_t version, const mr_tenant_spec **ret_spec,
                    mr_error *ret_error)
{
    struct mr_spec_entry *oldest = &service->specs[0];
    for (size_t i = 0; i < SPECS_KEPT; i++) {
        struct mr_spec_entry *entry = &service->specs[i];
        if (strcmp(entry->uid, uid) == 0 && entry->version == version) {
            entry->used = ++service->spec_clock;
            *ret_spec = &entry->spec;
            return MR_OK;
        }
        if (entry->used < oldest->used)
            oldest = entry;
    }
    mr_query *query = mr_db_select(
        service->db, "SELECT agreement, datasets, program FROM specs WHERE uid = ? AND version = ?", "ti",
        uid, version);
    if (!mr_query_next(query)) {
        mr_err err = mr_db_take_error(service->db, ret_error);
        return err != MR_OK
                   ? err
                   : mr_fail(ret_error, MR_EBUG, "specification %s/%lld is missing", uid, (long long)version);
    }
    mr_tenant_spec spec = {0};
    mr_err err = parse_spec(service, query, &spec, ret_error);
    mr_query_end(query);
    if (err != MR_OK) {
        mr_tenant_spec_fini(&spec);
        return err;
    }
    mr_tenant_spec_fini(&oldest->spec);
    *oldest = (struct mr_spec_entry){.version = version, .used = ++service->spec_clock, .spec = spec};
    snprintf(oldest->uid, sizeof oldest->uid, "%s", uid);
    *ret_spec = &oldest->spec;
    return MR_OK;
}

void mr_forget_specs(mr_service *service)
{
    for (size_t i = 0; i < SPECS_KEPT; i++) {
        mr_tenant_spec_fini(&service->specs[i].spec);
        service->specs[i] = (struct mr_spec_entry){0};
    }
}

const mr_dataset *mr_spec_dataset(const mr_tenant_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->dataset_count; i++) {
        if (strcmp(spec->datasets[i]->name, name) == 0)
            return spec->datasets[i];
    }
    return NULL;
}

const mr_agreement_sink *mr_spec_sink(const mr_tenant_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->agreement->sink_count; i++) {
        if (strcmp(spec->agreement->sinks[i].name, name) == 0)
            return &spec->agreement->sinks[i];
    }
    return NULL;
}
