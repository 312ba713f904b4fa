#include "coordinator/agreement.h"

#include "connectors/option_tables.h"
#include "coordinator/cron.h"
#include "coordinator/dataset.h"
#include "coordinator/quantity.h"
#include "proto/ids.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const mr_resources default_requests = {64ull << 20, 250};
static const mr_resources default_limits = {128ull << 20, 500};
static const uint64_t default_disk_bytes = 4ull << 30;

enum {
    DEFAULT_RETENTION_DAYS = 7,
    DEFAULT_DEADLINE_SECONDS = 3600,
    DEFAULT_ATTEMPTS = 3,
    DEFAULT_PROCESSES = 256,
    MAX_SINKS = 20,
    MAX_PROGRAM_BYTES = 64 * 1024
};
#define MAX_REJECTED_ROWS INT64_C(1000000000000)

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void read_client(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    agreement->client = mr_document_text(doc, root, "client", true);
    if (agreement->client != NULL && !mr_tenant_id_valid(agreement->client))
        mr_document_refuse(
            doc, "client",
            "\"%.80s\" is not a tenant id: lower-case letters, digits, _ and -, at most 63, the "
            "first a letter or digit",
            agreement->client);
}

static void read_schedule(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    agreement->schedule = mr_document_text(doc, root, "schedule", true);
    mr_cron cron;
    mr_error problem;
    if (agreement->schedule == NULL)
        return;
    if (mr_cron_parse(agreement->schedule, &cron, &problem) != MR_OK)
        mr_document_refuse(doc, "schedule", "%s", problem.text);
    else if (mr_cron_next(&cron, NULL, 0) < 0)
        mr_document_refuse(doc, "schedule", "\"%.80s\" never comes", agreement->schedule);
}

/* The index of the field's text in `words`; 0 when it is left out. */
static size_t read_word(mr_document *doc, mr_document_at root, const char *name, const char *const *words,
                        size_t count)
{
    const char *text = mr_document_text(doc, root, name, false);
    char all[120] = "";
    for (size_t i = 0; i < count; i++) {
        if (text == NULL || strcmp(text, words[i]) == 0)
            return text == NULL ? 0 : i;
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s\"%s\"",
                 i == 0           ? ""
                 : i + 1 == count ? " or "
                                  : ", ",
                 words[i]);
    }
    mr_document_refuse(doc, name, "must be %s", all);
    return 0;
}

static void read_schedule_policy(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    static const char *const catchups[] = {"latest", "none", "all"};
    static const char *const policies[] = {"forbid", "allow", "replace"};
    agreement->time_zone = mr_document_text(doc, root, "time_zone", false);
    if (agreement->time_zone == NULL)
        agreement->time_zone = "UTC";
    const json_t *suspend = json_object_get(root.object, "suspend");
    if (suspend != NULL && !json_is_null(suspend))
        agreement->suspend =
            mr_document_boolean(doc, root, "suspend", false) ? MR_SUSPEND_YES : MR_SUSPEND_NO;
    agreement->catchup = (mr_catchup)read_word(doc, root, "catchup", catchups, COUNT(catchups));
    agreement->concurrency =
        (mr_concurrency)read_word(doc, root, "concurrency_policy", policies, COUNT(policies));
    if (agreement->catchup == MR_CATCHUP_ALL && agreement->concurrency == MR_REPLACE)
        mr_document_refuse(doc, "catchup",
                           "\"all\" and concurrency_policy \"replace\" contradict each other: each "
                           "missed run would end the one before");
    agreement->starting_deadline_seconds =
        mr_document_integer(doc, root, "starting_deadline_seconds", 1, 31536000, 0);
}

static void read_mode(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    agreement->mode = MR_MODE_BATCH;
    const char *mode = mr_document_text(doc, root, "mode", false);
    if (mode == NULL || strcmp(mode, "batch") == 0)
        return;
    mr_document_refuse(doc, "mode",
                       strcmp(mode, "streaming") == 0
                           ? "\"streaming\" is not offered by this version; use \"batch\""
                           : "must be \"batch\"");
}

