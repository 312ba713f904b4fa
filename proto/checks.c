#include "proto/checks.h"

#include "core/text_value.h"
#include "proto/ids.h"
#include "proto/messages.h"

#include <string.h>

enum { SHORT_TEXT_MAX = 100, LONG_TEXT_MAX = 4096, PATH_TEXT_MAX = 4096, KEY_MAX = 255 };

static mr_err refuse(mr_error *ret_error, const char *who, const char *what)
{
    return mr_fail(ret_error, MR_EPROTOCOL, "%s: %s", who, what);
}

/* Replaces what is no printable UTF-8, so that one odd byte does not hide a failure from its reader. */
static mr_err clean_text(char *text, size_t max, const char *who, mr_error *ret_error)
{
    size_t size = strlen(text);
    if (size > max)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s: a text of %zu bytes, at most %zu", who, size, max);
    bool valid = mr_utf8_valid((mr_slice){text, size});
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f || (c >= 0x80 && !valid))
            text[i] = '?';
    }
    return MR_OK;
}

static bool names_valid(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!mr_name_valid(names[i]))
            return false;
    return true;
}

static bool empty_or_name(const char *text)
{
    return text[0] == '\0' || mr_name_valid(text);
}

static mr_err check_count(size_t count, size_t max, const char *who, const char *what, mr_error *ret_error)
{
    if (count <= max)
        return MR_OK;
    return mr_fail(ret_error, MR_ETOOLARGE, "%s: %zu %s, at most %zu", who, count, what, max);
}

/* Leaves "tenant/connector/task" in `who` for later messages. */
static mr_err check_task_id(const Mr__Proto__TaskId *id, int64_t epoch, char *who, mr_error *ret_error)
{
    if (id == NULL)
        return refuse(ret_error, "task", "without an id");
    if (!mr_tenant_id_valid(id->tenant) || !mr_name_valid(id->connector) || id->task < 0)
        return refuse(ret_error, "task", "not a valid id");
    mr_task_key(id, who);
    if (epoch < 1)
        return refuse(ret_error, who, "epoch below 1");
    return MR_OK;
}

static mr_err check_kind(Mr__Proto__TaskKind kind, const char *who, mr_error *ret_error)
{
    if (kind == MR__PROTO__TASK_KIND__KIND_UNSPECIFIED ||
        protobuf_c_enum_descriptor_get_value(&mr__proto__task_kind__descriptor, (int)kind) == NULL)
        return refuse(ret_error, who, "unknown kind of task");
    return MR_OK;
}

static mr_err check_source(Mr__Proto__SourceProgress *source, const char *who, mr_error *ret_error)
{
    if (!mr_name_valid(source->run_uid))
        return refuse(ret_error, who, "source progress without a valid run uid");
    mr_err err = check_count(source->n_ranges, MR_TASKS_MAX, who, "ranges", ret_error);
    for (size_t i = 0; err == MR_OK && i < source->n_ranges; i++) {
        const Mr__Proto__Range *range = source->ranges[i];
        if (range->partition < 0 || range->first < 0 || range->end < range->first)
            return refuse(ret_error, who, "not a valid range");
    }
    return err != MR_OK ? err : clean_text(source->rejected_file_reason, LONG_TEXT_MAX, who, ret_error);
}

static mr_err check_sink(const Mr__Proto__SinkProgress *sink, const char *who, mr_error *ret_error)
{
    mr_err err = check_count(sink->n_partitions, MR_TASKS_MAX, who, "partitions", ret_error);
    for (size_t i = 0; err == MR_OK && i < sink->n_partitions; i++) {
        const Mr__Proto__SinkPartition *partition = sink->partitions[i];
        if (partition->partition < 0 || partition->offset < 0 || partition->end < 0)
            return refuse(ret_error, who, "not a valid position");
        err = check_count(partition->n_runs, MR_TASKS_MAX, who, "runs", ret_error);
        for (size_t k = 0; err == MR_OK && k < partition->n_runs; k++)
            if (!mr_name_valid(partition->runs[k]->run_uid) || partition->runs[k]->run_seq < 0)
                return refuse(ret_error, who, "not a valid run");
    }
    return err;
}

