/* source_task.c - the source loop: poll, convert, send; commit rows, dead letters, position, counts and
 * ranges together.
 *
 * Every failure drops all that was not committed and starts over from the position, so a row is on the bus
 * exactly once.
 */
#include "core/fault.h"
#include "core/log.h"
#include "task/clock.h"
#include "task/dead_letter.h"
#include "task/source.h"

#include <stdio.h>
#include <string.h>

enum { COMMIT_BYTES = 1024 * 1024, COMMIT_EVERY_MS = 100, POLL_MS = 200 };

/* --- rows
 * ---------------------------------------------------------------------------------------------------------
 */

static mr_err send_row(source *self, const mr_source_record *row, int64_t now_ms, mr_error *ret_error)
{
    char text[RUN_TEXT_BYTES];
    mr_header opening;
    self->value.size = 0;
    self->key.size = 0;
    mr_err err = mr_avro_encode(self->value_encoder, row->values, &self->value, ret_error);
    if (err == MR_OK)
        err = mr_avro_encode(self->key_encoder, row->values, &self->key, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "%s line %lld", row->file == NULL ? "row" : row->file,
                       (long long)row->line);
    mr_record record = {
        .key = mr_buf_slice(&self->key), .value = mr_buf_slice(&self->value), .timestamp_ms = now_ms};
    int32_t partition = mr_bus_partition_of(record.key, self->work->partitions);
    if (!self->opened[partition]) {
        opening = (mr_header){MR_SLICE_LITERAL(RUN_HEADER),
                              run_text(self->work->run_seq, self->work->run_uid, text)};
        record.headers = &opening;
        record.header_count = 1;
        self->opened[partition] = true;
    }
    self->position.produced++;
    return mr_bus_send(self->writer, self->work->topic, partition, &record, ret_error);
}

/* What it was before, with this run and the reason of today. */
static dead_letter rejected_again(const source *self, const mr_source_record *row, const dead_letter *today)
{
    dead_letter letter = *replay_letter(self->replay, row);
    if (letter.topic == NULL) /* else: the sink that took no such record */
        letter.connector = today->connector;
    letter.task = today->task;
    letter.stage = today->stage;
    letter.reason = today->reason;
    letter.run_seq = today->run_seq;
    letter.run_uid = today->run_uid;
    return letter;
}

static mr_err send_rejected(source *self, const mr_source_record *row, mr_error *ret_error)
{
    dead_letter letter = {
        .connector = self->work->identity.connector,
        .task = self->work->identity.task,
        .stage = "convert",
        .reason = row->reason == NULL ? "" : row->reason,
        .run_seq = self->work->run_seq,
        .run_uid = self->work->run_uid,
        .file = row->file,
        .line = row->line,
        .byte_first = row->byte_first,
        .byte_end = row->byte_end,
        .length = row->raw_length,
        .sha256 = row->raw_sha256,
        .csv_dialect = row->raw_csv_dialect,
        .csv_header = row->raw_csv_header,
        .value = row->raw.data == NULL ? MR_SLICE_LITERAL("") : row->raw,
    };
    self->position.rejected++;
    if (self->replay != NULL)
        letter = rejected_again(self, row, &letter);
    return dead_letter_send(self->writer, self->work->rejected_topic, &letter, ret_error);
}

static mr_err take_position(source *self, const mr_source_batch *batch, mr_error *ret_error)
{
    self->position.connector.size = 0;
    mr_err err = mr_buf_append(&self->position.connector, batch->position.data, batch->position.size);
    if (err != MR_OK)
        return mr_fail(ret_error, err, "out of memory");
    self->position.bytes += batch->bytes;
    self->position.rejected_files += batch->rejected_files;
    if (batch->rejected_file_reason != NULL)
        snprintf(self->position.rejected_file_reason, sizeof self->position.rejected_file_reason, "%s",
                 batch->rejected_file_reason);
    if (batch->rejected_files > 0)
        mr_log(MR_WARN, "file rejected", MR_STR("run", self->work->run_uid),
               MR_STR("reason", batch->rejected_file_reason));
    return MR_OK;
}

/* Once that is so it stays so: nothing after the row that it was must be read. */
static bool over_rows(const source *self)
{
    return self->max_rejected_rows >= 0 && self->position.rejected > (uint64_t)self->max_rejected_rows;
}

static mr_err send_batch(source *self, const mr_source_batch *batch, mr_error *ret_error)
{
    int64_t now_ms = clock_utc_ms();
    for (size_t i = 0; i < batch->count && !over_rows(self); i++) {
        const mr_source_record *row = &batch->records[i];
        self->position.read++;
        mr_err err = row->values == NULL ? send_rejected(self, row, ret_error)
                                         : send_row(self, row, now_ms, ret_error);
        if (err != MR_OK)
            return err;
    }
    if (batch->count > 0)
        status_moved(self->task->status);
    MR_FAULT("source_after_send");
    return take_position(self, batch, ret_error);
}

/* --- commit --- */