static void read_bytes(mr_document *doc, mr_document_at at, const char *name, uint64_t *bytes)
{
    mr_error problem;
    const char *text = mr_document_text(doc, at, name, false);
    if (text != NULL && mr_quantity_memory(text, bytes, &problem) != MR_OK)
        mr_document_refuse(doc, mr_document_path(doc, at, name), "%s", problem.text);
}

static void read_amounts(mr_document *doc, mr_document_at at, mr_resources *amounts)
{
    mr_error problem;
    read_bytes(doc, at, "memory", &amounts->memory_bytes);
    const char *cpu = mr_document_text(doc, at, "cpu", false);
    bool odd = false;
    if (cpu != NULL && mr_quantity_cpu(cpu, &amounts->cpu_millis, &odd, &problem) != MR_OK)
        mr_document_refuse(doc, mr_document_path(doc, at, "cpu"), "%s", problem.text);
    if (odd)
        mr_document_odd(doc, mr_document_path(doc, at, "cpu"),
                        "\"%.40s\" has a unit of memory; taken as %" PRIu32 "m", cpu, amounts->cpu_millis);
}

static void read_limits(mr_document *doc, mr_document_at resources, mr_agreement *agreement)
{
    static const char *const known[] = {"memory", "cpu", "disk", "processes"};
    mr_document_at at;
    if (!mr_document_object(doc, resources, "limits", &at))
        return;
    mr_document_check_names(doc, at, known, COUNT(known));
    read_amounts(doc, at, &agreement->limits);
    read_bytes(doc, at, "disk", &agreement->limit_disk_bytes);
    agreement->limit_processes = mr_document_integer(doc, at, "processes", 1, 10000, DEFAULT_PROCESSES);
}

static void read_resources(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    static const char *const known[] = {"requests", "limits"}, *const requested[] = {"memory", "cpu"};
    mr_resources *requests = &agreement->requests, *limits = &agreement->limits;
    *requests = (mr_resources){0};
    *limits = (mr_resources){0};
    agreement->limit_disk_bytes = default_disk_bytes;
    agreement->limit_processes = DEFAULT_PROCESSES;
    mr_document_at at, requests_at;
    if (mr_document_object(doc, root, "resources", &at)) {
        mr_document_check_names(doc, at, known, COUNT(known));
        if (mr_document_object(doc, at, "requests", &requests_at)) {
            mr_document_check_names(doc, requests_at, requested, COUNT(requested));
            read_amounts(doc, requests_at, requests);
        }
        read_limits(doc, at, agreement);
    }
    /* As Kubernetes does: a limit alone is also the request. Defaults never contradict what was given. */
    if (requests->memory_bytes == 0)
        requests->memory_bytes =
            limits->memory_bytes != 0 ? limits->memory_bytes : default_requests.memory_bytes;
    if (requests->cpu_millis == 0)
        requests->cpu_millis = limits->cpu_millis != 0 ? limits->cpu_millis : default_requests.cpu_millis;
    if (limits->memory_bytes == 0)
        limits->memory_bytes = requests->memory_bytes > default_limits.memory_bytes
                                   ? requests->memory_bytes
                                   : default_limits.memory_bytes;
    if (limits->cpu_millis == 0)
        limits->cpu_millis = requests->cpu_millis > default_limits.cpu_millis ? requests->cpu_millis
                                                                              : default_limits.cpu_millis;
    if (limits->memory_bytes < requests->memory_bytes)
        mr_document_refuse(doc, "resources.limits.memory", "is less than resources.requests.memory");
    if (limits->cpu_millis < requests->cpu_millis)
        mr_document_refuse(doc, "resources.limits.cpu", "is less than resources.requests.cpu");
}

