/* rest_views.c - looking on: health, workers, the ledger, schemas. */
#include "coordinator/rest_handlers.h"

#include <errno.h>
#include <stdlib.h>

enum { DEFAULT_LEDGER_RUNS = 1000, MAX_LEDGER_RUNS = 100000 };

void mr_handle_root(mr_request *request)
{
    mr_request_json(request, 200, json_pack("{s:s, s:s}", "name", "millrace", "version", MR_VERSION));
}

void mr_handle_status(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_status(request->service, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_list_workers(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_list_workers(request->service, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

typedef struct ledger_filter {
    const char *dataset, *run; /* NULL: all */
    int64_t limit;
} ledger_filter;

static bool read_ledger_filter(mr_request *request, ledger_filter *ret_filter)
{
    bool ok = true;
    *ret_filter = (ledger_filter){
        .dataset = mr_request_query(request, "dataset"),
        .run = mr_request_query(request, "run"),
        .limit = mr_request_number(request, "limit", 1, MAX_LEDGER_RUNS, DEFAULT_LEDGER_RUNS, &ok)};
    if (ok && ret_filter->dataset != NULL && !mr_dataset_name_valid(ret_filter->dataset)) {
        mr_request_error(request, 400, "query argument \"dataset\": \"%.100s\" is not a name of a dataset",
                         ret_filter->dataset);
        return false;
    }
    return ok;
}

static mr_err tenant_ledger(const mr_request *request, const char *tenant, const ledger_filter *filter,
                            json_t **ret_view, mr_error *ret_error)
{
    return mr_service_list_ledger(request->service, tenant, filter->dataset, filter->run, filter->limit,
                                  ret_view, ret_error);
}

void mr_handle_tenant_ledger(mr_request *request)
{
    ledger_filter filter;
    if (!read_ledger_filter(request, &filter))
        return;
    json_t *view = NULL;
    mr_error error;
    const mr_err err = tenant_ledger(request, request->tenant, &filter, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_ledger(mr_request *request)
{
    ledger_filter filter;
    if (!read_ledger_filter(request, &filter))
        return;
    json_t *tenants = NULL, *all = json_array(), *tenant;
    mr_error error;
    mr_err err = mr_service_list_tenants(request->service, &tenants, &error);
    size_t i, found = 0;
    json_array_foreach(tenants, i, tenant)
    {
        json_t *lines = NULL;
        err = tenant_ledger(request, json_string_value(json_object_get(tenant, "tenant")), &filter, &lines,
                            &error);
        if (err == MR_ENOTFOUND && filter.run != NULL)
            continue; /* the run is of another tenant */
        if (err != MR_OK)
            break;
        found++;
        json_array_extend(all, lines);
        json_decref(lines);
    }
    json_decref(tenants);
    if (err == MR_OK || err == MR_ENOTFOUND)
        err = filter.run == NULL || found > 0
                  ? MR_OK
                  : mr_fail(&error, MR_ENOTFOUND, "no tenant has a run \"%.80s\"", filter.run);
    if (err != MR_OK)
        json_decref(all);
    mr_request_view(request, 200, err, all, &error);
}

void mr_handle_show_schema(mr_request *request)
{
    const char *text = request->match.parameters[0];
    char *end;
    errno = 0;
    const int64_t id = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || id < 1) {
        mr_request_error(request, 400, "\"%.40s\" is not the number of a schema", text);
        return;
    }
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_show_schema(request->service, id, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}
