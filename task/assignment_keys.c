/* assignment_keys.c - the framework's keys of a task configuration, as tables. */
#include "task/assignment_keys.h"

#include <stddef.h>
#include <stdint.h>

#define TEXT(key, fallback, must, words)                                                                     \
    {                                                                                                        \
        .name = (key), .type = MR_OPTION_TEXT, .default_value = (fallback), .required = (must),              \
        .help = (words)                                                                                      \
    }
#define INTEGER(key, fallback, low, high, must, words)                                                       \
    {                                                                                                        \
        .name = (key), .type = MR_OPTION_INTEGER, .default_value = (fallback), .minimum = (low),             \
        .maximum = (high), .required = (must), .help = (words)                                               \
    }

const mr_option task_common_keys[] = {
    TEXT("kind", NULL, true, "What the task does: source, sink, program, fence or release."),
    TEXT("name", NULL, true, "Name of the connector, unique within the tenant."),
    INTEGER("task", "0", 0, 9999, false, "Number of the task within its connector."),
    INTEGER("epoch", NULL, 1, INT64_MAX, true, "Number of this assignment; by hand one more than last time."),
    TEXT("tenant", NULL, true, "Id of the tenant."),
    TEXT("tenant.uid", NULL, true, "Random id that keeps a tenant apart from a former one of the same name."),
    TEXT("dataset", "", false, "Name of the dataset."),
    INTEGER("stall.ms", "60000", 100, 86400000, false,
            "Milliseconds with work and without progress after which the task is shown as STALLED."),
    {0},
};

const mr_option task_topic_keys[] = {
    TEXT("topic", NULL, true, "Topic of the dataset; created when missing, with TOPIC.rejected beside it."),
    INTEGER("topic.partitions", "1", 1, 1000, false, "Partitions of the topic."),
    {0},
};

const mr_option task_schema_keys[] = {
    TEXT("connector.class", NULL, true, "Class of the connector; its options are keys of the same file."),
    TEXT("schema", NULL, true, "Avro schema of the rows, as JSON text."),
    INTEGER("schema.id", NULL, 0, UINT32_MAX, true, "Id of the schema in the wire format."),
    {.name = "primary.key",
     .type = MR_OPTION_LIST,
     .required = true,
     .help = "Key columns as a JSON array, in order."},
    {0},
};

const mr_option task_run_keys[] = {
    TEXT("run.uid", NULL, true, "Identity of the run."),
    INTEGER("run.seq", NULL, 1, INT64_MAX, true, "Number of the run within its tenant."),
    {0},
};

const mr_option task_source_keys[] = {
    INTEGER("key.schema.id", NULL, 0, UINT32_MAX, true, "Id of the key's schema in the wire format."),
    TEXT("max.rejected.percent", NULL, false,
         "Percentage of rejected rows above which the run ends as failed; absent: no bound."),
    INTEGER("max.rejected.rows", NULL, 0, INT64_MAX, false,
            "Rejected rows above which the run ends at once as failed; absent: no bound."),
    {.name = "closed.runs",
     .type = MR_OPTION_LIST,
     .default_value = "[]",
     .help = "Runs of the dataset, as a JSON array of run.uid, whose positions may be removed."},
    {0},
};

const mr_option task_replay_keys[] = {
    TEXT("replay.run", NULL, false, "Identity of the run whose rejected rows are replayed; absent: of all."),
    {.name = "replay.force",
     .type = MR_OPTION_BOOLEAN,
     .default_value = "false",
     .help = "Also those that were replayed before."},
    TEXT("schemas", NULL, false,
         "JSON object from id to text of every schema in the topic; absent: the schema alone."),
    TEXT("files.type", "csv", false, "What the files of the dataset are: csv or ndjson."),
    {.name = "csv.null.values",
     .type = MR_OPTION_LIST,
     .default_value = "[]",
     .help = "Texts that stand for null in unquoted cells of nullable fields, beside the empty cell."},
    {0},
};

const mr_option task_sink_keys[] = {
    TEXT("schemas", NULL, false,
         "JSON object from id to text of every schema in the topic; absent: the schema alone."),
    {.name = "until.end",
     .type = MR_OPTION_BOOLEAN,
     .default_value = "false",
     .help = "End when all that was in the topic at the start is delivered."},
    INTEGER("max.same.rejects", "10000", 1, 1000000, false,
            "Records in a row, rejected for one reason, that stop the sink before it commits them away."),
    INTEGER("retention.ms", NULL, 0, INT64_MAX, false,
            "Age in milliseconds above which delivered records and dead letters are removed; absent: never."),
    {0},
};

const mr_option task_release_keys[] = {
    INTEGER("retention.ms", NULL, 0, INT64_MAX, false,
            "Age in milliseconds above which records and dead letters are removed afterwards; absent: none."),
    {0},
};

const mr_option task_program_keys[] = {
    TEXT("run.dir", NULL, true, "Folder of the run: STAGING/runs/RUN_UID."),
    TEXT("client", NULL, false, "Value of CLIENT_ID; absent: the tenant."),
    TEXT("program.dir", NULL, false,
         "Folder of the program; without it and a command there is none, and the manifest lists claimed/."),
    {.name = "program.command",
     .type = MR_OPTION_LIST,
     .default_value = "[\"./run\"]",
     .help = "Command as a JSON array; a first word with a slash is relative to program.dir."},
    INTEGER("program.deadline.seconds", "3600", 1, 31536000, false,
            "Seconds after which the program is ended."),
    INTEGER("program.grace.seconds", "10", 0, 3600, false, "Seconds between SIGTERM and SIGKILL."),
    INTEGER("program.data.max.bytes", "0", 0, INT64_MAX, false,
            "Data segment of each process of the program (RLIMIT_DATA); 0: no bound."),
    INTEGER("program.disk.max.bytes", "0", 0, INT64_MAX, false,
            "Bytes that the program may have in its folder beside the copies of the files; 0: no bound."),
    INTEGER("program.processes.max", "0", 0, 100000, false,
            "Processes that the program may have at a time; 0: no bound."),
    TEXT("program.user", NULL, false,
         "Account that the program runs as, where the task is root's; absent: the user of the task."),
    TEXT("program.attempt", "", false, "Which attempt this is, for the log: \"2 of 3\"."),
    TEXT("program.env", "{}", false, "More environment of the program, as a JSON object of texts."),
    TEXT("datasets", NULL, true,
         "JSON array of {\"name\", \"pattern\"}: which file belongs to which dataset."),
    INTEGER("log.max.bytes", "1048576", 0, 1073741824, false,
            "Bytes of the program's output kept in program.log."),
    {0},
};
