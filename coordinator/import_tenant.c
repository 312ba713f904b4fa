/* import_tenant.c - a tenant that was created or changed after the copy was made, from its tenant.json. */
#include "coordinator/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mr_import_schemas(mr_db *db, const char *uid, const char *record)
{
    mr_db_run(db,
              "INSERT OR IGNORE INTO schemas(id, uid, subject, version, text) SELECT json_extract(value,"
              " '$.id'), ?2, json_extract(value, '$.subject'), json_extract(value, '$.version'),"
              " json_extract(value, '$.text') FROM json_each(?1, '$.schemas')",
              "tt", record, uid);
}

typedef struct tenant_import {
    mr_service *service;
    const char *record;
    mr_tenant known;            /* of the database; uid "" when it is new */
    const mr_tenant_spec *last; /* NULL: new */
    mr_tenant tenant;           /* as it will be */
} tenant_import;

/* What the newer version has left out. */
static void leave_out(mr_db *db, const tenant_import *import, const mr_tenant_spec *spec)
{
    for (size_t i = 0; i < import->last->dataset_count; i++) {
        if (mr_spec_dataset(spec, import->last->datasets[i]->name) == NULL)
            mr_drop_dataset(db, import->service, &import->tenant, import->last,
                            import->last->datasets[i]->name);
    }
    for (size_t i = 0; i < import->last->agreement->sink_count; i++) {
        if (mr_spec_sink(spec, import->last->agreement->sinks[i].name) == NULL)
            mr_drop_sink(db, import->tenant.uid, import->last, import->last->agreement->sinks[i].name);
    }
}

static void put_spec(mr_db *db, const tenant_import *import)
{
    mr_db_run(
        db,
        "INSERT OR REPLACE INTO specs(uid, version, agreement, datasets, program, warnings,"
        " retention_days, applied_ms) SELECT ?2, ?3, json_extract(s, '$.agreement'), json_extract(s,"
        " '$.datasets'), json_extract(s, '$.program'), json_extract(s, '$.warnings'), json_extract(s,"
        " '$.retention_days'), json_extract(s, '$.applied_ms') FROM (SELECT json_extract(?1, '$.spec') AS"
        " s)",
        "tti", import->record, import->tenant.uid, import->tenant.version);
    mr_import_schemas(db, import->tenant.uid, import->record);
}

static mr_err execute_import_tenant(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    tenant_import *import = arg;
    const mr_tenant_spec *spec;
    (void)ret_answer;
    if (import->known.uid[0] != '\0' && import->last == NULL)
        mr_erase_tenant(db, &import->known); /* deleted and made again */
    put_spec(db, import);
    mr_err err = mr_load_spec(import->service, import->tenant.uid, import->tenant.version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    if (import->last != NULL)
        leave_out(db, import, spec);
    mr_put_tenant(db, import->service, &import->tenant, import->last != NULL ? &import->known : NULL,
                  spec->agreement,
                  mr_db_int(db, 0, "SELECT json_extract(?, '$.created_ms')", "t", import->record));
    for (size_t i = 0; i < spec->dataset_count && err == MR_OK; i++)
        err = mr_own_dataset(db, &import->tenant, spec, spec->datasets[i], ret_error);
    mr_audit_apply(db, import->last, spec, import->tenant.version);
    return err;
}

static mr_err import_record(mr_service *service, const char *name, const char *record, bool *ret_newer,
                            mr_error *ret_error)
{
    tenant_import import = {.service = service, .record = record};
    bool there = mr_load_tenant(service, name, &import.known);
    snprintf(import.tenant.tenant, sizeof import.tenant.tenant, "%s", name);
    mr_db_text(service->db, import.tenant.uid, sizeof import.tenant.uid,
               "SELECT json_extract(?, '$.tenant_uid')", "t", record);
    import.tenant.version = mr_db_int(service->db, 0, "SELECT json_extract(?, '$.version')", "t", record);
    if (strlen(import.tenant.uid) != UID_BYTES - 1 || import.tenant.version < 1)
        return mr_fail(ret_error, MR_EINVALID, "tenants/%s/tenant.json is damaged", name);
    bool same = there && strcmp(import.known.uid, import.tenant.uid) == 0;
    if (there && (strcmp(import.known.state, "ACTIVE") != 0 ||
                  (same && import.known.version >= import.tenant.version)))
        return MR_OK;
    mr_err err =
        same ? mr_load_spec(service, import.known.uid, import.known.version, &import.last, ret_error) : MR_OK;
    if (err == MR_OK)
        err = mr_apply(service, "import_tenant", name, NULL, execute_import_tenant, &import, NULL, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("import_tenant_recorded");
    *ret_newer = true;
    mr_log(MR_WARN,
           there ? "a newer version of the tenant was taken in from staging" : "tenant taken in from staging",
           MR_STR("tenant", name), MR_INT("known_version", same ? import.known.version : 0),
           MR_INT("version", import.tenant.version));
    return MR_OK;
}

mr_err mr_import_tenant(mr_service *service, const char *tenant, bool *ret_newer, mr_error *ret_error)
{
    char path[120], *record = NULL;
    mr_tenant known;
    mr_error error;
    snprintf(path, sizeof path, "tenants/%s/tenant.json", tenant);
    mr_err err = mr_record_read(service, path, &record, &error);
    if (err == MR_OK)
        err = import_record(service, tenant, record, ret_newer, &error);
    free(record);
    if (err == MR_OK)
        return MR_OK;
    if (err != MR_ENOTFOUND) /* one tenant's record holds no other up */
        mr_log_failure(MR_ERROR, "tenant.json cannot be taken in: left as it is", &error,
                       MR_STR("tenant", tenant));
    if (err != MR_ENOTFOUND || !mr_load_tenant(service, tenant, &known) || strcmp(known.state, "ACTIVE") != 0)
        return mr_db_take_error(service->db, ret_error);
    mr_log(MR_WARN,
           "tenant.json of the tenant was missing and is written again; if the tenant was deleted after this "
           "copy of coordinator.db was made, delete it again",
           MR_STR("tenant", tenant));
    return mr_record_tenant(service, tenant, known.uid, ret_error);
}
