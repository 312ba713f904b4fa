/* rest_routes.c - all operations; openapi.json describes each, docs/rest.md has an example of each. */
#include "coordinator/rest_handlers.h"

#define QUERY(...) ((const char *const[]){__VA_ARGS__, NULL})

const mr_route mr_routes[] = {
    {"GET", "/", NULL, NULL, mr_handle_root, "name and version"},
    {"GET", "/openapi.json", NULL, NULL, mr_handle_openapi, "this API in OpenAPI 3.1"},
    {"GET", "/status", NULL, NULL, mr_handle_status, "is it healthy; what is not, and since when"},

    {"GET", "/tenants", NULL, NULL, mr_handle_list_tenants, "all tenants"},
    {"PUT", "/tenants/{tenant}", QUERY("strict", "dry_run"), &mr_body_apply, mr_handle_apply_tenant,
     "creates or replaces a tenant: a form with agreement, dataset (one or more) and program (tar)"},
    {"GET", "/tenants/{tenant}", NULL, NULL, mr_handle_show_tenant,
     "one tenant, as submitted and as it stands"},
    {"DELETE", "/tenants/{tenant}", QUERY("purge"), NULL, mr_handle_delete_tenant,
     "removes a tenant; with purge also one with files or undelivered rows"},

    {"POST", "/upload-file/{tenant_id}", QUERY("dataset", "name"), &mr_body_upload, mr_handle_upload,
     "takes one file, as a form or as the body with ?name="},
    {"GET", "/tenant/{tenant_id}", NULL, NULL, mr_handle_waiting_files, "files that wait for a run"},
    {"GET", "/tenants/{tenant}/files", QUERY("state", "limit", "ids"), NULL, mr_handle_list_files,
     "files with their states; by ?state= or ?ids=, else the newest"},

    {"GET", "/runs", QUERY("limit"), NULL, mr_handle_list_all_runs, "runs of all tenants, newest first"},
    {"POST", "/tenants/{tenant}/runs", NULL, NULL, mr_handle_run_now, "asks for a run now"},
    {"GET", "/tenants/{tenant}/runs", QUERY("limit"), NULL, mr_handle_list_runs, "runs, newest first"},
    {"GET", "/tenants/{tenant}/runs/{run}", NULL, NULL, mr_handle_show_run,
     "one run with its tasks and counts"},
    {"POST", "/tenants/{tenant}/runs/{run}/cancel", NULL, NULL, mr_handle_cancel_run,
     "gives its files back, while no row is committed"},
    {"POST", "/tenants/{tenant}/runs/{run}/retry", NULL, NULL, mr_handle_retry_run,
     "runs a failed one's files again, or starts failed tasks again"},
    {"POST", "/tenants/{tenant}/runs/{run}/abandon", NULL, NULL, mr_handle_abandon_run,
     "ends it; what is not delivered counts as abandoned"},
    {"GET", "/tenants/{tenant}/runs/{run}/logs", NULL, NULL, mr_handle_run_log, "what its program printed"},

    {"GET", "/tenants/{tenant}/schedule", NULL, NULL, mr_handle_show_schedule, "the next five times"},
    {"GET", "/schedules", NULL, NULL, mr_handle_list_schedules, "the next five times of all tenants"},
    {"GET", "/workers", NULL, NULL, mr_handle_list_workers, "workers and whether they report"},

    {"GET", "/tenants/{tenant}/audit", QUERY("what", "before", "limit"), NULL, mr_handle_tenant_audit,
     "who changed what of a tenant, newest first; also of one that is gone"},
    {"GET", "/audit", QUERY("what", "before", "limit"), NULL, mr_handle_audit,
     "who changed what, newest first"},
    {"GET", "/tenants/{tenant}/ledger", QUERY("dataset", "run", "limit"), NULL, mr_handle_tenant_ledger,
     "what became of every row, by dataset, sink and run"},
    {"GET", "/ledger", QUERY("dataset", "run", "limit"), NULL, mr_handle_ledger, "the ledger of all tenants"},
    {"GET", "/tenants/{tenant}/rejected", QUERY("dataset", "limit", "from"), NULL, mr_handle_list_rejected,
     "rejected rows with their reasons"},
    {"GET", "/tenants/{tenant}/rejected/{topic}/{offset}", NULL, NULL, mr_handle_show_rejected,
     "one rejected row"},
    {"POST", "/tenants/{tenant}/query", NULL, &mr_body_collect, mr_handle_query,
     "read-only SQL over the tenant's stores, streamed as lines of JSON"},
    {"GET", "/schemas/{id}", NULL, NULL, mr_handle_show_schema, "a schema by its id"},
    {.method = NULL},
};
