/* service_internal.h - what the files of the coordinator's core share. Only they include it.
 *
 * Level-triggered: an event (request, report, timer) is recorded by a command and marks its tenant dirty; the
 * reconcile pass then looks at what is durable and does the next step, however it came about. Nothing here
 * asks for the time: `now_ms` is set by whoever drives the service.
 */
#ifndef MR_COORDINATOR_SERVICE_INTERNAL_H
#define MR_COORDINATOR_SERVICE_INTERNAL_H

#include "coordinator/audit.h"
#include "coordinator/cron.h"
#include "coordinator/name_map.h"
#include "coordinator/service.h"
#include "coordinator/staging.h"
#include "coordinator/state.h"
#include "coordinator/trouble.h"
#include "core/fault.h"
#include "core/log.h"
#include "proto/ids.h"
#include "proto/messages.h"

enum {
    UID_BYTES = 33,
    SPECS_KEPT = 8,
    NAME_BYTES = 201,
    ATTEMPT_RETRY_MAX_MS = 60000, /* between two attempts of a program */
};

/* States of a run, as stored. */
#define RUN_QUEUED     "QUEUED"
#define RUN_CLAIMING   "CLAIMING"
#define RUN_CLAIMED    "CLAIMED"
#define RUN_PROGRAM    "PROGRAM"
#define RUN_SOURCE     "SOURCE"
#define RUN_DELIVERING "DELIVERING"
#define RUN_COMPLETING "COMPLETING"
#define RUN_CANCELLING "CANCELLING"
#define RUN_ABANDONING "ABANDONING"
#define RUN_COMPLETED  "COMPLETED"
#define RUN_REJECTS    "COMPLETED_WITH_REJECTS"
#define RUN_FAILED     "FAILED"
#define RUN_CANCELLED  "CANCELLED"
#define RUN_SKIPPED    "SKIPPED"
#define RUN_ABANDONED  "ABANDONED"

/* What a run came by: "schedule", "manual", "retry", or */
#define RUN_TRIGGER_REPLAY "replay"
enum { REPLAY_SEALED = -1 }; /* its sealed_epoch: it reads nothing that an attempt has sealed */

/* SQL: a run that holds the next one back. */
#define SQL_ACTIVE "('CLAIMING','CLAIMED','PROGRAM','SOURCE','CANCELLING','ABANDONING')"
#define SQL_FINAL  "('COMPLETED','COMPLETED_WITH_REJECTS','FAILED','CANCELLED','SKIPPED','ABANDONED')"

/* SQL: run_sinks `s` is in a state other than FINAL. Its index is over those, and SQLite uses it only where
 * its condition stands to the letter; without it the whole history is read. */
#define SQL_SINK_IS(state) "s.state <> 'FINAL' AND s.state = '" state "'"

/* SQL: a range of run_sinks `s` that its sink has not passed. */
#define SQL_NOT_PASSED                                                                                       \
    "(SELECT 1 FROM run_ranges g LEFT JOIN sink_positions p ON p.uid = s.uid AND p.dataset = s.dataset AND"  \
    " p.sink = s.sink AND p.partition = g.partition WHERE g.run_uid = s.run_uid AND g.dataset = s.dataset "  \
    "AND"                                                                                                    \
    " g.first < g.end AND coalesce(p.position, -1) < g.end)"

/* SQL: what the ledger shows of run_sinks `s`, as its columns. */
#define SQL_LINE_COUNTS                                                                                      \
    "(delivered, rejected, abandoned) = (SELECT l.delivered, l.rejected, l.abandoned FROM ledger_lines l"    \
    " WHERE l.run_uid = s.run_uid AND l.dataset = s.dataset AND l.sink = s.sink)"

typedef struct mr_tenant {
    char tenant[64];
    char uid[UID_BYTES];
    char state[16]; /* ACTIVE, DELETING */
    char schedule[257];
    char time_zone[MR_ZONE_NAME_BYTES];
    char schedule_note[400];
    bool suspended; /* nothing is due meanwhile; next_due_ms stays */
    int64_t version;
    int64_t next_due_ms; /* 0: none */
    int64_t last_due_ms;
} mr_tenant;

typedef struct mr_run {
    char run_uid[UID_BYTES];
    char tenant[64];
    char uid[UID_BYTES];
    char run_id[40];
    char trigger[16];
    char state[24];
    char outcome[24];
    char reason[600];
    char manifest_sha256[65];
    char retry_of[UID_BYTES];
    char replaces[UID_BYTES]; /* the run whose files it takes over */
    int64_t seq, version, files, attempts, attempt_after_ms, sealed_epoch, created_ms, finished_ms, due_ms;
} mr_run;

