#include "worker/report.h"

#include <stdlib.h>

enum { ROOM_FOR_ENVELOPE = 1024, FIELD_HEADER_BYTES = 8 };

/* Ended tasks until they are acknowledged, living ones always. */
static bool is_reported(const supervised *task)
{
    return !task->abandoned && !(task->phase == TASK_OVER && task->acked);
}

static void fill(const supervised *task, Mr__Proto__TaskStatus *status, Mr__Proto__TaskError *error)
{
    *status = (Mr__Proto__TaskStatus)MR__PROTO__TASK_STATUS__INIT;
    *error = (Mr__Proto__TaskError)MR__PROTO__TASK_ERROR__INIT;
    if (task->last != NULL)
        *status = *task->last;
    else
        status->revision = task->assignment->revision;
    status->id = task->assignment->id;
    status->epoch = task->assignment->epoch;
    status->kind = task->assignment->kind;
    status->state = task->frozen && task->process != NULL ? MR__PROTO__TASK_STATE__STALLED : task->state;
    status->memory_bytes = task->memory_bytes;
    status->pid = task->pid;
    status->restarts = task->restarts;
    if (task->failure.code != MR_OK) {
        error->code = (char *)mr_err_name(task->failure.code);
        error->class_ = (char *)mr_err_class_name(task->failure.class);
        error->text = (char *)task->failure.text;
        status->error = error;
    } else if (task->phase != TASK_UP) {
        status->error = NULL;
    }
}

static size_t progress_bytes(const Mr__Proto__TaskStatus *status)
{
    size_t size = 0;
    if (status->source != NULL)
        size += protobuf_c_message_get_packed_size(&status->source->base) + FIELD_HEADER_BYTES;
    if (status->sink != NULL)
        size += protobuf_c_message_get_packed_size(&status->sink->base) + FIELD_HEADER_BYTES;
    return size;
}

static void leave_progress_out(Mr__Proto__TaskStatus *status)
{
    status->source = NULL;
    status->sink = NULL;
}

/* The last words first: their progress decides. Then as many of the others as fit, beginning elsewhere each
 * time. */
static void fit(worker_report *r)
{
    size_t count = r->message.n_tasks, all = 0, kept = 0;
    size_t size = protobuf_c_message_get_packed_size(&r->request.base);
    if (size + ROOM_FOR_ENVELOPE <= MR_RPC_MAX_BYTES)
        return;
    for (size_t i = 0; i < count; i++)
        all += progress_bytes(&r->statuses[i]);
    size_t room = MR_RPC_MAX_BYTES - ROOM_FOR_ENVELOPE;
    size_t bare = size - all + count * FIELD_HEADER_BYTES;
    room = room > bare ? room - bare : 0;
    for (int last_words = 1; last_words >= 0; last_words--) {
        for (size_t k = 0; k < count; k++) {
            Mr__Proto__TaskStatus *status = &r->statuses[(k + r->message.sequence * 7) % count];
            if (mr_state_final(status->state) != (last_words == 1))
                continue;
            size_t more = progress_bytes(status);
            if (kept + more <= room)
                kept += more;
            else
                leave_progress_out(status);
        }
    }
}

mr_err report_init(worker_report *r, const Mr__Proto__Report *facts, const supervisor *s, mr_error *ret_error)
{
    size_t count = 0;
    for (const supervised *task = supervisor_first(s); task != NULL; task = task->next)
        count += is_reported(task);
    *r = (worker_report){.request = MR__PROTO__REQUEST__INIT, .message = *facts};
    r->statuses = calloc(count + 1, sizeof *r->statuses);
    r->errors = calloc(count + 1, sizeof *r->errors);
    r->list = calloc(count + 1, sizeof *r->list);
    if (r->statuses == NULL || r->errors == NULL || r->list == NULL) {
        report_fini(r);
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a report of %zu tasks", count);
    }
    size_t i = 0;
    for (const supervised *task = supervisor_first(s); task != NULL; task = task->next) {
        if (!is_reported(task))
            continue;
        fill(task, &r->statuses[i], &r->errors[i]);
        r->list[i] = &r->statuses[i];
        i++;
    }
    r->message.tasks = r->list;
    r->message.n_tasks = count;
    r->request.protocol = MR_PROTOCOL;
    r->request.report = &r->message;
    fit(r);
    return MR_OK;
}

void report_fini(worker_report *r)
{
    free(r->statuses);
    free(r->errors);
    free(r->list);
    *r = (worker_report){0};
}
