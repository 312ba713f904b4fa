#include "coordinator/rest_fake_service.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct mr_service {
    mr_service_config config;
    mr_tenant_spec spec;
    mr_dataset *datasets[1];
    int uploads;
};

fake_calls fake;

static const char agreement[] = "{\"client\":\"client_a\",\"schedule\":\"0 * * * *\"}";
static const char dataset[] =
    "{\"name\":\"rows\",\"file_type\":\"csv\",\"key_space\":\"k\",\"primary_key\":[\"id\"],"
    "\"max_file_size_mb\":1,\"schema\":{\"type\":\"record\",\"name\":\"t\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"int\"}]}}";

mr_service *fake_service_open(const char *staging_dir)
{
    mr_service *service = calloc(1, sizeof *service);
    const mr_agreement_rules agreement_rules = {.document = "agreement", .default_store = "sqlite"};
    const mr_dataset_rules dataset_rules = {.document = "dataset"};
    service->config =
        (mr_service_config){.staging_dir = staging_dir, .store = "sqlite", .store_dir = "/nowhere"};
    service->spec.datasets = service->datasets;
    service->spec.dataset_count = 1;
    if (mr_agreement_parse(mr_slice_of(agreement), &agreement_rules, NULL, &service->spec.agreement, NULL) !=
            MR_OK ||
        mr_dataset_parse(mr_slice_of(dataset), &dataset_rules, NULL, &service->datasets[0], NULL) != MR_OK)
        abort();
    fake = (fake_calls){.begun = 0};
    return service;
}

void mr_service_close(mr_service **service)
{
    mr_agreement_close(&(*service)->spec.agreement);
    mr_dataset_close(&(*service)->datasets[0]);
    free(*service);
    *service = NULL;
}

const mr_service_config *mr_service_config_of(const mr_service *service)
{
    return &service->config;
}

void mr_service_set_now(mr_service *service, int64_t now_ms)
{
    (void)service;
    (void)now_ms;
}

void mr_service_set_client(mr_service *service, const char *who, const char *from)
{
    (void)service;
    if (from == NULL)
        return;
    snprintf(fake.who, sizeof fake.who, "%s", who != NULL ? who : "");
    snprintf(fake.from, sizeof fake.from, "%s", from);
}

static mr_err known(const char *tenant, mr_error *ret_error)
{
    return strcmp(tenant, "client_a") == 0 ? MR_OK : mr_fail(ret_error, MR_ENOTFOUND, "no tenant %s", tenant);
}

static mr_err answer(const char *tenant, json_t *view, json_t **ret_view, mr_error *ret_error)
{
    const mr_err err = known(tenant, ret_error);
    if (err == MR_OK)
        *ret_view = view;
    else
        json_decref(view);
    return err;
}

static void note_key(const char *key)
{
    snprintf(fake.last_key, sizeof fake.last_key, "%s", key == NULL ? "" : key);
}

mr_err mr_service_apply_tenant(mr_service *service, const char *key, const mr_tenant_spec *spec,
                               const mr_warnings *warnings, json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    (void)ret_error;
    fake.applied++;
    fake.last_has_program = spec->program != NULL;
    note_key(key);
    *ret_answer =
        json_pack("{s:s, s:i}", "tenant", spec->agreement->client, "warnings", (int)warnings->count);
    return MR_OK;
}

mr_err mr_service_check_tenant(mr_service *service, const mr_tenant_spec *spec, mr_error *ret_error)
{
    (void)service;
    (void)spec;
    (void)ret_error;
    fake.checked++;
    return MR_OK;
}

mr_err mr_service_list_tenants(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer("client_a", json_pack("[{s:s}]", "tenant", "client_a"), ret_view, ret_error);
}

mr_err mr_service_show_tenant(mr_service *service, const char *tenant, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer(tenant, json_pack("{s:s}", "tenant", tenant), ret_view, ret_error);
}

mr_err mr_service_delete_tenant(mr_service *service, const char *key, const char *tenant, bool purge,
                                json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    (void)key;
    if (!purge)
        return mr_fail(ret_error, MR_EREFUSED, "tenant %s has files", tenant);
    return answer(tenant, json_pack("{s:s, s:s}", "tenant", tenant, "state", "DELETING"), ret_answer,
                  ret_error);
}