typedef enum mr_task_state { TASK_WAITING, TASK_ASSIGNED, TASK_STOPPING, TASK_FAILED } mr_task_state;

/* A task that is wanted, or stopping. Mirrors a row of `tasks`; below the line only in memory. */
typedef struct mr_task {
    char key[MR_TASK_KEY_BYTES];
    char tenant[64];
    char connector[NAME_BYTES];
    char dataset[101];
    char sink[101];
    char run_uid[UID_BYTES];
    int32_t number;
    Mr__Proto__TaskKind kind;
    mr_task_state state;
    int64_t epoch;
    uint64_t revision;
    int64_t config_digest, scope_digest;
    char worker[NAME_BYTES];
    char incarnation[NAME_BYTES];
    char error[500];
    int64_t retry_ms; /* WAITING: place it not before */
    uint64_t arrival; /* WAITING: who came first is placed first */
    /* --- */
    Mr__Proto__Assignment *assignment; /* as last planned; owned */
    size_t assignment_bytes;
    uint32_t request_cpu_millis; /* for placement */
    uint64_t request_memory_bytes;
    Mr__Proto__TaskStatus *status; /* as last reported in this epoch; owned, may be NULL */
    bool unflushed;                /* status holds progress that is not stored yet */
    int64_t idle_since_ms;         /* sink without undelivered rows since; 0: it has some */
    uint64_t pass;                 /* of the plan that wanted it last */
} mr_task;

typedef enum mr_worker_state { WORKER_ALIVE, WORKER_SILENT, WORKER_LOST, WORKER_LEAVING } mr_worker_state;

typedef struct mr_worker {
    char name[NAME_BYTES];
    char incarnation[NAME_BYTES];
    char former[NAME_BYTES]; /* the incarnation before this one */
    char host[NAME_BYTES];
    char staging_id[NAME_BYTES];
    char version[64];
    int64_t pid;
    uint64_t pid_start_time;
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    mr_worker_state state;
    int64_t last_report_ms, since_ms;
    int64_t disconnected_ms; /* 0: connected */
    uint64_t desired_version;
    bool leaving; /* it said so */
} mr_worker;

typedef struct mr_later {
    char tenant[64];
    int64_t when_ms;
} mr_later;

struct mr_service {
    mr_service_config config;
    mr_state *state;
    mr_db *db;
    mr_staging *staging;
    int64_t now_ms, started_ms;
    bool asked;                   /* a client's request is being executed; by whom, borrowed: */
    const char *who, *from;       /* who may be NULL */
    int64_t wake_ms;              /* when tick has something to do; INT64_MAX: nothing */
    uint64_t events, events_seen; /* tenants marked, workers changed; as of the last reconcile */
    int64_t promised_ms;          /* what the last reconcile returned */
    int64_t place_ms;             /* when placing is tried again; INT64_MAX: it did not fail */
    int64_t flush_ms;             /* when unflushed progress is stored; INT64_MAX: there is none */
    int64_t flush_after_ms;       /* and not before, since it failed */
    int64_t retain_ms;
    int64_t pass_began_ms; /* monotonic */
    int64_t healthy_since_ms;
    bool healthy;
    bool place;     /* tasks may be placed */
    bool crowded;   /* tasks wait for a worker with room */
    bool sweep;     /* something was discarded */
    bool take_back; /* an upload that failed could not be taken back */
    uint64_t pass;  /* counts plans */
    uint64_t arrivals;
    uint64_t desired_version;
    mr_troubles troubles;
    mr_name_map tasks;        /* by key */
    mr_name_map workers;      /* by name */
    mr_name_map incarnations; /* the same, by their present incarnation */
    mr_name_map dirty;        /* tenants; values are the owned names */
    mr_name_map later;        /* tenants to look at again; values are mr_later, owned */
    mr_name_map zones;        /* time zones that were asked for; values are mr_time_zone, owned */
    int64_t zones_ms;         /* since when */
    bool clock_set_back;      /* next due times may be too late */
    struct mr_spec_entry {
        char uid[UID_BYTES];
        int64_t version;
        uint64_t used;
        mr_tenant_spec spec;
        mr_warnings warnings;
    } specs[SPECS_KEPT];
    uint64_t spec_clock;
};

/* --- loading (load.c); false: there is none, or the db keeps an error --- */

