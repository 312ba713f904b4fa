/* agreement.h - a tenant's service agreement: typed, checked, with the text as submitted.
 *
 * Immutable after parse; all it points to lives until close. Thread: any. docs/agreement.md has every field.
 */
#ifndef MR_COORDINATOR_AGREEMENT_H
#define MR_COORDINATOR_AGREEMENT_H

#include "coordinator/document.h"
#include "core/props.h"

typedef enum mr_mode { MR_MODE_BATCH } mr_mode;

typedef struct mr_resources {
    uint64_t memory_bytes;
    uint32_t cpu_millis;
} mr_resources;

typedef struct mr_agreement_sink {
    const char *name;       /* unique within the agreement */
    const char *class_name; /* "sqlite" */
    mr_props *options; /* without name and class; checked against the class's table; secrets unresolved */
} mr_agreement_sink;

typedef struct mr_env_variable {
    const char *name;
    const char *value;
} mr_env_variable;

typedef enum mr_catchup { MR_CATCHUP_LATEST, MR_CATCHUP_NONE, MR_CATCHUP_ALL } mr_catchup;
typedef enum mr_concurrency { MR_FORBID, MR_ALLOW, MR_REPLACE } mr_concurrency;
typedef enum mr_suspend { MR_SUSPEND_UNSAID, MR_SUSPEND_NO, MR_SUSPEND_YES } mr_suspend;

typedef struct mr_agreement {
    const char *text; /* as submitted, NUL-terminated */
    size_t text_size;
    const char *document; /* the rules' name for messages */

    const char *client;    /* the tenant's id */
    const char *schedule;  /* cron, five fields, as submitted; it parses */
    const char *time_zone; /* by which the schedule is read; mr_tenant_spec_check asks whether it exists */
    mr_suspend suspend;
    mr_catchup catchup;
    mr_concurrency concurrency;
    int64_t starting_deadline_seconds; /* 0: none */
    mr_mode mode;
    int64_t data_retention_period_days;
    mr_resources requests; /* of the program */
    mr_resources limits;   /* of the program; at least the requests */
    uint64_t limit_disk_bytes;
    int64_t limit_processes;

    /* command_count 0: `run` of the program folder, if there is one, else no program. */
    const char *const *program_command;
    size_t program_command_count;
    int64_t program_deadline_seconds;
    const mr_env_variable *program_env;
    size_t program_env_count;
    int64_t attempts; /* of the program step, per run */

    const mr_agreement_sink *sinks; /* at least one */
    size_t sink_count;
    double max_rejected_percent; /* of a run and dataset; negative: no bound */
    int64_t max_rejected_rows;   /* the same */

    mr_arena arena;
} mr_agreement;

typedef struct mr_agreement_rules {
    const char *document; /* name for messages: "agreement.json" */
    const char
        *default_store; /* sink class used when the agreement names no sinks (`store=` of the coordinator) */
    bool strict;        /* refuse oddities */
} mr_agreement_rules;

/* MR_EINVALID names document and field and what would be right. Warnings are appended (NULL: dropped). Stored
 * texts parse again with strict = false. */
mr_err mr_agreement_parse(mr_slice text, const mr_agreement_rules *rules, mr_warnings *warnings,
                          mr_agreement **ret_agreement, mr_error *ret_error);
void mr_agreement_close(mr_agreement **agreement); /* NULL-safe */

#endif