mr_err mr_service_tenant_spec(mr_service *service, const char *tenant, const mr_tenant_spec **ret_spec,
                              mr_error *ret_error)
{
    const mr_err err = known(tenant, ret_error);
    if (err == MR_OK)
        *ret_spec = &service->spec;
    return err;
}

mr_err mr_service_begin_upload(mr_service *service, const char *key, const mr_upload_begin *begin,
                               mr_upload *ret_upload, json_t **ret_answer, mr_error *ret_error)
{
    fake.begun++;
    note_key(key);
    if (strchr(begin->file_name, '/') != NULL)
        return mr_fail(ret_error, MR_EINVALID, "file name: no /");
    if (key != NULL && strcmp(key, "known") == 0) {
        *ret_answer = json_pack("{s:i, s:s}", "upload_id", 7, "name", "first.csv");
        return MR_OK;
    }
    *ret_answer = NULL;
    *ret_upload = (mr_upload){.dataset = "rows", .limit_bytes = 1024 * 1024};
    snprintf(ret_upload->tenant, sizeof ret_upload->tenant, "%s", begin->tenant);
    snprintf(ret_upload->file_name, sizeof ret_upload->file_name, "%s", begin->file_name);
    snprintf(ret_upload->incoming, sizeof ret_upload->incoming, "upload-%d", ++service->uploads);
    return MR_OK;
}

mr_err mr_service_finish_upload(mr_service *service, const char *key, const mr_upload *upload,
                                int64_t size_bytes, const char *sha256, json_t **ret_answer,
                                mr_error *ret_error)
{
    (void)key;
    char path[400];
    fake.finished++;
    fake.last_size = size_bytes;
    snprintf(fake.last_file, sizeof fake.last_file, "%s", upload->file_name);
    snprintf(fake.last_sha256, sizeof fake.last_sha256, "%s", sha256);
    snprintf(path, sizeof path, "%s/incoming/%s", service->config.staging_dir, upload->incoming);
    if (unlink(path) != 0)
        return mr_fail(ret_error, MR_EIO, "%s is not there", path);
    *ret_answer = json_pack("{s:i, s:s, s:s, s:s, s:I, s:s}", "upload_id", service->uploads, "tenant",
                            upload->tenant, "dataset", upload->dataset, "name", upload->file_name,
                            "size_bytes", (json_int_t)size_bytes, "state", "ready");
    return MR_OK;
}

mr_err mr_service_list_uploads(mr_service *service, const char *tenant, const char *state, int64_t limit,
                               json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    (void)state;
    (void)limit;
    return answer(tenant,
                  json_pack("[{s:s, s:i, s:s}]", "name", "rows.csv", "size_bytes", 3, "state", "ready"),
                  ret_view, ret_error);
}

mr_err mr_service_show_uploads(mr_service *service, const char *tenant, const int64_t *ids, size_t count,
                               json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    json_t *view = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(view, json_pack("{s:I}", "upload_id", (json_int_t)ids[i]));
    return answer(tenant, view, ret_view, ret_error);
}

mr_err mr_service_run_now(mr_service *service, const char *key, const char *tenant, json_t **ret_answer,
                          mr_error *ret_error)
{
    (void)service;
    note_key(key);
    return answer(tenant, json_pack("{s:s, s:[]}", "run_id", "manual-1", "files"), ret_answer, ret_error);
}

mr_err mr_service_list_runs(mr_service *service, const char *tenant, int64_t limit, json_t **ret_view,
                            mr_error *ret_error)
{
    (void)service;
    return answer(tenant == NULL ? "client_a" : tenant, json_pack("[{s:I}]", "limit", (json_int_t)limit),
                  ret_view, ret_error);
}

mr_err mr_service_show_run(mr_service *service, const char *tenant, const char *run, json_t **ret_view,
                           mr_error *ret_error)
{
    (void)service;
    return answer(tenant, json_pack("{s:s}", "run_id", run), ret_view, ret_error);
}