bool mr_load_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant);
/* MR_ENOTFOUND in words. */
mr_err mr_find_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant, mr_error *ret_error);
bool mr_load_run(mr_service *service, const char *run_uid, mr_run *ret_run);
/* By run_id or run_uid; MR_ENOTFOUND in words. */
mr_err mr_find_run(mr_service *service, const char *tenant, const char *run, mr_run *ret_run,
                   mr_error *ret_error);
/* uids of the tenant's runs in one of the states, in claim order; at most `limit`. `states` is an SQL literal
 * list. */
size_t mr_list_open_runs(mr_service *service, const char *uid, char (*ret_uids)[UID_BYTES], size_t limit);

/* A version of a tenant's specification; borrowed until SPECS_KEPT others were asked for, or specs are
 * forgotten. */
mr_err mr_load_spec(mr_service *service, const char *uid, int64_t version, const mr_tenant_spec **ret_spec,
                    mr_error *ret_error);
void mr_forget_specs(mr_service *service);
const mr_dataset *mr_spec_dataset(const mr_tenant_spec *spec, const char *name);     /* or NULL */
const mr_agreement_sink *mr_spec_sink(const mr_tenant_spec *spec, const char *name); /* or NULL */

/* --- commands --- */

/* mr_state_apply with the service's time; `key` is made the tenant's own. */
mr_err mr_apply(mr_service *service, const char *name, const char *tenant, const char *key,
                mr_err (*execute)(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error), void *arg,
                json_t **ret_answer, mr_error *ret_error);
void mr_mark_dirty(mr_service *service, const char *tenant);
void mr_wake_at(mr_service *service, int64_t when_ms);
/* Marks the tenant dirty then. The earliest time asked for wins. */
void mr_look_again(mr_service *service, const char *tenant, int64_t when_ms);
void mr_mark_due(mr_service *service); /* those whose time has come */
/* Whoever asks should be answered before this pass goes on. */
bool mr_pass_is_long(const mr_service *service);
void mr_clock_set_back(mr_service *service, int64_t by_ms);

/* Sets a run's state (and reason unless NULL) within a command; only from `from`: false when it is in another
 * one. */
bool mr_set_run_state(mr_db *db, const char *run_uid, const char *from, const char *to, const char *reason);
/* Sets the state alone, in a command of its own. */
mr_err mr_move_run(mr_service *service, const mr_run *run, const char *to, const char *reason,
                   mr_error *ret_error);

/* Whether a step went well, for log, status and the reasons of runs. Returns when it is to be tried again;
 * INT64_MAX: it went well. */
int64_t mr_told(mr_service *service, mr_err err, const mr_error *error, const char *what, const char *tenant);

/* run_requests.c: a QUEUED run behind all others, within a command. `run_uid` has UID_BYTES, `run_id` 40. */
void mr_queue_run(mr_db *db, const mr_service *service, const mr_tenant *tenant, const char *trigger,
                  char *run_uid, char *run_id);
/* MR_EREFUSED when it is being deleted. */
mr_err mr_find_active_tenant(mr_service *service, const char *tenant, mr_tenant *ret_tenant,
                             mr_error *ret_error);

/* run_replay.c: whether the run reads rejected rows in place of files; whether it reads those of the dataset.
 */
bool mr_run_replays(const mr_run *run);
bool mr_replay_covers(mr_db *db, const char *run_uid, const char *dataset);

/* --- the run machine: each does what is next, *ret_moved tells whether the run's state changed --- */

mr_err mr_run_claim(mr_service *service, const mr_run *run, bool *ret_moved,
                    mr_error *ret_error); /* CLAIMING */
mr_err mr_run_source(mr_service *service, const mr_run *run, bool *ret_moved,
                     mr_error *ret_error); /* SOURCE */
mr_err mr_run_deliver(mr_service *service, const mr_run *run, bool *ret_moved,
                      mr_error *ret_error); /* DELIVERING */
mr_err mr_run_complete(mr_service *service, const mr_run *run, bool *ret_moved,
                       mr_error *ret_error); /* COMPLETING */
mr_err mr_run_cancel(mr_service *service, const mr_run *run, bool *ret_moved,
                     mr_error *ret_error); /* CANCELLING */
mr_err mr_run_abandon(mr_service *service, const mr_run *run, bool *ret_moved,
                      mr_error *ret_error); /* ABANDONING */

/* Within a command: inserts a run with the given files (run_files with `source` and `name` are there already
 * when `prepared`), pins program, schemas and sinks; SKIPPED when there is no file. run_uid is written. */