static bool env_name_valid(const char *name)
{
    if (*name == '\0' || isdigit((unsigned char)*name))
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static void read_env(mr_document *doc, mr_document_at program, mr_agreement *agreement)
{
    mr_document_at at;
    if (!mr_document_object(doc, program, "env", &at))
        return;
    if (json_object_size(at.object) > MR_DOCUMENT_LIST) {
        mr_document_refuse(doc, "program.env", "%zu variables are more than %d", json_object_size(at.object),
                           MR_DOCUMENT_LIST);
        return;
    }
    mr_env_variable *env = mr_arena_alloc(doc->arena, json_object_size(at.object) * sizeof *env + 1);
    if (env == NULL) {
        mr_document_out_of_memory(doc);
        return;
    }
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(at.object, name, value)
    {
        const char *path = mr_document_path(doc, at, name);
        if (!env_name_valid(name))
            mr_document_refuse(doc, path, "is not a name of an environment variable");
        else if (strcmp(name, "CLIENT_ID") == 0 || strcmp(name, "SOURCE_PATH") == 0 ||
                 strcmp(name, "PROGRAM_DIR") == 0 || strcmp(name, "DUE_TIME") == 0)
            mr_document_refuse(doc, path, "is set by Millrace; choose another name");
        else if (!json_is_string(value))
            mr_document_refuse(doc, path, "a string is expected");
        else if (strlen(name) + json_string_length(value) > MR_DOCUMENT_OPTION_BYTES)
            mr_document_refuse(doc, path, "is longer than %d bytes", MR_DOCUMENT_OPTION_BYTES);
        env[count].name = mr_arena_copy(doc->arena, mr_slice_of(name)).data;
        env[count].value =
            mr_arena_copy(doc->arena, mr_slice_of(json_is_string(value) ? json_string_value(value) : ""))
                .data;
        if (env[count].name == NULL || env[count].value == NULL)
            mr_document_out_of_memory(doc);
        count++;
    }
    agreement->program_env = env;
    agreement->program_env_count = count;
}

static void read_program(mr_document *doc, mr_document_at root, mr_agreement *agreement)
{
    static const char *const known[] = {"command", "deadline_seconds", "env"};
    agreement->attempts = mr_document_integer(doc, root, "attempts", 1, 100, DEFAULT_ATTEMPTS);
    agreement->program_deadline_seconds = DEFAULT_DEADLINE_SECONDS;
    mr_document_at at;
    if (!mr_document_object(doc, root, "program", &at))
        return;
    mr_document_check_names(doc, at, known, COUNT(known));
    mr_document_check_size(doc, at, MAX_PROGRAM_BYTES);
    agreement->program_command =
        mr_document_list(doc, at, "command", true, &agreement->program_command_count);
    if (agreement->program_command != NULL &&
        (agreement->program_command_count == 0 || agreement->program_command[0][0] == '\0'))
        mr_document_refuse(doc, "program.command", "its first element must name the program");
    agreement->program_deadline_seconds =
        mr_document_integer(doc, at, "deadline_seconds", 1, 7 * 24 * 3600, DEFAULT_DEADLINE_SECONDS);
    read_env(doc, at, agreement);
}

/* The options of a sink as text, whatever JSON type they were given in: the option table knows their types.
 */
static void read_sink_option(mr_document *doc, const char *path, const char *name, json_t *value,
                             mr_props *options)
{
    char number[32];
    const char *text = json_string_value(value);
    char *list = NULL;
    if (json_is_boolean(value))
        text = json_is_true(value) ? "true" : "false";
    else if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = number;
    } else if (json_is_array(value))
        text = list = json_dumps(value, JSON_COMPACT);
    if (text == NULL)
        mr_document_refuse(doc, path, "a string, number, boolean or list is expected");
    else if (strlen(text) > MR_DOCUMENT_OPTION_BYTES)
        mr_document_refuse(doc, path, "is longer than %d bytes", MR_DOCUMENT_OPTION_BYTES);
    else if (strcmp(name, "table") == 0 && !mr_table_name_valid(text))
        mr_document_refuse(
            doc, path,
            "\"%.80s\" is not a name of a table: letters, digits and _, at most 48, the first a "
            "letter; none that begins with sqlite_ or millrace_",
            text);
    else if (mr_props_set(options, name, text) != MR_OK)
        mr_document_out_of_memory(doc);
    free(list);
}