mr_err mr_service_open_run_log(mr_service *service, const char *tenant, const char *run, int *ret_fd,
                               mr_error *ret_error)
{
    (void)run;
    char path[400];
    const mr_err err = known(tenant, ret_error);
    snprintf(path, sizeof path, "%s/log", service->config.staging_dir);
    if (err != MR_OK || (*ret_fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return mr_fail(ret_error, MR_ENOTFOUND, "run %s has no log", run);
    return MR_OK;
}

mr_err mr_service_cancel_run(mr_service *service, const char *key, const char *tenant, const char *run,
                             json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    (void)key;
    (void)tenant;
    (void)ret_answer;
    return mr_fail(ret_error, MR_EREFUSED, "run %s has stored rows; use run abandon", run);
}

mr_err mr_service_retry_run(mr_service *service, const char *key, const char *tenant, const char *run,
                            json_t **ret_answer, mr_error *ret_error)
{
    note_key(key);
    return mr_service_show_run(service, tenant, run, ret_answer, ret_error);
}

mr_err mr_service_abandon_run(mr_service *service, const char *key, const char *tenant, const char *run,
                              json_t **ret_answer, mr_error *ret_error)
{
    note_key(key);
    return mr_service_show_run(service, tenant, run, ret_answer, ret_error);
}

mr_err mr_service_show_schedule(mr_service *service, const char *tenant, size_t count, json_t **ret_view,
                                mr_error *ret_error)
{
    (void)service;
    return answer(tenant, json_pack("{s:s, s:i}", "tenant", tenant, "count", (int)count), ret_view,
                  ret_error);
}

mr_err mr_service_preview_schedule(mr_service *service, const char *schedule, const char *time_zone,
                                   int64_t from_ms, size_t count, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer("client_a",
                  json_pack("{s:s, s:s, s:I, s:i}", "schedule", schedule, "time_zone", time_zone, "from",
                            (json_int_t)from_ms, "count", (int)count),
                  ret_view, ret_error);
}

mr_err mr_service_suspend_schedule(mr_service *service, const char *key, const char *tenant, bool suspend,
                                   json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    note_key(key);
    return answer(tenant, json_pack("{s:s, s:b}", "tenant", tenant, "suspended", suspend), ret_answer,
                  ret_error);
}

mr_err mr_service_backfill(mr_service *service, const char *key, const char *tenant, int64_t from_ms,
                           int64_t to_ms, bool dry_run, json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    note_key(key);
    return answer(tenant,
                  json_pack("{s:I, s:I, s:b}", "from", (json_int_t)from_ms, "to", (json_int_t)to_ms,
                            "dry_run", dry_run),
                  ret_answer, ret_error);
}

mr_err mr_service_list_workers(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer("client_a", json_array(), ret_view, ret_error);
}

mr_err mr_service_list_ledger(mr_service *service, const char *tenant, const char *dataset_name,
                              const char *run, int64_t limit, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    (void)dataset_name;
    (void)limit;
    return answer(tenant == NULL ? "client_a" : tenant,
                  json_pack("[{s:s}]", "run", run == NULL ? "all" : run), ret_view, ret_error);
}

mr_err mr_service_status(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer("client_a", json_pack("{s:b}", "healthy", 1), ret_view, ret_error);
}

mr_err mr_service_inspect_config(mr_service *service, const char *tenant, const char *dataset_name,
                                 mr_props *config, mr_error *ret_error)
{
    (void)service;
    (void)dataset_name;
    const mr_err err = known(tenant, ret_error);
    return err == MR_OK ? mr_props_set(config, "tenant", tenant) : err;
}

mr_err mr_service_show_schema(mr_service *service, int64_t id, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    return answer("client_a", json_pack("{s:I}", "id", (json_int_t)id), ret_view, ret_error);
}

mr_err mr_service_list_audit(mr_service *service, const char *tenant, const char *what, int64_t before_id,
                             int64_t limit, json_t **ret_view, mr_error *ret_error)
{
    (void)service;
    (void)tenant;
    (void)ret_error;
    *ret_view = json_pack("[{s:s*, s:I, s:I}]", "what", what, "id", (json_int_t)before_id, "limit",
                          (json_int_t)limit);
    return MR_OK;
}

mr_err mr_service_replay(mr_service *service, const char *key, const char *tenant, const char *name,
                         const char *run, bool force, json_t **ret_answer, mr_error *ret_error)
{
    (void)service;
    (void)key;
    (void)ret_error;
    *ret_answer = json_pack("{s:s, s:s*, s:s*, s:b}", "tenant", tenant, "dataset", name, "run", run, "force",
                            (int)force);
    return MR_OK;
}

mr_err mr_service_run_uid(mr_service *service, const char *tenant, const char *run, char *out, size_t size,
                          mr_error *ret_error)
{
    (void)service;
    (void)tenant;
    (void)ret_error;
    snprintf(out, size, "%s", run);
    return MR_OK;
}
