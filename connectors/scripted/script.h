/* script.h - the rules of a scripted sink; see README.md in connectors/. */
#ifndef MR_CONNECTORS_SCRIPTED_SCRIPT_H
#define MR_CONNECTORS_SCRIPTED_SCRIPT_H

#include "connectors/sink.h"

typedef struct script_rule script_rule;

typedef enum flush_order { FLUSH_IN_ORDER, FLUSH_REVERSE, FLUSH_RANDOM } flush_order;

typedef struct sink_script {
    script_rule *rules;
    size_t rule_count;
    flush_order flush_order;
} sink_script;

/* What a record gets; `then` is the verdict at flush of one that is queued. */
typedef struct script_answer {
    mr_verdict verdict, then;
    bool fails; /* write() returns an error instead */
    uint32_t after_ms;
    const char *reason;
} script_answer;

mr_err script_load(const char *path, sink_script *ret_script, mr_error *ret_error);
void script_fini(sink_script *script);
/* `attempt` counts from 1 how often the record was given. Without a rule that fits: done. */
script_answer script_answer_for(const sink_script *script, const mr_sink_record *record, int64_t attempt);

#endif