/* What the planner sets for each dataset: a tenant does not choose where on this machine its store lies. */
static const char *const planned_options[] = {"store.dir", "key.space"};

static void check_sink_options(mr_document *doc, mr_document_at at, const mr_option *table, const char *name,
                               const mr_props *options)
{
    mr_props *whole;
    if (mr_props_open(&whole) != MR_OK) {
        mr_document_out_of_memory(doc);
        return;
    }
    for (size_t i = 0; i < mr_props_count(options); i++) {
        const char *key, *value;
        mr_props_at(options, i, &key, &value);
        if (mr_props_set(whole, key, value) != MR_OK)
            mr_document_out_of_memory(doc);
    }
    for (size_t i = 0; i < COUNT(planned_options); i++) {
        if (mr_props_get(options, planned_options[i]) != NULL)
            mr_document_refuse(doc, mr_document_path(doc, at, planned_options[i]),
                               "is set by Millrace; remove it");
        if (mr_props_set(whole, planned_options[i], "planned") != MR_OK)
            mr_document_out_of_memory(doc);
    }
    char who[160];
    snprintf(who, sizeof who, "%.80s: sink %.63s", doc->name, name);
    mr_error problem;
    const mr_option *const tables[] = {table, NULL};
    if (doc->failed == MR_OK && mr_options_check(tables, whole, who, &problem) != MR_OK)
        doc->failed = mr_fail(doc->error, MR_EINVALID, "%s", problem.text);
    mr_props_close(&whole);
}

static void read_sink(mr_document *doc, json_t *object, size_t index, mr_agreement_sink *sink)
{
    char prefix[40];
    snprintf(prefix, sizeof prefix, "sinks[%zu].", index);
    if (!json_is_object(object)) {
        prefix[strlen(prefix) - 1] = '\0';
        mr_document_refuse(doc, prefix, "an object is expected");
        return;
    }
    const mr_document_at at = {object, prefix};
    sink->name = mr_document_text(doc, at, "name", true);
    sink->class_name = mr_document_text(doc, at, "class", true);
    if (doc->failed != MR_OK)
        return;
    if (!mr_tenant_id_valid(sink->name))
        mr_document_refuse(doc, mr_document_path(doc, at, "name"),
                           "\"%.80s\" is not a name: lower-case letters, digits, _ and -", sink->name);
    const mr_option *table = mr_connector_options_find(sink->class_name, MR_CONNECTOR_SINK);
    if (table == NULL) {
        mr_document_refuse(doc, mr_document_path(doc, at, "class"), "no sink class \"%.80s\"",
                           sink->class_name);
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (strcmp(name, "name") != 0 && strcmp(name, "class") != 0)
            read_sink_option(doc, mr_document_path(doc, at, name), name, value, sink->options);
    }
    check_sink_options(doc, at, table, sink->name, sink->options);
}

static mr_agreement_sink *alloc_sinks(mr_document *doc, mr_agreement *agreement, size_t count)
{
    mr_agreement_sink *sinks = mr_arena_alloc(doc->arena, count * sizeof *sinks);
    if (sinks == NULL) {
        mr_document_out_of_memory(doc);
        return NULL;
    }
    agreement->sinks = sinks;
    for (agreement->sink_count = 0; agreement->sink_count < count; agreement->sink_count++) {
        sinks[agreement->sink_count] = (mr_agreement_sink){0};
        if (mr_props_open(&sinks[agreement->sink_count].options) != MR_OK) {
            mr_document_out_of_memory(doc);
            return NULL;
        }
    }
    return sinks;
}

static void refuse_name(mr_document *doc, size_t index, const char *name)
{
    char path[40];
    snprintf(path, sizeof path, "sinks[%zu].name", index);
    mr_document_refuse(doc, path, "two sinks are named \"%s\"", name);
}

