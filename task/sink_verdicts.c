#include "task/sink_verdicts.h"

#include "task/clock.h"

#include <inttypes.h>
#include <stdio.h>

static void fail(mr_verdicts *self, mr_err code, const char *text, const char *reason)
{
    if (self->failure == MR_OK)
        self->failure = mr_fail(&self->error, code, "%s%s", text, reason);
}

void verdict_fail(mr_verdicts *self, const mr_error *error)
{
    if (self->failure != MR_OK)
        return;
    self->failure = error->code;
    self->error = *error;
}

static void count_same(mr_verdicts *self, const char *reason)
{
    char shown[sizeof self->last_reason];
    snprintf(shown, sizeof shown, "%s", reason);
    if (self->same_rejects == 0 || strcmp(shown, self->last_reason) != 0)
        self->same_rejects = 0;
    memcpy(self->last_reason, shown, sizeof shown);
    if (++self->same_rejects < self->max_same_rejects || self->failure != MR_OK)
        return;
    self->failure =
        mr_fail(&self->error, MR_EREFUSED,
                "%" PRIu64 " records in a row were rejected for one reason, so it is not the records: %s",
                self->same_rejects, shown);
}

void verdict_reject(mr_verdicts *self, window_entry *entry, const char *stage, const char *reason)
{
    if (reason == NULL || reason[0] == '\0')
        reason = "rejected without a reason";
    if (sink_window_reject(self->window, entry, stage, reason) != MR_OK)
        fail(self, MR_ENOMEM, "out of memory", "");
    count_same(self, reason);
}

static void retry(mr_verdicts *self, uint64_t seq, window_entry *entry, uint32_t after_ms, const char *reason)
{
    window_partition *partition = &self->window->partitions[entry->partition];
    int64_t at_ms = clock_ms();
    if (!partition->retrying)
        at_ms += after_ms > 0 ? (int64_t)after_ms : mr_backoff_next_ms(&partition->backoff);
    else
        at_ms += after_ms;
    if (!partition->retrying || at_ms > partition->retry_at_ms)
        partition->retry_at_ms = at_ms;
    partition->retrying = true;
    sink_window_set(self->window, entry, RECORD_WAITING);
    if (seq < self->window->waiting_from)
        self->window->waiting_from = seq;
    self->retrying = true;
    snprintf(self->retry_reason, sizeof self->retry_reason, "%s", reason);
}

/* The one place where a verdict becomes retry, back-off, dead letter or success. */
static void apply(mr_verdicts *self, uint64_t seq, mr_verdict verdict, uint32_t after_ms, const char *reason)
{
    window_entry *entry = sink_window_at(self->window, seq);
    switch (verdict) {
    case MR_SINK_DONE:
        sink_window_set(self->window, entry, RECORD_DONE);
        mr_backoff_reset(&self->window->partitions[entry->partition].backoff);
        self->same_rejects = 0;
        return;
    case MR_SINK_QUEUED:
        return;
    case MR_SINK_RETRY:
        retry(self, seq, entry, after_ms, reason);
        return;
    case MR_SINK_DISCONNECTED:
        fail(self, MR_EUNAVAILABLE, "the sink is disconnected: ", reason);
        return;
    case MR_SINK_REJECTED:
        verdict_reject(self, entry, "write", reason);
        return;
    }
    fail(self, MR_EBUG, "the sink gave a verdict that does not exist", "");
}

void mr_verdict_give(mr_verdicts *self, uint64_t first_seq, uint64_t last_seq, mr_verdict verdict,
                     uint32_t after_ms, const char *reason)
{
    if (first_seq < self->window->base || last_seq >= self->window->next || first_seq > last_seq) {
        fail(self, MR_EBUG, "the sink gave a verdict on a record that it does not have", "");
        return;
    }
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        if (sink_window_at(self->window, seq)->state == RECORD_GIVEN)
            apply(self, seq, verdict, after_ms, reason == NULL ? "" : reason);
        else
            fail(self, MR_EBUG, "the sink gave a second verdict on a record", "");
    }
}
