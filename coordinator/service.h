/* service.h - what the coordinator can be asked to do. REST is a thin layer over this.
 *
 * Thread: the loop thread only. A function that changes something takes an idempotency key (NULL: none): the
 * same key with the same kind of request answers what the first one answered and does nothing more. Answers
 * and views are JSON owned by the caller (json_decref), written on success only. What is answered is durable
 * (R1, R6).
 *
 * Errors, and what REST makes of them: MR_EINVALID 400, MR_ENOTFOUND 404, MR_EREFUSED and MR_EEXISTS 409,
 * MR_ETOOLARGE 413, MR_ENOSPC 507, MR_EUNAVAILABLE and MR_EIO 503, the rest 500.
 *
 * Times are UTC; in views "2026-03-01T12:00:00.123Z", inside milliseconds since 1970 (`_ms`).
 */
#ifndef MR_COORDINATOR_SERVICE_H
#define MR_COORDINATOR_SERVICE_H

#include "coordinator/tenant_spec.h"

#include <jansson.h>

typedef struct mr_service mr_service;

/* Borrowed until mr_service_close. */
typedef struct mr_service_config {
    const char *data_dir;    /* coordinator.db */
    const char *staging_dir; /* STAGING; created when missing, with .staging-id */
    const char *bus;         /* embedded */
    const char *bus_dir;
    const char *store; /* class of a sink that the agreement does not name: sqlite */
    const char *store_dir;
    int64_t worker_grace_ms;
    int64_t source_memory_bytes, sink_memory_bytes; /* requests of our own tasks */
    uint32_t source_cpu_millis, sink_cpu_millis;
    int64_t undelivered_max_bytes; /* of a tenant; above it the next run's source waits */
    int64_t audit_retention_days;
} mr_service_config;

/* Opens state and staging, completes or drops uploads that were cut off, and makes every tenant due for a
 * look. */
mr_err mr_service_open(const mr_service_config *config, int64_t now_ms, mr_service **ret_service,
                       mr_error *ret_error);
void mr_service_close(mr_service **service); /* NULL-safe */
const mr_service_config *mr_service_config_of(const mr_service *service);

/* The time that requests see: the loop sets it before it calls anything below (simulations set what they
 * like). */
void mr_service_set_now(mr_service *service, int64_t now_ms);

/* Who asks for what is done from now on, for the audit trail: what the client says of itself (may be NULL)
 * and its address; borrowed. `from` NULL: nobody, the coordinator itself. */
void mr_service_set_client(mr_service *service, const char *who, const char *from);

/* --- tenants --- */

/* Creates or replaces. `spec` has passed mr_tenant_spec_check, its program lies in STAGING/programs.
 * MR_EEXISTS: a topic or (store, key space, table) is another tenant's; MR_EREFUSED: a schema that may not
 * follow, a removed dataset with files or undelivered rows, a tenant that is being deleted. Answer: the view
 * of show. */
mr_err mr_service_apply_tenant(mr_service *service, const char *key, const mr_tenant_spec *spec,
                               const mr_warnings *warnings, json_t **ret_answer, mr_error *ret_error);
/* As apply, but only tells whether it would be taken. */
mr_err mr_service_check_tenant(mr_service *service, const mr_tenant_spec *spec, mr_error *ret_error);
/* [{"tenant","state","datasets":[names],"schedule","next_run","active_run"}] */
mr_err mr_service_list_tenants(mr_service *service, json_t **ret_view, mr_error *ret_error);
/* {"tenant","uid","state","version","agreement":{as submitted},"datasets":[as submitted],
 *  "program":{"sha256","command"}|null,"sinks":[{"name","class"}],"warnings":[text],"next_run","active_run"}
 */
mr_err mr_service_show_tenant(mr_service *service, const char *tenant, json_t **ret_view,
                              mr_error *ret_error);
/* Without `purge` MR_EREFUSED while files are in in/ or in runs, or rows are undelivered. With it all that is
 * abandoned, and the tenant is DELETING until its tasks have stopped. Answer: {"tenant","state":"DELETING"}.
 */
mr_err mr_service_delete_tenant(mr_service *service, const char *key, const char *tenant, bool purge,
                                json_t **ret_answer, mr_error *ret_error);
/* The tenant's present specification; borrowed until the next apply or delete of it. */
mr_err mr_service_tenant_spec(mr_service *service, const char *tenant, const mr_tenant_spec **ret_spec,
                              mr_error *ret_error);

/* --- uploads --- */

