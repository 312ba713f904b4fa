/* tenant_views.c - tenants, their schedules and schemas, for people. */
#include "coordinator/service_internal.h"

#include <string.h>

#define SQL_ACTIVE_RUN "(SELECT run_id FROM runs r WHERE r.uid = t.uid AND r.state IN " SQL_ACTIVE " LIMIT 1)"

static json_t *dataset_names(const char *texts)
{
    json_t *names = json_array(), *array = json_loads(texts, 0, NULL), *text;
    size_t i;
    json_array_foreach(array, i, text)
    {
        json_t *dataset = json_loads(json_string_value(text), 0, NULL);
        json_array_append(names, json_object_get(dataset, "name"));
        json_decref(dataset);
    }
    json_decref(array);
    return names;
}

mr_err mr_service_list_tenants(mr_service *service, json_t **ret_view, mr_error *ret_error)
{
    json_t *view = json_array();
    mr_query *query = mr_db_select(
        service->db,
        "SELECT tenant, state, schedule, iif(suspended, NULL, next_due_ms), " SQL_ACTIVE_RUN ", datasets"
        " FROM tenants t JOIN specs s ON s.uid = t.uid AND s.version = t.version"
        " ORDER BY tenant",
        "");
    while (mr_query_next(query))
        json_array_append_new(view, json_pack("{s:s, s:s, s:o, s:s, s:o, s:o}", "tenant",
                                              mr_query_text(query, 0), "state", mr_query_text(query, 1),
                                              "datasets", dataset_names(mr_query_text(query, 5)), "schedule",
                                              mr_query_text(query, 2), "next_run",
                                              mr_json_time(mr_query_int(query, 3)), "active_run",
                                              mr_json_text(mr_query_text(query, 4))));
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}

static json_t *submitted_datasets(const char *texts)
{
    json_t *documents = json_array(), *array = json_loads(texts, 0, NULL), *text;
    size_t i;
    json_array_foreach(array, i, text)
        json_array_append_new(documents, json_loads(json_string_value(text), 0, NULL));
    json_decref(array);
    return documents;
}

static json_t *program_view(const mr_agreement *agreement, const char *sha256)
{
    if (sha256[0] == '\0' && agreement->program_command_count == 0)
        return json_null();
    json_t *command = json_array();
    for (size_t i = 0; i < agreement->program_command_count; i++)
        json_array_append_new(command, json_string(agreement->program_command[i]));
    if (agreement->program_command_count == 0)
        json_array_append_new(command, json_string("./run"));
    return json_pack("{s:o, s:o}", "sha256", mr_json_text(sha256), "command", command);
}

static json_t *sinks_view(const mr_agreement *agreement)
{
    json_t *sinks = json_array();
    for (size_t i = 0; i < agreement->sink_count; i++)
        json_array_append_new(sinks, json_pack("{s:s, s:s}", "name", agreement->sinks[i].name, "class",
                                               agreement->sinks[i].class_name));
    return sinks;
}

mr_err mr_service_show_tenant(mr_service *service, const char *tenant, json_t **ret_view, mr_error *ret_error)
{
    mr_tenant row;
    const mr_tenant_spec *spec;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err == MR_OK)
        err = mr_load_spec(service, row.uid, row.version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT agreement, datasets, program, warnings, " SQL_ACTIVE_RUN
                                   " FROM tenants t JOIN specs s ON s.uid = t.uid AND s.version = t.version"
                                   " WHERE tenant = ?",
                                   "t", tenant);
    if (mr_query_next(query)) {
        *ret_view =
            json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tenant", row.tenant, "uid",
                      row.uid, "state", row.state, "version", (json_int_t)row.version, "agreement",
                      json_loads(mr_query_text(query, 0), 0, NULL), "datasets",
                      submitted_datasets(mr_query_text(query, 1)), "program",
                      program_view(spec->agreement, mr_query_text(query, 2)), "sinks",
                      sinks_view(spec->agreement), "warnings", json_loads(mr_query_text(query, 3), 0, NULL),
                      "next_run", mr_json_time(row.suspended ? 0 : row.next_due_ms), "active_run",
                      mr_json_text(mr_query_text(query, 4)));
        mr_query_end(query);
    }
    return mr_db_take_error(service->db, ret_error);
}

mr_err mr_service_show_schema(mr_service *service, int64_t id, json_t **ret_view, mr_error *ret_error)
{
    mr_query *query =
        mr_db_select(service->db, "SELECT subject, version, text FROM schemas WHERE id = ?", "i", id);
    if (mr_query_next(query)) {
        *ret_view =
            json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)id, "subject", mr_query_text(query, 0),
                      "version", (json_int_t)mr_query_int(query, 1), "schema", mr_query_text(query, 2));
        mr_query_end(query);
        return MR_OK;
    }
    mr_err err = mr_db_take_error(service->db, ret_error);
    return err != MR_OK ? err
                        : mr_fail(ret_error, MR_ENOTFOUND, "there is no schema with id %lld", (long long)id);
}
