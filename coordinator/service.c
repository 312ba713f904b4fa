/* service.c - opening, closing, and the small things that every part of the core uses. */
#include "coordinator/drive.h"
#include "coordinator/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *mr_json_text(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

json_t *mr_json_time(int64_t ms)
{
    if (ms == 0)
        return json_null();
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char date[40], text[60];
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03dZ", date, (int)(ms % 1000));
    return json_string(text);
}

mr_err mr_apply(mr_service *service, const char *name, const char *tenant, const char *key,
                mr_err (*execute)(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error), void *arg,
                json_t **ret_answer, mr_error *ret_error)
{
    char own[300];
    if (key != NULL && (strlen(key) == 0 || strlen(key) > 200))
        return mr_fail(ret_error, MR_EINVALID, "an idempotency key has 1 to 200 bytes");
    if (key != NULL)
        snprintf(own, sizeof own, "%s:%s", tenant, key);
    mr_command command = {
        .name = name,
        .key = key != NULL ? own : NULL,
        .tenant = tenant,
        .who = service->asked ? service->who : "coordinator",
        .from = service->asked ? service->from : NULL,
        .now_ms = service->now_ms,
        .execute = execute,
        .arg = arg,
    };
    mr_err err = mr_state_apply(service->state, &command, ret_answer, NULL, ret_error);
    if (err == MR_OK && tenant != NULL)
        mr_mark_dirty(service, tenant);
    return err;
}

void mr_mark_dirty(mr_service *service, const char *tenant)
{
    service->events++;
    if (mr_name_map_get(&service->dirty, tenant) != NULL)
        return;
    char *name = strdup(tenant);
    if (name == NULL || mr_name_map_put(&service->dirty, name, name) != MR_OK) {
        free(name);
        mr_log(MR_ERROR, "out of memory: the tenant is looked at later", MR_STR("tenant", tenant));
    }
}

void mr_wake_at(mr_service *service, int64_t when_ms)
{
    if (when_ms < service->wake_ms)
        service->wake_ms = when_ms;
}

void mr_look_again(mr_service *service, const char *tenant, int64_t when_ms)
{
    mr_later *later = mr_name_map_get(&service->later, tenant);
    if (later == NULL) {
        later = calloc(1, sizeof *later);
        if (later == NULL)
            return;
        snprintf(later->tenant, sizeof later->tenant, "%s", tenant);
        later->when_ms = INT64_MAX;
        if (mr_name_map_put(&service->later, later->tenant, later) != MR_OK) {
            free(later);
            return;
        }
    }
    if (when_ms < later->when_ms)
        later->when_ms = when_ms;
    mr_wake_at(service, when_ms);
}

int64_t mr_told(mr_service *service, mr_err err, const mr_error *error, const char *what, const char *tenant)
{
    if (err == MR_OK) {
        mr_trouble_end(&service->troubles, what, tenant, service->now_ms);
        return INT64_MAX;
    }
    int64_t again_ms = mr_trouble_begin(&service->troubles, what, tenant, error, service->now_ms);
    mr_wake_at(service, again_ms);
    return again_ms;
}

void mr_mark_due(mr_service *service)
{
    mr_later *later;
    for (size_t at = 0; (later = mr_name_map_next(&service->later, &at)) != NULL;) {
        mr_wake_at(service, later->when_ms);
        if (later->when_ms > service->now_ms)
            continue;
        mr_mark_dirty(service, later->tenant);
        mr_name_map_remove(&service->later, later->tenant);
        free(later);
        at = 0; /* a removal moves others */
    }
}

void mr_service_set_now(mr_service *service, int64_t now_ms)
{
    enum { TOLERATED_MS = 1000 }; /* a clock that is being slewed */
    if (now_ms < service->now_ms - TOLERATED_MS)
        mr_clock_set_back(service, service->now_ms - now_ms);
    service->now_ms = now_ms;
}

void mr_service_set_client(mr_service *service, const char *who, const char *from)
{
    service->asked = from != NULL;
    service->who = who;
    service->from = from;
}

const mr_service_config *mr_service_config_of(const mr_service *service)
{
    return &service->config;
}

const char *mr_service_staging_id(const mr_service *service)
{
    return mr_staging_id(service->staging);
}

bool mr_service_wants_sweep(mr_service *service)
{
    bool wanted = service->sweep;
    service->sweep = false;
    return wanted;
}

void mr_service_sweep(mr_service *service)
{
    mr_staging_sweep(service->staging);
}

static mr_err mark_all_dirty(mr_service *service, mr_error *ret_error)
{
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT tenant FROM tenants WHERE state = 'DELETING' UNION SELECT tenant FROM runs"
                     " WHERE state NOT IN " SQL_FINAL " UNION SELECT tenant FROM tasks",
                     "");
    while (mr_query_next(query))
        mr_mark_dirty(service, mr_query_text(query, 0));
    return mr_db_take_error(service->db, ret_error);
}

mr_err mr_service_open(const mr_service_config *config, int64_t now_ms, mr_service **ret_service,
                       mr_error *ret_error)
{
    mr_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "service: out of memory");
    service->config = *config;
    service->now_ms = service->started_ms = service->healthy_since_ms = now_ms;
    service->healthy = service->place = service->sweep = true;
    service->flush_ms = service->place_ms = INT64_MAX;
    /* A worker may hold a version from our former life: ours is another one, whatever it was. */
    service->desired_version = (uint64_t)now_ms * 1000;
    mr_err err = mr_staging_open(config->staging_dir, &service->staging, ret_error);
    if (err == MR_OK)
        err = mr_state_open(config->data_dir, &service->state, ret_error);
    if (err == MR_OK) {
        service->db = mr_state_db(service->state);
        err = mr_import_staging(service, ret_error);
    }
    if (err == MR_OK)
        err = mr_tasks_load(service, ret_error);
    if (err == MR_OK)
        err = mr_recover_uploads(service, ret_error);
    if (err == MR_OK)
        err = mark_all_dirty(service, ret_error);
    if (err != MR_OK) {
        mr_service_close(&service);
        return err;
    }
    *ret_service = service;
    return MR_OK;
}

void mr_service_close(mr_service **service)
{
    if (*service == NULL)
        return;
    mr_service *it = *service;
    if (it->db != NULL)
        (void)mr_flush_progress(it, NULL); /* observations: what is lost is reported again */
    mr_tasks_close(it);
    mr_forget_specs(it);
    mr_zones_forget(it);
    void *value;
    for (size_t at = 0; (value = mr_name_map_next(&it->workers, &at)) != NULL;)
        free(value);
    for (size_t at = 0; (value = mr_name_map_next(&it->dirty, &at)) != NULL;)
        free(value);
    for (size_t at = 0; (value = mr_name_map_next(&it->later, &at)) != NULL;)
        free(value);
    mr_troubles_fini(&it->troubles);
    mr_name_map_fini(&it->later);
    mr_name_map_fini(&it->workers);
    mr_name_map_fini(&it->incarnations);
    mr_name_map_fini(&it->dirty);
    mr_state_close(&it->state);
    mr_staging_close(&it->staging);
    free(it);
    *service = NULL;
}
