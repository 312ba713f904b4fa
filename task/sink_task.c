/* sink_task.c - the sink loop: what comes next, when to commit, when to wait. */
#include "core/log.h"
#include "task/clock.h"
#include "task/retain.h"
#include "task/scope.h"
#include "task/sink.h"

enum {
    COMMIT_EVERY_MS = 1000,
    LINGER_MS = 20, /* a source commits in short steps: a little patience makes the store's commits larger */
    IDLE_MS = 1000,
    BLOCKED_MS = 100,
    RETAIN_EVERY_MS = 60000,
    RETAIN_SLICES = 50,
};

static bool commit_is_due(const sink *self)
{
    int64_t now = clock_ms();
    if (sink_window_empty(&self->window) || now < self->quiet_until_ms)
        return false;
    return self->idle || sink_window_full(&self->window) ||
           now - self->uncommitted_since_ms >= COMMIT_EVERY_MS;
}

static bool reading_any(const sink *self)
{
    for (int32_t i = 0; i < self->work->partitions; i++)
        if (self->partitions[i].reading)
            return true;
    return false;
}

/* When a record is to be given again, at the latest in `most` milliseconds. */
static int until_retry(const sink *self, int most)
{
    int64_t now = clock_ms(), wait = most;
    for (int32_t i = 0; i < self->window.partition_count; i++) {
        const window_partition *partition = &self->window.partitions[i];
        if (partition->retrying && partition->retry_at_ms - now < wait)
            wait = partition->retry_at_ms - now;
    }
    return wait < 1 ? 1 : (int)wait;
}

static mr_err consume(sink *self, mr_error *ret_error)
{
    bool empty = sink_window_empty(&self->window);
    if (sink_window_full(&self->window) || !reading_any(self)) {
        self->idle = !reading_any(self);
        control_wait(self->task->control, until_retry(self, empty ? IDLE_MS : BLOCKED_MS));
        return MR_OK;
    }
    bool quiet = clock_ms() < self->quiet_until_ms;
    return sink_fetch(self, until_retry(self, empty ? IDLE_MS : quiet ? BLOCKED_MS : LINGER_MS), ret_error);
}

static void retain(sink *self)
{
    mr_error error;
    status_step(self->task->status, "retain");
    self->retained_ms = clock_ms();
    if (retain_topics(self->work, self->bus, RETAIN_SLICES, &error) != MR_OK)
        mr_log_failure(MR_WARN, "retention failed", &error);
}

/* What can be done while there is nothing to do. */
static void rest(sink *self)
{
    for (int32_t i = 0; i < self->work->partitions; i++) {
        sink_partition *partition = &self->partitions[i];
        sink_position_forget(&partition->position, scope_oldest_open_run(self->scope));
        partition->run = partition->has_run ? partition->position.run_count - 1 : 0;
    }
    if (self->idle)
        status_failure(self->task->status, NULL); /* of a former attempt: all is well now */
    if (self->idle && (self->retained_ms == 0 || clock_ms() - self->retained_ms >= RETAIN_EVERY_MS))
        retain(self);
}

static bool reached_end(const sink *self)
{
    if (!assignment_boolean(self->work, "until.end"))
        return false;
    for (int32_t i = 0; i < self->work->partitions; i++)
        if (self->partitions[i].position.offset < self->partitions[i].until)
            return false;
    return true;
}

static mr_err rescope(sink *self, mr_error *ret_error)
{
    self->scope = self->task->message->scope;
    sink_abandon_skipped(self);
    for (int32_t i = 0; i < self->work->partitions; i++)
        if (self->partitions[i].reading != (self->partitions[i].fetch < scope_ceiling(self->scope, i)))
            return sink_assign(self, ret_error);
    return MR_OK;
}

static mr_err step(sink *self, mr_error *ret_error)
{
    mr_err err = sink_deliver(self, ret_error);
    if (err == MR_OK && commit_is_due(self))
        err = sink_commit(self, ret_error);
    bool empty = sink_window_empty(&self->window);
    status_work(self->task->status, !empty);
    if (err == MR_OK && empty)
        rest(self);
    return err;
}

static mr_err loop(sink *self, task_outcome *ret_outcome, mr_error *ret_error)
{
    for (;;) {
        task_news news = task_look(self->task);
        if (news == NEWS_STOP || news == NEWS_RESTART) {
            *ret_outcome = news == NEWS_STOP ? TASK_STOPPED : TASK_AGAIN;
            return sink_commit(self, ret_error); /* the scope is gone with its assignment: deliver no more */
        }
        mr_err err = news == NEWS_SCOPE ? rescope(self, ret_error) : MR_OK;
        if (err == MR_OK)
            err = step(self, ret_error);
        if (err != MR_OK)
            return err;
        if (reached_end(self)) {
            *ret_outcome = TASK_ENDED;
            return MR_OK;
        }
        if ((err = consume(self, ret_error)) != MR_OK)
            return err;
    }
}

static void log_end(const sink *self)
{
    uint64_t delivered = 0, rejected = 0, abandoned = 0;
    for (int32_t i = 0; i < self->work->partitions; i++) {
        const sink_position *position = &self->partitions[i].position;
        for (size_t run = 0; run < position->run_count; run++) {
            delivered += position->runs[run].delivered;
            rejected += position->runs[run].rejected;
            abandoned += position->runs[run].abandoned;
        }
    }
    mr_log(MR_INFO, "sink ended", MR_STR("topic", self->work->topic), MR_INT("delivered", delivered),
           MR_INT("rejected", rejected), MR_INT("abandoned", abandoned));
}

mr_err sink_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                    mr_error *ret_error)
{
    sink self = {
        .task = task, .work = task->assignment, .scope = task->message == NULL ? NULL : task->message->scope};
    mr_err err = sink_open(&self, ret_stored_epoch, ret_error);
    if (err == MR_OK) {
        status_state(task->status, MR__PROTO__TASK_STATE__RUNNING);
        sink_show(&self);
        err = loop(&self, ret_outcome, ret_error);
        if (err == MR_EUNAVAILABLE && self.class->positions == NULL)
            sink_save_progress(&self);
    }
    if (err == MR_OK && *ret_outcome == TASK_ENDED)
        retain(&self);
    if (err == MR_OK)
        log_end(&self);
    if (err != MR_OK && self.verdicts.same_rejects >= self.verdicts.max_same_rejects)
        *ret_outcome = TASK_GIVES_UP;
    sink_close(&self);
    return err;
}
