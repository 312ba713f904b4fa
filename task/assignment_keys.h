/* assignment_keys.h - the framework's keys of a task configuration (docs/architecture.md, section 4). */
#ifndef MR_TASK_ASSIGNMENT_KEYS_H
#define MR_TASK_ASSIGNMENT_KEYS_H

#include "core/options.h"

extern const mr_option task_common_keys[]; /* all kinds */
extern const mr_option task_topic_keys[];  /* source, sink, fence, release */
extern const mr_option task_schema_keys[]; /* source, sink */
extern const mr_option task_run_keys[];    /* source, program, fence */
extern const mr_option task_source_keys[];
extern const mr_option task_replay_keys[]; /* source of class "rejected" */
extern const mr_option task_sink_keys[];
extern const mr_option task_release_keys[];
extern const mr_option task_program_keys[];

#endif
