/* sink_deliver.c - records from the bus into the window, and from there, as rows, to the connector. */
#include "core/fault.h"
#include "core/log.h"
#include "task/clock.h"
#include "task/dead_letter.h"
#include "task/scope.h"
#include "task/sink.h"

enum { RETRY_FLUSH_MS = 200 };

/* --- fetch --- */

/* The run that a record opens; a sink counts by that, whatever it was told. */
static mr_err follow_run(sink_partition *partition, const mr_record *record, mr_error *ret_error)
{
    char uid[RUN_TEXT_BYTES] = "unknown"; /* a record that no source of ours has produced */
    int64_t seq = 0;
    bool opens = !partition->has_run;
    for (size_t i = 0; i < record->header_count; i++)
        if (mr_slice_equal(record->headers[i].name, MR_SLICE_LITERAL(RUN_HEADER)) &&
            run_text_parse(record->headers[i].value, &seq, uid))
            opens = true;
    if (!opens)
        return MR_OK;
    partition->has_run = true;
    return sink_position_run(&partition->position, seq, uid, &partition->run, ret_error);
}

static mr_err classify(sink *self, uint64_t seq, mr_error *ret_error)
{
    window_entry *entry = sink_window_at(&self->window, seq);
    sink_partition *partition = &self->partitions[entry->partition];
    if (entry->record->header_count > 0 || !partition->has_run) {
        mr_err err = follow_run(partition, entry->record, ret_error);
        if (err != MR_OK)
            return err;
    }
    entry->run = (uint32_t)partition->run;
    if (sink_position_is_rejecting(&partition->position, entry->offset))
        sink_window_set(&self->window, entry, RECORD_REJECTED); /* its letter is on the bus */
    else if (self->scope != NULL && scope_skips(self->scope, entry->partition, entry->offset))
        sink_window_set(&self->window, entry, RECORD_ABANDONED);
    return MR_OK;
}

/* How many of the records lie below the partition's ceiling. */
static size_t allowed(const sink *self, const mr_record *records, size_t count)
{
    int64_t ceiling = scope_ceiling(self->scope, records[0].partition);
    while (count > 0 && records[count - 1].offset >= ceiling)
        count--;
    return count;
}

static mr_err take(sink *self, sink_batch *batch, const mr_record *records, size_t count, mr_error *ret_error)
{
    sink_partition *partition = &self->partitions[records[0].partition];
    size_t usable = allowed(self, records, count);
    partition->fetch = usable < count ? records[usable].offset : records[count - 1].offset + 1;
    if (usable == 0) {
        sink_window_give_back(&self->window, batch);
        return sink_assign(self, ret_error);
    }
    uint64_t first = self->window.next;
    mr_err err = sink_window_add(&self->window, batch, records, usable, ret_error);
    if (err != MR_OK) {
        sink_window_give_back(&self->window, batch);
        return err;
    }
    for (uint64_t seq = first; err == MR_OK && seq < self->window.next; seq++)
        err = classify(self, seq, ret_error);
    sink_window_release(&self->window);
    if (self->uncommitted_since_ms == 0)
        self->uncommitted_since_ms = clock_ms();
    if (err == MR_OK && usable < count)
        err = sink_assign(self, ret_error);
    return err;
}

