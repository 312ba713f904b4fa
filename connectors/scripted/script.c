#include "connectors/scripted/script.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>

struct script_rule {
    int64_t partition, from, to, seq, every, attempt; /* -1: any */
    script_answer answer;
    char *reason;
};

static bool parse_verdict(const char *text, script_answer *answer, mr_verdict *ret_verdict)
{
    static const char *const names[] = {"done", "queued", "retry", "disconnected", "rejected"};
    if (strcmp(text, "error") == 0) {
        answer->fails = true;
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_verdict = (mr_verdict)i;
            return true;
        }
    }
    return false;
}

static mr_err parse_rule(json_t *object, size_t index, script_rule *rule, mr_error *ret_error)
{
    json_int_t partition = -1, offset = -1, from = 0, to = INT64_MAX, seq = -1, every = -1, attempt = -1,
               after_ms = 10;
    const char *verdict = NULL, *then = "done", *reason = "so says the script";
    json_error_t where;
    if (json_unpack_ex(object, &where, JSON_STRICT, "{s?I, s?I, s?I, s?I, s?I, s?I, s?I, s:s, s?s, s?I, s?s}",
                       "partition", &partition, "offset", &offset, "from", &from, "to", &to, "seq", &seq,
                       "every", &every, "attempt", &attempt, "verdict", &verdict, "then", &then, "after_ms",
                       &after_ms, "reason", &reason) != 0)
        return mr_fail(ret_error, MR_EINVALID, "rule %zu: %s", index, where.text);
    if (offset >= 0)
        from = to = offset;
    *rule = (script_rule){.partition = partition,
                          .from = from,
                          .to = to,
                          .seq = seq,
                          .every = every,
                          .attempt = attempt,
                          .answer = {.after_ms = (uint32_t)after_ms},
                          .reason = strdup(reason)};
    if (rule->reason == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a rule");
    rule->answer.reason = rule->reason;
    if (!parse_verdict(verdict, &rule->answer, &rule->answer.verdict) ||
        !parse_verdict(then, &rule->answer, &rule->answer.then) || rule->answer.then == MR_SINK_QUEUED)
        return mr_fail(ret_error, MR_EINVALID, "rule %zu: no such verdict", index);
    return MR_OK;
}

static mr_err parse_flush_order(const char *text, flush_order *ret_order, mr_error *ret_error)
{
    static const char *const names[] = {"order", "reverse", "random"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_order = (flush_order)i;
            return MR_OK;
        }
    }
    return mr_fail(ret_error, MR_EINVALID, "flush: order, reverse or random");
}

static mr_err parse(json_t *list, sink_script *script, mr_error *ret_error)
{
    size_t i;
    json_t *object;
    if (!json_is_array(list))
        return mr_fail(ret_error, MR_EINVALID, "not a JSON list of rules");
    script->rules = calloc(json_array_size(list) + 1, sizeof *script->rules);
    if (script->rules == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for the rules");
    json_array_foreach(list, i, object)
    {
        const char *order = json_string_value(json_object_get(object, "flush"));
        mr_err err = order != NULL ? parse_flush_order(order, &script->flush_order, ret_error)
                                   : parse_rule(object, i, &script->rules[script->rule_count++], ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

mr_err script_load(const char *path, sink_script *ret_script, mr_error *ret_error)
{
    json_error_t where;
    json_t *list = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (list == NULL)
        return mr_fail(ret_error, MR_EINVALID, "script %s: line %d: %s", path, where.line, where.text);
    sink_script script = {0};
    mr_err err = parse(list, &script, ret_error);
    json_decref(list);
    if (err != MR_OK) {
        script_fini(&script);
        return mr_wrap(ret_error, err, "script %s", path);
    }
    *ret_script = script;
    return MR_OK;
}

void script_fini(sink_script *script)
{
    for (size_t i = 0; i < script->rule_count; i++)
        free(script->rules[i].reason);
    free(script->rules);
    *script = (sink_script){0};
}

static bool fits(const script_rule *rule, const mr_sink_record *record, int64_t attempt)
{
    return (rule->partition < 0 || rule->partition == record->partition) && record->offset >= rule->from &&
           record->offset <= rule->to && (rule->seq < 0 || (uint64_t)rule->seq == record->seq) &&
           (rule->every < 1 || record->offset % rule->every == 0) &&
           (rule->attempt < 0 || rule->attempt == attempt);
}

script_answer script_answer_for(const sink_script *script, const mr_sink_record *record, int64_t attempt)
{
    for (size_t i = 0; i < script->rule_count; i++) {
        if (fits(&script->rules[i], record, attempt))
            return script->rules[i].answer;
    }
    return (script_answer){.verdict = MR_SINK_DONE};
}