/* Relative, and no way up. */
static bool stays_below(const char *path)
{
    if (path[0] == '/' || strlen(path) > PATH_TEXT_MAX)
        return false;
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (size == 2 && path[0] == '.' && path[1] == '.')
            return false;
        path += size + strspn(path + size, "/");
    }
    return true;
}

static mr_err check_program(const Mr__Proto__ProgramProgress *program, const char *who, mr_error *ret_error)
{
    size_t hash_size = strlen(program->manifest_sha256);
    if (!mr_name_valid(program->run_uid))
        return refuse(ret_error, who, "program progress without a valid run uid");
    if (!stays_below(program->sealed_dir) || !mr_utf8_valid(mr_slice_of(program->sealed_dir)))
        return refuse(ret_error, who, "sealed folder outside the staging folder");
    if ((hash_size != 0 && hash_size != 64) ||
        strspn(program->manifest_sha256, "0123456789abcdef") != hash_size)
        return refuse(ret_error, who, "not a SHA-256");
    return MR_OK;
}

static mr_err check_task_error(Mr__Proto__TaskError *error, const char *who, mr_error *ret_error)
{
    if (!empty_or_name(error->code) || !empty_or_name(error->class_))
        return refuse(ret_error, who, "not a valid error code or class");
    return clean_text(error->text, LONG_TEXT_MAX, who, ret_error);
}

static mr_err check_status(Mr__Proto__TaskStatus *status, mr_error *ret_error)
{
    char who[MR_TASK_KEY_BYTES];
    mr_err err = check_task_id(status->id, status->epoch, who, ret_error);
    if (err == MR_OK)
        err = check_kind(status->kind, who, ret_error);
    if (err == MR_OK &&
        protobuf_c_enum_descriptor_get_value(&mr__proto__task_state__descriptor, (int)status->state) == NULL)
        err = refuse(ret_error, who, "unknown state");
    if (err == MR_OK && (status->pid < 0 || status->stored_epoch < 0))
        err = refuse(ret_error, who, "negative pid or stored epoch");
    if (err == MR_OK)
        err = clean_text(status->step, SHORT_TEXT_MAX, who, ret_error);
    if (err == MR_OK && status->error != NULL)
        err = check_task_error(status->error, who, ret_error);
    if (err == MR_OK && status->source != NULL)
        err = check_source(status->source, who, ret_error);
    if (err == MR_OK && status->sink != NULL)
        err = check_sink(status->sink, who, ret_error);
    if (err == MR_OK && status->program != NULL)
        err = check_program(status->program, who, ret_error);
    return err;
}

static mr_err check_scope(const Mr__Proto__SinkScope *scope, const char *who, mr_error *ret_error)
{
    mr_err err = check_count(scope->n_ceilings, MR_TASKS_MAX, who, "ceilings", ret_error);
    if (err == MR_OK)
        err = check_count(scope->n_skips, MR_TASKS_MAX, who, "skips", ret_error);
    if (err == MR_OK)
        err = check_count(scope->n_starts, MR_TASKS_MAX, who, "starts", ret_error);
    if (err != MR_OK)
        return err;
    bool valid = scope->oldest_open_run >= 0;
    for (size_t i = 0; i < scope->n_ceilings; i++)
        valid = valid && scope->ceilings[i]->partition >= 0 && scope->ceilings[i]->offset >= 0;
    for (size_t i = 0; i < scope->n_skips; i++)
        valid = valid && scope->skips[i]->partition >= 0 && scope->skips[i]->first >= 0 &&
                scope->skips[i]->end >= scope->skips[i]->first;
    for (size_t i = 0; i < scope->n_starts; i++)
        valid = valid && scope->starts[i]->partition >= 0 && scope->starts[i]->offset >= 0;
    return valid ? MR_OK : refuse(ret_error, who, "not a valid scope");
}