static mr_err remove_closed_runs(source *self, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t at = 0; err == MR_OK && at < self->stale_keys.size;) {
        mr_slice key = mr_slice_of(self->stale_keys.data + at);
        err = mr_bus_send_position(self->writer, key, (mr_slice){0}, ret_error);
        at += key.size + 1;
    }
    self->stale_keys.size = 0;
    return err;
}

static mr_err put_position(source *self, mr_error *ret_error)
{
    const mr_bus_range *ranges;
    size_t count;
    mr_buf json = {0};
    mr_err err = mr_bus_prepare(self->writer, &ranges, &count, ret_error);
    for (size_t i = 0; err == MR_OK && i < count; i++)
        if (strcmp(ranges[i].topic, self->work->topic) == 0)
            err = source_position_extend(&self->position, ranges[i].partition, ranges[i].first, ranges[i].end,
                                         ret_error);
    if (err == MR_OK)
        err = source_position_print(&self->position, &json, ret_error);
    if (err == MR_OK)
        err = mr_bus_send_position(self->writer, mr_buf_slice(&self->position_key), mr_buf_slice(&json),
                                   ret_error);
    mr_buf_fini(&json);
    return err;
}

static mr_err commit(source *self, mr_error *ret_error)
{
    status_step(self->task->status, "commit");
    mr_err err = remove_closed_runs(self, ret_error);
    if (err == MR_OK && self->replay != NULL)
        err = replay_keep(self->replay, self->writer, self->position.ended, ret_error);
    if (err == MR_OK)
        err = put_position(self, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("source_before_commit");
    if ((err = mr_bus_commit(self->writer, ret_error)) != MR_OK)
        return err;
    MR_FAULT("source_after_commit");
    self->committed_once = true;
    self->uncommitted_since_ms = 0;
    mr_backoff_reset(&self->task->backoff);
    if (self->replay != NULL)
        MR_FAULT("replay_committed");
    else if (self->class->committed != NULL)
        self->class->committed(self->self, mr_buf_slice(&self->position.connector));
    if (self->position.ended)
        MR_FAULT("source_end_committed");
    source_show(self);
    status_failure(self->task->status, NULL);
    return MR_OK;
}

static bool commit_is_due(const source *self)
{
    if (self->uncommitted_since_ms == 0)
        return false;
    return !self->committed_once || mr_bus_buffered_bytes(self->writer) >= COMMIT_BYTES ||
           clock_ms() - self->uncommitted_since_ms >= COMMIT_EVERY_MS;
}

/* A share is judged at the END only, so that the same rows always have the same outcome. */
static void judge_rejects(source *self)
{
    source_position *position = &self->position;
    position->ended = true;
    position->over_rejected = over_rows(self) || (self->max_rejected_percent >= 0 && position->rejected > 0 &&
                                                  (double)position->rejected * 100 >
                                                      self->max_rejected_percent * (double)position->read);
}

static mr_err step(source *self, mr_error *ret_error)
{
    mr_source_batch batch = {.arena = &self->arena};
    mr_arena_reset(&self->arena);
    status_step(self->task->status, "poll");
    int timeout_ms = self->uncommitted_since_ms == 0 ? POLL_MS : COMMIT_EVERY_MS / 2;
    mr_err err = self->replay != NULL ? replay_poll(self->replay, &batch, ret_error)
                                      : self->class->poll(self->self, timeout_ms, &batch, ret_error);
    if (err != MR_OK)
        return err;
    status_step(self->task->status, "convert");
    if ((err = send_batch(self, &batch, ret_error)) != MR_OK)
        return err;
    if (self->uncommitted_since_ms == 0 && (batch.count > 0 || batch.bytes > 0 || batch.rejected_files > 0))
        self->uncommitted_since_ms = clock_ms();
    const bool end = batch.end || over_rows(self);
    if (end)
        judge_rejects(self);
    return end || commit_is_due(self) ? commit(self, ret_error) : MR_OK;
}

static mr_err loop(source *self, task_outcome *ret_outcome, mr_error *ret_error)
{
    while (!self->position.ended) {
        task_news news = task_look(self->task);
        if (news == NEWS_STOP || news == NEWS_RESTART) {
            *ret_outcome = news == NEWS_STOP ? TASK_STOPPED : TASK_AGAIN;
            return self->uncommitted_since_ms == 0 ? MR_OK : commit(self, ret_error);
        }
        mr_err err = step(self, ret_error);
        if (err != MR_OK)
            return err;
    }
    *ret_outcome = TASK_ENDED;
    return MR_OK;
}

mr_err source_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                      mr_error *ret_error)
{
    source self = {.task = task, .work = task->assignment};
    mr_err err = source_open(&self, ret_stored_epoch, ret_error);
    if (err == MR_OK) {
        status_state(task->status, MR__PROTO__TASK_STATE__RUNNING);
        status_work(task->status, true);
        source_show(&self);
        err = loop(&self, ret_outcome, ret_error);
    }
    if (err == MR_OK && *ret_outcome == TASK_ENDED)
        mr_log(MR_INFO, "source ended", MR_STR("run", self.work->run_uid), MR_INT("read", self.position.read),
               MR_INT("produced", self.position.produced), MR_INT("rejected", self.position.rejected),
               MR_INT("rejected_files", self.position.rejected_files));
    source_close(&self);
    return err;
}