mr_err sink_fetch(sink *self, int timeout_ms, mr_error *ret_error)
{
    const mr_record *records;
    size_t count = 0;
    sink_batch *batch = sink_window_batch(&self->window);
    if (batch == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    status_step(self->task->status, "consume");
    mr_err err =
        mr_bus_poll(self->reader, SINK_FETCH_BYTES, timeout_ms, &batch->arena, &records, &count, ret_error);
    self->idle = err == MR_OK && count == 0;
    if (err != MR_OK || count == 0) {
        sink_window_give_back(&self->window, batch);
        return err;
    }
    if (records[0].partition < 0 || records[0].partition >= self->work->partitions) {
        sink_window_give_back(&self->window, batch);
        return mr_fail(ret_error, MR_EBUG, "the bus gave a record of a partition that was not asked for");
    }
    MR_FAULT("sink_after_fetch");
    return take(self, batch, records, count, ret_error);
}

/* --- deliver --- */

mr_err sink_failure(sink *self, mr_error *ret_error)
{
    if (self->verdicts.failure == MR_OK)
        return MR_OK;
    if (ret_error != NULL)
        *ret_error = self->verdicts.error;
    return self->verdicts.failure;
}

/* Makes one row of the record; a record that is none gets the framework's verdict. */
static bool convert(sink *self, uint64_t seq, mr_sink_record *row, mr_value *values)
{
    mr_error error;
    window_entry *entry = sink_window_at(&self->window, seq);
    const mr_record *record = entry->record;
    if (record->value.data != NULL && sink_decode(self->decoder, record->value, values, &error) != MR_OK) {
        if (error.class == MR_DATA)
            verdict_reject(&self->verdicts, entry, "decode", error.text);
        else
            verdict_fail(&self->verdicts, &error);
        return false;
    }
    *row = (mr_sink_record){
        .seq = seq,
        .partition = record->partition,
        .offset = record->offset,
        .timestamp_ms = record->timestamp_ms,
        .key = record->key,
        .values = record->value.data == NULL ? NULL : values,
    };
    sink_window_set(&self->window, entry, RECORD_GIVEN);
    return true;
}

/* Gathers rows from *seq on, which it moves on; what has to wait lowers waiting_from. */
static size_t gather(sink *self, uint64_t *seq)
{
    size_t count = 0;
    sink_window *window = &self->window;
    for (; *seq < window->next && count < SINK_WRITE_RECORDS; ++*seq) {
        const window_entry *entry = sink_window_at(window, *seq);
        if (entry->state != RECORD_WAITING)
            continue;
        if (window->partitions[entry->partition].retrying) {
            if (*seq < window->waiting_from)
                window->waiting_from = *seq;
        } else if (convert(self, *seq, &self->records[count], &self->values[count * self->field_count])) {
            count++;
        }
    }
    return count;
}

static mr_err write_rows(sink *self, size_t count, mr_error *ret_error)
{
    status_step(self->task->status, "write");
    mr_err err = self->class->write(self->self, self->records, count, ret_error);
    if (err != MR_OK)
        return err;
    if (self->window.given > 0 && self->class->flush == NULL)
        return mr_fail(ret_error, MR_EBUG, "the sink %s queued records but has no flush", self->class->name);
    return sink_failure(self, ret_error);
}

/* Where a record is to be given again: not before its time, and not while a later one may still be on its
 * way. */
static mr_err end_retries(sink *self, mr_error *ret_error)
{
    sink_window *window = &self->window;
    bool flushed = false;
    for (int32_t i = 0; i < window->partition_count; i++) {
        window_partition *partition = &window->partitions[i];
        if (!partition->retrying || clock_ms() < partition->retry_at_ms)
            continue;
        if (partition->given > 0 && !flushed) {
            mr_err err = self->class->flush(self->self, RETRY_FLUSH_MS, ret_error);
            if (err != MR_OK || (err = sink_failure(self, ret_error)) != MR_OK)
                return err;
            flushed = true;
        }
        if (partition->given > 0 || clock_ms() < partition->retry_at_ms)
            continue;
        sink_window_rewind(window, i);
        partition->retrying = false;
    }
    return MR_OK;
}

static void show_retries(sink *self)
{
    mr_error error;
    if (!self->verdicts.retrying)
        return;
    mr_fail(&error, MR_EUNAVAILABLE, "the sink asks for time: %s", self->verdicts.retry_reason);
    status_failure(self->task->status, &error);
    mr_log_failure(MR_WARN, "records are to be given again", &error);
    self->verdicts.retrying = false;
}

mr_err sink_deliver(sink *self, mr_error *ret_error)
{
    mr_err err = end_retries(self, ret_error);
    uint64_t seq = self->window.waiting_from;
    if (err == MR_OK && seq < self->window.next)
        self->window.waiting_from = self->window.next;
    while (err == MR_OK && seq < self->window.next) {
        size_t count = gather(self, &seq);
        err = sink_failure(self, ret_error); /* of rows that could not be decoded */
        if (err == MR_OK && count > 0)
            err = write_rows(self, count, ret_error);
    }
    sink_window_release(&self->window);
    show_retries(self);
    return err;
}

void sink_abandon_skipped(sink *self)
{
    for (uint64_t seq = self->window.waiting_from; seq < self->window.next; seq++) {
        window_entry *entry = sink_window_at(&self->window, seq);
        if (entry->state == RECORD_WAITING && scope_skips(self->scope, entry->partition, entry->offset))
            sink_window_set(&self->window, entry, RECORD_ABANDONED);
    }
    sink_window_release(&self->window);
}