static void read_sinks(mr_document *doc, mr_document_at root, const char *default_store,
                       mr_agreement *agreement)
{
    if (doc->failed != MR_OK)
        return;
    json_t *list = json_object_get(root.object, "sinks");
    if (list == NULL || json_is_null(list)) {
        mr_agreement_sink *sink = alloc_sinks(doc, agreement, 1);
        if (sink == NULL)
            return;
        sink->name = "store";
        sink->class_name = mr_arena_copy(doc->arena, mr_slice_of(default_store)).data;
        if (sink->class_name == NULL)
            mr_document_out_of_memory(doc);
        return;
    }
    const size_t count = json_array_size(list);
    if (count < 1 || count > MAX_SINKS) {
        mr_document_refuse(doc, "sinks", "an array of 1 to %d objects is expected", MAX_SINKS);
        return;
    }
    mr_agreement_sink *sinks = alloc_sinks(doc, agreement, count);
    for (size_t i = 0; i < count && doc->failed == MR_OK; i++) {
        read_sink(doc, json_array_get(list, i), i, &sinks[i]);
        for (size_t j = 0; j < i && doc->failed == MR_OK; j++)
            if (strcmp(sinks[i].name, sinks[j].name) == 0)
                refuse_name(doc, i, sinks[i].name);
    }
}

static void read_agreement(mr_document *doc, const mr_agreement_rules *rules, mr_agreement *agreement)
{
    static const char *const known[] = {"client",
                                        "schedule",
                                        "time_zone",
                                        "suspend",
                                        "catchup",
                                        "concurrency_policy",
                                        "starting_deadline_seconds",
                                        "mode",
                                        "data_retention_period_days",
                                        "resources",
                                        "program",
                                        "attempts",
                                        "sinks",
                                        "max_rejected_percent",
                                        "max_rejected_rows"};
    const mr_document_at root = {doc->root, ""};
    mr_document_check_names(doc, root, known, COUNT(known));
    read_client(doc, root, agreement);
    read_schedule(doc, root, agreement);
    read_schedule_policy(doc, root, agreement);
    read_mode(doc, root, agreement);
    agreement->data_retention_period_days =
        mr_document_integer(doc, root, "data_retention_period_days", 0, 36500, DEFAULT_RETENTION_DAYS);
    read_resources(doc, root, agreement);
    read_program(doc, root, agreement);
    agreement->max_rejected_percent = mr_document_real(doc, root, "max_rejected_percent", 0, 100, -1);
    agreement->max_rejected_rows =
        mr_document_integer(doc, root, "max_rejected_rows", 0, MAX_REJECTED_ROWS, -1);
    read_sinks(doc, root, rules->default_store, agreement);
}

mr_err mr_agreement_parse(mr_slice text, const mr_agreement_rules *rules, mr_warnings *warnings,
                          mr_agreement **ret_agreement, mr_error *ret_error)
{
    mr_agreement *agreement = calloc(1, sizeof *agreement);
    if (agreement == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "%s: out of memory", rules->document);
    mr_error problem;
    mr_document doc = {.name = rules->document,
                       .strict = rules->strict,
                       .arena = &agreement->arena,
                       .warnings = warnings,
                       .error = &problem};
    mr_document_parse(&doc, text);
    if (doc.failed == MR_OK) {
        const mr_slice copy = mr_arena_copy(&agreement->arena, text);
        if (copy.data == NULL)
            mr_document_out_of_memory(&doc);
        agreement->document = mr_arena_copy(&agreement->arena, mr_slice_of(rules->document)).data;
        if (agreement->document == NULL)
            mr_document_out_of_memory(&doc);
        agreement->text = copy.data;
        agreement->text_size = copy.size;
        read_agreement(&doc, rules, agreement);
    }
    mr_document_fini(&doc);
    if (doc.failed != MR_OK) {
        mr_agreement_close(&agreement);
        return mr_fail(ret_error, doc.failed, "%s", problem.text);
    }
    *ret_agreement = agreement;
    return MR_OK;
}

void mr_agreement_close(mr_agreement **agreement)
{
    if (*agreement == NULL)
        return;
    for (size_t i = 0; i < (*agreement)->sink_count; i++) {
        mr_props *options = (*agreement)->sinks[i].options;
        mr_props_close(&options);
    }
    mr_arena_fini(&(*agreement)->arena);
    free(*agreement);
    *agreement = NULL;
}