typedef struct mr_run_start {
    mr_service *service;
    mr_tenant tenant;
    const mr_tenant_spec *spec;
    char run_uid[UID_BYTES];
    char run_id[40];
    const char *trigger;
    int64_t due_ms; /* 0: not scheduled */
} mr_run_start;
mr_err mr_insert_run(mr_db *db, mr_run_start *start, mr_error *ret_error);
/* Within a command: the row of start->run_uid is QUEUED; it becomes CLAIMING, or SKIPPED. */
void mr_begin_run(mr_db *db, const mr_run_start *start);

/* run_replace.c */
/* Within a command: the run that is due replaces `former`, which is CLAIMED or in PROGRAM: that one is ended,
 * and then its files are handed on. Nothing when the due time has its run already. */
void mr_replace_run(mr_db *db, mr_run_start *start, const char *former);
/* Of a CANCELLING run without tasks: the one that replaces it, or false. */
bool mr_find_successor(mr_service *service, const mr_run *run, mr_run *ret_successor);
mr_err mr_hand_on(mr_service *service, const mr_run *run, const mr_run *successor, mr_error *ret_error);
/* Within a command: nothing of the run went on. */
void mr_end_cancelled(mr_db *db, const mr_run *run, int64_t now_ms);
/* A QUEUED run whose turn it is. */
mr_err mr_start_queued(mr_service *service, const mr_run *run, const mr_tenant *tenant, mr_error *ret_error);
/* Ranges and counts of a dataset become final within a command: ledger of its sinks, ends of the partitions.
 */
void mr_skip_dataset(mr_db *db, const char *run_uid, const char *dataset, const char *state);
/* Within a command: leads to COMPLETING with the outcome and reason; the rest of the ledger becomes final. */
void mr_finish_run(mr_db *db, const char *run_uid, const char *outcome, const char *reason);

/* Within a command: the tenant's row as its agreement says; `known` is the row before, NULL: there is none.
 */
void mr_put_tenant(mr_db *db, mr_service *service, const mr_tenant *tenant, const mr_tenant *known,
                   const mr_agreement *agreement, int64_t created_ms);
/* Within a command: topics, tables and schemas of a dataset become the tenant's. */
mr_err mr_own_dataset(mr_db *db, const mr_tenant *owner, const mr_tenant_spec *spec,
                      const mr_dataset *dataset, mr_error *ret_error);
/* Within a command: all rows of the tenant but its epochs. */
void mr_erase_tenant(mr_db *db, const mr_tenant *tenant);
/* Within a command: the version after `last` leaves the dataset, or the sink, out. */
void mr_drop_dataset(mr_db *db, const mr_service *service, const mr_tenant *owner, const mr_tenant_spec *last,
                     const char *dataset);
void mr_drop_sink(mr_db *db, const char *uid, const mr_tenant_spec *last, const char *sink);

/* Uploads that were not what was claimed, for the reason of their run; false: there are none. */
bool mr_lost_files(mr_db *db, const char *run_uid, char *ret_reason, size_t size);

/* Skip ranges that their sinks have passed: the ledger lines become final. */
mr_err mr_settle_skips(mr_service *service, const char *tenant, const char *uid, mr_error *ret_error);

/* scheduler.c */
/* All that are due; *ret_more: others are left for the next pass. */
mr_err mr_schedule_tenants(mr_service *service, bool *ret_more, mr_error *ret_error);

/* schedule_times.c; in milliseconds. 0: none. */
enum { MISSED_MAX = 100 }; /* due times that one catch-up or backfill makes runs of */
typedef struct mr_schedule {
    mr_cron cron;
    const mr_time_zone *zone; /* borrowed until mr_zones_forget */
} mr_schedule;
mr_err mr_schedule_open(mr_service *service, const char *schedule, const char *time_zone,
                        mr_schedule *ret_schedule, mr_error *ret_error);
int64_t mr_schedule_next(const mr_schedule *schedule, int64_t after_ms);
/* The last one within [from, until]. */
int64_t mr_schedule_latest(const mr_schedule *schedule, int64_t from_ms, int64_t until_ms);
/* How many within [from, until]; counts no further than `limit`. */
int64_t mr_schedule_count(const mr_schedule *schedule, int64_t from_ms, int64_t until_ms, int64_t limit);
/* The zone data may have been renewed. */
void mr_zones_forget(mr_service *service);
void mr_schedule_run_id(char *out, size_t size, int64_t due_ms); /* 20260301T130000Z */

/* --- tasks and workers --- */

/* What the plan wants of one task. */
typedef struct mr_want {
    const char *connector;
    const char *dataset, *sink, *run_uid;
    Mr__Proto__TaskKind kind;
    uint32_t request_cpu_millis;
    uint64_t request_memory_bytes;
    Mr__Proto__Assignment *assignment; /* config, scope and limits; handed over */
} mr_want;

