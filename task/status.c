#include "task/status.h"

#include "task/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct status {
    pthread_mutex_t lock; /* of all below */
    Mr__Proto__TaskStatus message;
    Mr__Proto__TaskId id;
    Mr__Proto__TaskError error;
    char tenant[MR_TENANT_ID_MAX + 1];
    char connector[MR_NAME_MAX + 1];
    char text[sizeof((mr_error *)0)->text];
    uint64_t version, urgent;
    int64_t stall_ms;
    int64_t moved_ms;
    bool work;
    bool stalled;
};

mr_err status_open(status **ret_status, mr_error *ret_error)
{
    status *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    pthread_mutex_init(&self->lock, NULL);
    mr__proto__task_status__init(&self->message);
    mr__proto__task_id__init(&self->id);
    mr__proto__task_error__init(&self->error);
    self->id.tenant = self->tenant;
    self->id.connector = self->connector;
    self->message.id = &self->id;
    self->message.state = MR__PROTO__TASK_STATE__STARTING;
    self->message.step = (char *)"start";
    self->message.pid = getpid();
    self->moved_ms = clock_ms();
    *ret_status = self;
    return MR_OK;
}

void status_close(status **self)
{
    if (*self == NULL)
        return;
    if ((*self)->message.source != NULL)
        mr__proto__source_progress__free_unpacked((*self)->message.source, NULL);
    if ((*self)->message.sink != NULL)
        mr__proto__sink_progress__free_unpacked((*self)->message.sink, NULL);
    if ((*self)->message.program != NULL)
        mr__proto__program_progress__free_unpacked((*self)->message.program, NULL);
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

static void enter(status *self)
{
    pthread_mutex_lock(&self->lock);
}

static void leave(status *self, bool changed, bool urgent)
{
    self->version += changed;
    self->urgent += urgent;
    pthread_mutex_unlock(&self->lock);
}

void status_identify(status *self, Mr__Proto__TaskKind kind, const char *tenant, const char *connector,
                     int32_t task, int64_t epoch, uint64_t revision)
{
    enter(self);
    snprintf(self->tenant, sizeof self->tenant, "%s", tenant);
    snprintf(self->connector, sizeof self->connector, "%s", connector);
    self->id.task = task;
    self->message.kind = kind;
    self->message.epoch = epoch;
    self->message.revision = revision;
    self->message.stored_epoch = 0; /* was an answer to the former assignment */
    leave(self, true, true);
}

void status_stall_after(status *self, int64_t stall_ms)
{
    enter(self);
    self->stall_ms = stall_ms;
    leave(self, false, false);
}

void status_state(status *self, Mr__Proto__TaskState state)
{
    enter(self);
    bool changed = self->message.state != state;
    if (changed && state == MR__PROTO__TASK_STATE__RESTARTING)
        self->message.restarts++;
    self->message.state = state;
    if (changed)
        self->moved_ms = clock_ms();
    leave(self, changed, changed);
}

void status_step(status *self, const char *step)
{
    enter(self);
    bool changed = self->message.step != step;
    self->message.step = (char *)step;
    leave(self, changed, false);
}

void status_failure(status *self, const mr_error *error)
{
    enter(self);
    bool changed = error != NULL || self->message.error != NULL;
    self->message.error = error == NULL ? NULL : &self->error;
    if (error != NULL) {
        snprintf(self->text, sizeof self->text, "%s", error->text);
        self->error.text = self->text;
        self->error.code = (char *)mr_err_name(error->code);
        self->error.class_ = (char *)mr_err_class_name(error->class);
    }
    leave(self, changed, changed);
}

void status_stored_epoch(status *self, int64_t epoch)
{
    enter(self);
    self->message.stored_epoch = epoch;
    leave(self, true, true);
}

void status_moved(status *self)
{
    enter(self);
    self->moved_ms = clock_ms();
    leave(self, false, false);
}

void status_work(status *self, bool work)
{
    enter(self);
    if (work && !self->work)
        self->moved_ms = clock_ms();
    self->work = work;
    leave(self, false, false);
}

/* protobuf-c has no copy: pack and unpack is one. */
static void *deep_copy(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    void *copy = NULL;
    if (bytes != NULL) {
        protobuf_c_message_pack(message, bytes);
        copy = protobuf_c_message_unpack(message->descriptor, NULL, size, bytes);
    }
    free(bytes);
    return copy;
}

void status_source(status *self, const Mr__Proto__SourceProgress *progress)
{
    Mr__Proto__SourceProgress *copy = deep_copy(&progress->base);
    if (copy == NULL)
        return;
    enter(self);
    if (self->message.source != NULL)
        mr__proto__source_progress__free_unpacked(self->message.source, NULL);
    self->message.source = copy;
    leave(self, true, progress->ended);
}

void status_sink(status *self, const Mr__Proto__SinkProgress *progress)
{
    Mr__Proto__SinkProgress *copy = deep_copy(&progress->base);
    if (copy == NULL)
        return;
    enter(self);
    if (self->message.sink != NULL)
        mr__proto__sink_progress__free_unpacked(self->message.sink, NULL);
    self->message.sink = copy;
    leave(self, true, false);
}

void status_program(status *self, const Mr__Proto__ProgramProgress *progress)
{
    Mr__Proto__ProgramProgress *copy = deep_copy(&progress->base);
    if (copy == NULL)
        return;
    enter(self);
    if (self->message.program != NULL)
        mr__proto__program_progress__free_unpacked(self->message.program, NULL);
    self->message.program = copy;
    leave(self, true, progress->sealed);
}

uint64_t status_version(status *self, uint64_t *ret_urgent)
{
    enter(self);
    uint64_t version = self->version;
    *ret_urgent = self->urgent;
    leave(self, false, false);
    return version;
}

void status_judge(status *self)
{
    enter(self);
    bool stalled = self->message.state == MR__PROTO__TASK_STATE__RUNNING && self->work &&
                   self->stall_ms > 0 && clock_ms() - self->moved_ms > self->stall_ms;
    bool changed = stalled != self->stalled;
    self->stalled = stalled;
    leave(self, changed, changed);
}

mr_err status_pack(status *self, mr_buf *out, mr_error *ret_error)
{
    Mr__Proto__TaskToWorker packet = MR__PROTO__TASK_TO_WORKER__INIT;
    enter(self);
    Mr__Proto__TaskStatus message = self->message;
    if (self->stalled && message.state == MR__PROTO__TASK_STATE__RUNNING)
        message.state = MR__PROTO__TASK_STATE__STALLED;
    packet.status = &message;
    mr_err err = mr_from_task_pack(&packet, out, ret_error);
    leave(self, false, false);
    return err;
}