typedef struct mr_upload_begin {
    const char *tenant;
    const char *dataset;   /* NULL: by pattern, or the only one */
    const char *file_name; /* as sent; checked here: MR_EINVALID */
} mr_upload_begin;

typedef struct mr_upload {
    char tenant[64];
    char tenant_uid[33];
    char dataset[101];
    char file_name[256];
    char incoming[64]; /* name to be created (O_EXCL) in STAGING/incoming, removed by the caller when the
                          upload fails */
    int64_t limit_bytes;
} mr_upload;

/* Before the first byte: where it goes and how large it may be. When `key` is of an upload that is ready,
 * *ret_answer is its answer and *ret_upload is not written; else *ret_answer is NULL. */
mr_err mr_service_begin_upload(mr_service *service, const char *key, const mr_upload_begin *begin,
                               mr_upload *ret_upload, json_t **ret_answer, mr_error *ret_error);
/* After the caller has written the file and fsynced it: records, renames into in/, records as ready. The
 * folder of `incoming` need not be fsynced. `sha256` is 64 hex digits. On an error the file is gone. Answer:
 * {"upload_id","tenant","dataset","name","size_bytes","sha256","state":"ready","uploaded_at"}; "name" differs
 * from the one sent when a file of that name is waiting already. */
mr_err mr_service_finish_upload(mr_service *service, const char *key, const mr_upload *upload,
                                int64_t size_bytes, const char *sha256, json_t **ret_answer,
                                mr_error *ret_error);
/* Files of the tenant, newest last, as the answer of finish plus "run_id". `state` NULL: any;
 * else one of ready, claimed, done, failed, abandoned. At most `limit`. */
mr_err mr_service_list_uploads(mr_service *service, const char *tenant, const char *state, int64_t limit,
                               json_t **ret_view, mr_error *ret_error);
/* Those of `ids`, in whatever state; at most 1,000. A state of done, failed or abandoned is final. */
mr_err mr_service_show_uploads(mr_service *service, const char *tenant, const int64_t *ids, size_t count,
                               json_t **ret_view, mr_error *ret_error);

/* --- runs --- */

/* Queues a run behind the active one (at most one is QUEUED: asked again, it is the same). Answer: {"run_id",
 * "run_uid","state","files":[{"upload_id","name","state"}]}, the files ready at the call. */
mr_err mr_service_run_now(mr_service *service, const char *key, const char *tenant, json_t **ret_answer,
                          mr_error *ret_error);
/* Newest first, at most `limit`; `tenant` NULL: of all. The elements are those of show without "datasets" and
 * "tasks". */
mr_err mr_service_list_runs(mr_service *service, const char *tenant, int64_t limit, json_t **ret_view,
                            mr_error *ret_error);
/* `run` is a run_id or run_uid.
 * {"tenant","run_id","run_uid","state","trigger":"schedule|manual|retry|replay","due","reason",
 * "created_at","finished_at","files","attempts","delivered","rejected","abandoned","log":bool,
 * "datasets":[{"dataset","state","read","filtered","rejected_source","produced","rejected_files",
 * "error_budget":{"allowed","rejected","max_rejected_percent","max_rejected_rows"}|null,"reason","ended"}],
 * "tasks":[{"connector","task","kind","state","step","worker","epoch","error"}]}; "reason" tells what a run
 * waits for as well as why it failed. */
mr_err mr_service_show_run(mr_service *service, const char *tenant, const char *run, json_t **ret_view,
                           mr_error *ret_error);
/* The run_uid of a run_id or run_uid, into `out`. */
mr_err mr_service_run_uid(mr_service *service, const char *tenant, const char *run, char *out, size_t size,
                          mr_error *ret_error);
/* The program's output as stored so far, opened for reading (the caller closes). MR_ENOTFOUND: there is none.
 */
mr_err mr_service_open_run_log(mr_service *service, const char *tenant, const char *run, int *ret_fd,
                               mr_error *ret_error);
/* MR_EREFUSED when rows were committed (names `run abandon`) or the run is final. Answers:
 * {"run_id","run_uid", "state"}. Cancelling and abandoning go on after the answer: see the state of show. */
mr_err mr_service_cancel_run(mr_service *service, const char *key, const char *tenant, const char *run,
                             json_t **ret_answer, mr_error *ret_error);
/* Of a FAILED run: a new run with its files (answered). Of one in PROGRAM, SOURCE or DELIVERING: starts its
 * failed tasks again. */