static mr_err check_assignment(const Mr__Proto__Assignment *assignment, mr_error *ret_error)
{
    char who[MR_TASK_KEY_BYTES];
    mr_err err = check_task_id(assignment->id, assignment->epoch, who, ret_error);
    if (err == MR_OK)
        err = check_kind(assignment->kind, who, ret_error);
    if (err == MR_OK)
        err = check_count(assignment->n_config, MR_PROPERTIES_MAX, who, "properties", ret_error);
    for (size_t i = 0; err == MR_OK && i < assignment->n_config; i++) {
        const Mr__Proto__Property *property = assignment->config[i];
        if (!mr_name_valid(property->key) || strlen(property->key) > KEY_MAX)
            return refuse(ret_error, who, "not a valid property name");
        if (!mr_utf8_valid(mr_slice_of(property->value)))
            return mr_fail(ret_error, MR_EPROTOCOL, "%s: %s is not valid UTF-8", who, property->key);
    }
    if (err == MR_OK && assignment->scope != NULL)
        err = check_scope(assignment->scope, who, ret_error);
    return err;
}

static mr_err check_report(Mr__Proto__Report *report, mr_error *ret_error)
{
    if (!names_valid((const char *const[]){report->worker, report->incarnation, report->host}, 3))
        return refuse(ret_error, "report", "worker, incarnation or host is not a valid name");
    if (!empty_or_name(report->staging_id) || !empty_or_name(report->version))
        return refuse(ret_error, "report", "staging id or version is not a valid name");
    if (report->pid < 0)
        return refuse(ret_error, "report", "negative pid");
    mr_err err = check_count(report->n_tasks, MR_TASKS_MAX, "report", "tasks", ret_error);
    for (size_t i = 0; err == MR_OK && i < report->n_tasks; i++)
        err = check_status(report->tasks[i], ret_error);
    return err;
}

static mr_err check_protocol(uint32_t protocol, const char *who, mr_error *ret_error)
{
    if (protocol == MR_PROTOCOL)
        return MR_OK;
    return mr_fail(ret_error, MR_EPROTOCOL,
                   "%s of protocol %u, this is protocol %d: run the same version of Millrace on both sides",
                   who, protocol, MR_PROTOCOL);
}

mr_err mr_check_request(Mr__Proto__Request *request, mr_error *ret_error)
{
    mr_err err = check_protocol(request->protocol, "request", ret_error);
    if (err != MR_OK)
        return err;
    if ((request->report == NULL) == (request->watch == NULL))
        return refuse(ret_error, "request", "neither exactly a report nor exactly a watch");
    if (request->report != NULL)
        return check_report(request->report, ret_error);
    if (!names_valid((const char *const[]){request->watch->worker, request->watch->incarnation}, 2))
        return refuse(ret_error, "watch", "worker or incarnation is not a valid name");
    return MR_OK;
}

static mr_err check_ack(const Mr__Proto__Ack *ack, mr_error *ret_error)
{
    char who[MR_TASK_KEY_BYTES];
    if (ack->n_ids != ack->n_epochs)
        return refuse(ret_error, "ack", "ids and epochs differ in number");
    mr_err err = check_count(ack->n_ids, MR_TASKS_MAX, "ack", "tasks", ret_error);
    for (size_t i = 0; err == MR_OK && i < ack->n_ids; i++)
        err = check_task_id(ack->ids[i], ack->epochs[i], who, ret_error);
    return err;
}

mr_err mr_check_reply(Mr__Proto__Reply *reply, mr_error *ret_error)
{
    mr_err err = check_protocol(reply->protocol, "reply", ret_error);
    if (err == MR_OK)
        err = clean_text(reply->refused, LONG_TEXT_MAX, "reply", ret_error);
    if (err == MR_OK && reply->ack != NULL)
        err = check_ack(reply->ack, ret_error);
    if (err != MR_OK || reply->assignments == NULL)
        return err;
    const Mr__Proto__Assignments *list = reply->assignments;
    err = check_count(list->n_assignments, MR_TASKS_MAX, "assignments", "tasks", ret_error);
    for (size_t i = 0; err == MR_OK && i < list->n_assignments; i++)
        err = check_assignment(list->assignments[i], ret_error);
    return err;
}

mr_err mr_check_to_task(Mr__Proto__WorkerToTask *packet, mr_error *ret_error)
{
    if (packet->assignment == NULL)
        return packet->stop ? MR_OK : refuse(ret_error, "packet", "neither an assignment nor a stop");
    return check_assignment(packet->assignment, ret_error);
}

mr_err mr_check_from_task(Mr__Proto__TaskToWorker *packet, mr_error *ret_error)
{
    if (packet->status == NULL)
        return refuse(ret_error, "packet", "without a status");
    return check_status(packet->status, ret_error);
}