/* run_id of an active run that was claimed earlier; false: there is none. */
bool mr_run_before(mr_service *service, const mr_run *run, char *out, size_t size);
/* Bytes of files of the tenant that were read for runs which are still being delivered. */
int64_t mr_undelivered_bytes(mr_service *service, const char *uid);
mr_err mr_plan_tenant(mr_service *service, const mr_tenant *tenant, mr_error *ret_error);
mr_err mr_want_task(mr_service *service, const char *tenant, mr_want *want,
                    mr_error *ret_error); /* tasks.c */
/* Stops what the present pass did not want. */
mr_err mr_stop_unwanted(mr_service *service, const char *tenant, mr_error *ret_error);
mr_err mr_tasks_load(mr_service *service, mr_error *ret_error);
void mr_tasks_close(mr_service *service);
mr_task *mr_task_find(mr_service *service, const char *tenant, const char *connector);
/* Writes the task's row within a command. */
void mr_task_store(mr_db *db, const mr_task *task);
void mr_task_erase(mr_db *db, const mr_task *task);
/* Forgets it in memory, after its row is gone. */
void mr_task_drop(mr_service *service, mr_task *task);
/* In a command of its own: its row goes and it is forgotten; or it waits for a worker again, from retry_ms
 * on. */
mr_err mr_task_remove(mr_service *service, mr_task *task, mr_error *ret_error);
mr_err mr_task_release(mr_service *service, mr_task *task, int64_t retry_ms, mr_error *ret_error);
/* The assignment stands: a greater revision says so to the task that asked. */
mr_err mr_task_confirm(mr_service *service, mr_task *task, mr_error *ret_error);
/* FAILED tasks of the tenant wait for a worker again, those in a back-off at once. Returns how many. */
size_t mr_retry_failed_tasks(mr_service *service, const char *tenant);
bool mr_tenant_has_tasks(mr_service *service, const char *tenant);
/* How many tasks of a run are still there (assigned or stopping). */
/* Of the PROGRAM task of the run; or one that no task has: program, program.2, ... */
void mr_program_connector(mr_service *service, const char *tenant, const char *run_uid, char *out,
                          size_t size);
size_t mr_run_tasks(mr_service *service, const char *tenant, const char *run_uid);

mr_err mr_place_tasks(mr_service *service, mr_error *ret_error); /* assign.c */
void mr_desired_changed(mr_service *service, const char *worker);

/* The worker's part of a report. MR_EREFUSED: the incarnation was replaced. */
mr_err mr_worker_report(mr_service *service, const Mr__Proto__Report *report, bool *ret_new,
                        mr_error *ret_error);
mr_worker *mr_worker_find(mr_service *service, const char *incarnation);
void mr_workers_check(mr_service *service); /* workers.c: silence, disconnects */
/* We were late ourselves (stopped, or busy): that time is not the workers' silence. */
void mr_workers_excuse(mr_service *service, int64_t late_ms);
mr_err mr_workers_release_lost(mr_service *service, mr_error *ret_error);

/* Within a command: the entry of the audit trail of an applied tenant; `before` NULL: it is new.
 * audit_apply.c */
void mr_audit_apply(mr_db *db, const mr_tenant_spec *before, const mr_tenant_spec *after, int64_t version);

/* --- observations, ledger, upkeep --- */

mr_err mr_flush_progress(mr_service *service, mr_error *ret_error); /* observe.c */
void mr_store_progress(mr_db *db, const mr_task *task);             /* of its status, within a command */
/* A name that no waiting or claimed file of the tenant has: rows.csv, rows-2.csv, ... */
void mr_unique_file_name(mr_db *db, const char *uid, const char *wanted, char *out, size_t size);
mr_err mr_recover_uploads(mr_service *service, mr_error *ret_error);   /* at the start: completes */
mr_err mr_take_back_uploads(mr_service *service, mr_error *ret_error); /* those that failed */
json_t *mr_upload_answer(mr_db *db, int64_t upload_id); /* as the upload was answered; NULL: unknown */
mr_err mr_retain(mr_service *service, mr_error *ret_error);
mr_err mr_delete_step(mr_service *service, const mr_tenant *tenant, bool *ret_moved, mr_error *ret_error);

/* --- views --- */

void mr_count_task_states(mr_service *service, json_t *counts); /* {"RUNNING": n, ...} */
json_t *mr_json_time(int64_t ms);                               /* null for 0 */
json_t *mr_json_text(const char *text);                         /* null for NULL and "" */

#endif
