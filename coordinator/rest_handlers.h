/* rest_handlers.h - the handlers that rest_routes.c names. Each is documented there and in docs/rest.md. */
#ifndef MR_COORDINATOR_REST_HANDLERS_H
#define MR_COORDINATOR_REST_HANDLERS_H

#include "coordinator/rest_request.h"

/* rest_apply.c, rest_tenants.c */
extern const mr_rest_body mr_body_apply;
void mr_handle_apply_tenant(mr_request *request);
void mr_handle_list_tenants(mr_request *request);
void mr_handle_show_tenant(mr_request *request);
void mr_handle_delete_tenant(mr_request *request);

/* rest_upload.c, rest_tenants.c */
extern const mr_rest_body mr_body_upload;
void mr_handle_upload(mr_request *request);
void mr_handle_waiting_files(mr_request *request);
void mr_handle_list_files(mr_request *request);

/* rest_runs.c */
void mr_handle_run_now(mr_request *request);
void mr_handle_list_runs(mr_request *request);
void mr_handle_list_all_runs(mr_request *request);
void mr_handle_show_run(mr_request *request);
void mr_handle_cancel_run(mr_request *request);
void mr_handle_retry_run(mr_request *request);
void mr_handle_abandon_run(mr_request *request);
void mr_handle_replay(mr_request *request);
void mr_handle_run_log(mr_request *request);

/* rest_schedules.c */
enum { MR_NEXT_TIMES = 5 };
void mr_handle_show_schedule(mr_request *request);
void mr_handle_list_schedules(mr_request *request);
void mr_handle_preview_schedule(mr_request *request);
void mr_handle_suspend_schedule(mr_request *request);
void mr_handle_resume_schedule(mr_request *request);
void mr_handle_backfill(mr_request *request);

/* rest_views.c */
void mr_handle_root(mr_request *request);
void mr_handle_status(mr_request *request);
void mr_handle_list_workers(mr_request *request);
void mr_handle_tenant_ledger(mr_request *request);
void mr_handle_ledger(mr_request *request);
void mr_handle_show_schema(mr_request *request);

/* rest_openapi.c */
void mr_handle_openapi(mr_request *request);

/* rest_audit.c */
void mr_handle_audit(mr_request *request);
void mr_handle_tenant_audit(mr_request *request);

/* rest_inspect.c */
void mr_handle_query(mr_request *request);
void mr_handle_list_rejected(mr_request *request);
void mr_handle_show_rejected(mr_request *request);
void mr_handle_download_rejected(mr_request *request);

#endif