mr_err mr_service_retry_run(mr_service *service, const char *key, const char *tenant, const char *run,
                            json_t **ret_answer, mr_error *ret_error);
/* Queues a run (trigger "replay") that gives rejected rows to conversion again: of a dataset, of a run, or
 * NULL of all; those that were replayed before only with `force`. Answer: {"run_id","run_uid","state"}. */
mr_err mr_service_replay(mr_service *service, const char *key, const char *tenant, const char *dataset,
                         const char *run, bool force, json_t **ret_answer, mr_error *ret_error);
mr_err mr_service_abandon_run(mr_service *service, const char *key, const char *tenant, const char *run,
                              json_t **ret_answer, mr_error *ret_error);

/* --- schedules --- */

/* {"tenant","schedule","time_zone","words","suspended":bool,"catchup","concurrency_policy","starting_deadline_seconds","next":[times,
 * `count` of them, none while suspended],"next_in_seconds","last_due","active_run","note"}; "words" says the
 * schedule for people, "note" what was passed over last, or why there is no next time. */
mr_err mr_service_show_schedule(mr_service *service, const char *tenant, size_t count, json_t **ret_view,
                                mr_error *ret_error);
/* The next `count` times of any schedule after `from_ms` (0: now):
 * {"schedule","time_zone","words","next":[times]}. MR_EINVALID: no schedule, no zone. */
mr_err mr_service_preview_schedule(mr_service *service, const char *schedule, const char *time_zone,
                                   int64_t from_ms, size_t count, json_t **ret_view, mr_error *ret_error);
/* While suspended no due time becomes a run; runs that are there go on. Resumed, the times that were missed
 * are caught up as the agreement says. Answer: {"tenant","suspended","missed"}: due times until now that are
 * waiting, at most 101. */
mr_err mr_service_suspend_schedule(mr_service *service, const char *key, const char *tenant, bool suspend,
                                   json_t **ret_answer, mr_error *ret_error);
/* Queues a run for each due time within [from, to] that has none, in their order; times up to now only.
 * MR_EINVALID: a range that is empty or has more than 100 such times. `dry_run`: only tells. Answer:
 * {"tenant","runs":[{"run_id","due"}],"dry_run"}. */
mr_err mr_service_backfill(mr_service *service, const char *key, const char *tenant, int64_t from_ms,
                           int64_t to_ms, bool dry_run, json_t **ret_answer, mr_error *ret_error);

/* --- looking on --- */

/* [{"worker","state":"alive|silent|lost|leaving","incarnation","version","cpu_millis","memory_bytes","tasks",
 *   "last_report_ms_ago","since"}] */
mr_err mr_service_list_workers(mr_service *service, json_t **ret_view, mr_error *ret_error);
/* [{"tenant","dataset","sink","run","read","filtered","rejected_source","produced","delivered","rejected_sink",
 *   "abandoned","in_flight"}], oldest run first; `run` and `dataset` may be NULL. At most `limit` newest
 * runs. */
mr_err mr_service_list_ledger(mr_service *service, const char *tenant, const char *dataset, const char *run,
                              int64_t limit, json_t **ret_view, mr_error *ret_error);
/* {"healthy":bool,"since","version","problems":[{"what","text","since"}],"workers":{"alive":n,...},"tenants":n,
 *  "runs":{"active":n,"delivering":n,"queued":n},"tasks":{"RUNNING":n,...}} */
mr_err mr_service_status(mr_service *service, json_t **ret_view, mr_error *ret_error);
/* What an inspecting child (`query`, `rejected`) needs, set in `config` with the keys of docs/architecture.md
 * section 4: bus, bus.dir, tenant, tenant.uid; with `dataset` also dataset, topic, topic.partitions, schema,
 * schema.id, schemas, primary.key, files.type, csv.*, connector.class and the options of the first sink
 * (store). */
mr_err mr_service_inspect_config(mr_service *service, const char *tenant, const char *dataset,
                                 mr_props *config, mr_error *ret_error);
/* Entries of the audit trail, newest first, with ids below `before_id`; of one tenant (also one that is
 * gone), of one kind, or NULL. [{"id","at","who","from","tenant","what","subject","before","after"}] */
mr_err mr_service_list_audit(mr_service *service, const char *tenant, const char *what, int64_t before_id,
                             int64_t limit, json_t **ret_view, mr_error *ret_error);
/* Schema with that id: {"id","subject","version","schema":text}. */
mr_err mr_service_show_schema(mr_service *service, int64_t id, json_t **ret_view, mr_error *ret_error);

#endif
