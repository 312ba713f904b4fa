/* sink_commit.c - moves positions over what has its final verdict, with the counts of what they cover (R1,
 * R2).
 *
 * A store with positions: dead letters and the offsets they stand for go to the bus first, under the old
 * position; then the store commits rows and position; then the bus gets its copy. Whatever step is not
 * reached is made up for after a restart: "rejecting" tells which dead letters need not be written again.
 * Without such a store one transaction of the bus holds dead letters, position and counts.
 */
#include "core/fault.h"
#include "core/log.h"
#include "task/clock.h"
#include "task/dead_letter.h"
#include "task/sink.h"

#include <stdlib.h>

/* Long enough for another sink's transaction in the same store; shorter than a worker's patience when it says
 * stop. */
enum { FLUSH_MS = 10000, LAST_FLUSH_MS = 2000, QUIET_MS = 200 };

/* Offsets first, or after the dead letters: the metadata is what the position says at this moment. */
static mr_err send_offset(sink *self, int32_t index, mr_error *ret_error)
{
    mr_buf metadata = {0};
    const sink_position *position = &self->partitions[index].position;
    mr_err err = sink_position_print(position, &metadata, ret_error);
    if (err == MR_OK)
        err = mr_bus_send_offset(self->writer, self->work->topic, index, position->offset,
                                 mr_buf_slice(&metadata), ret_error);
    mr_buf_fini(&metadata);
    return err;
}

static mr_err send_offsets(sink *self, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (int32_t i = 0; err == MR_OK && i < self->work->partitions; i++)
        if (self->partitions[i].touched)
            err = send_offset(self, i, ret_error);
    return err;
}

static void untouch(sink *self)
{
    for (int32_t i = 0; i < self->work->partitions; i++)
        self->partitions[i].touched = false;
}

mr_err sink_copy_positions(sink *self, mr_error *ret_error)
{
    mr_err err = send_offsets(self, ret_error);
    if (err == MR_OK)
        err = mr_bus_commit(self->writer, ret_error);
    untouch(self);
    return err;
}

static mr_err send_letter(sink *self, window_entry *entry, mr_error *ret_error)
{
    const sink_partition *partition = &self->partitions[entry->partition];
    const sink_run *run = &partition->position.runs[entry->run];
    dead_letter letter = {
        .connector = self->work->identity.connector,
        .task = self->work->identity.task,
        .stage = entry->letter->stage,
        .reason = entry->letter->reason,
        .run_seq = run->seq,
        .run_uid = run->uid,
        .topic = self->work->topic,
        .partition = entry->partition,
        .offset = entry->offset,
        .key = entry->letter->key,
        .value = entry->letter->value,
    };
    return dead_letter_send(self->writer, self->work->rejected_topic, &letter, ret_error);
}

static mr_err send_letters(sink *self, mr_error *ret_error)
{
    for (uint64_t seq = self->window.base; seq < self->window.next; seq++) {
        window_entry *entry = sink_window_at(&self->window, seq);
        if (entry->progress != PROGRESS_SETTLING || entry->letter == NULL)
            continue;
        mr_err err = send_letter(self, entry, ret_error);
        if (err == MR_OK && self->class->positions != NULL)
            err = sink_position_add_rejecting(&self->partitions[entry->partition].position, entry->offset,
                                              ret_error);
        if (err != MR_OK)
            return err;
        self->partitions[entry->partition].touched = true;
        entry->letter = NULL;
        self->window.letter_count--;
    }
    return MR_OK;
}

/* Only where the store commits on its own: what it will not hold must be on the bus before. */
static mr_err commit_letters_first(sink *self, mr_error *ret_error)
{
    size_t before = self->window.letter_count;
    mr_err err = send_letters(self, ret_error);
    if (err != MR_OK || self->window.letter_count == before)
        return err;
    if ((err = send_offsets(self, ret_error)) != MR_OK)
        return err;
    if ((err = mr_bus_commit(self->writer, ret_error)) != MR_OK)
        return err;
    MR_FAULT("sink_dead_letters_written");
    return MR_OK;
}

static void count(sink_run *run, uint8_t state)
{
    run->delivered += state == RECORD_DONE;
    run->rejected += state == RECORD_REJECTED;
    run->abandoned += state == RECORD_ABANDONED;
}

static void move_positions(sink *self)
{
    for (uint64_t seq = self->window.base; seq < self->window.next; seq++) {
        const window_entry *entry = sink_window_at(&self->window, seq);
        if (entry->progress != PROGRESS_SETTLING)
            continue;
        sink_partition *partition = &self->partitions[entry->partition];
        count(&partition->position.runs[entry->run], entry->state);
        partition->position.offset = entry->offset + 1;
        partition->touched = true;
    }
    for (int32_t i = 0; i < self->work->partitions; i++)
        if (self->partitions[i].touched)
            sink_position_advance(&self->partitions[i].position, self->partitions[i].position.offset);
}

static mr_err print_positions(sink *self, mr_sink_position *positions, mr_buf *metadata, size_t *ret_count,
                              mr_error *ret_error)
{
    size_t n = 0;
    for (int32_t i = 0; i < self->work->partitions; i++) {
        if (!self->partitions[i].touched)
            continue;
        mr_err err = sink_position_print(&self->partitions[i].position, &metadata[n], ret_error);
        if (err != MR_OK)
            return err;
        positions[n] = (mr_sink_position){i, self->partitions[i].position.offset, mr_buf_slice(&metadata[n])};
        n++;
    }
    *ret_count = n;
    return MR_OK;
}

static mr_err commit_store(sink *self, mr_error *ret_error)
{
    size_t n = 0, partitions = (size_t)self->work->partitions;
    mr_sink_position *positions = calloc(partitions, sizeof *positions);
    mr_buf *metadata = calloc(partitions, sizeof *metadata);
    mr_err err = MR_ENOMEM;
    if (positions == NULL || metadata == NULL)
        mr_fail(ret_error, MR_ENOMEM, "out of memory");
    else
        err = print_positions(self, positions, metadata, &n, ret_error);
    if (err == MR_OK)
        err = self->class->commit(self->self, positions, n, ret_error);
    for (size_t i = 0; metadata != NULL && i < partitions; i++)
        mr_buf_fini(&metadata[i]);
    free(metadata);
    free(positions);
    if (err == MR_OK)
        MR_FAULT("sink_store_committed");
    return err;
}

/* Every queued record gets its verdict, as far as the sink manages within the time. */
static mr_err flush(sink *self, mr_error *ret_error)
{
    status_step(self->task->status, "flush");
    if (self->window.given > 0 && self->class->flush != NULL) {
        int timeout_ms = control_stopping(self->task->control) ? LAST_FLUSH_MS : FLUSH_MS;
        mr_err err = self->class->flush(self->self, timeout_ms, ret_error);
        if (err != MR_OK)
            return err;
    }
    MR_FAULT("sink_after_flush");
    return sink_failure(self, ret_error);
}

static mr_err commit_settling(sink *self, mr_error *ret_error)
{
    status_step(self->task->status, "commit");
    bool in_store = self->class->positions != NULL;
    mr_err err = in_store ? commit_letters_first(self, ret_error) : send_letters(self, ret_error);
    if (err != MR_OK)
        return err;
    untouch(self);
    move_positions(self);
    if (in_store && (err = commit_store(self, ret_error)) != MR_OK)
        return err;
    if ((err = send_offsets(self, ret_error)) != MR_OK)
        return err;
    if ((err = mr_bus_commit(self->writer, ret_error)) != MR_OK)
        return err;
    MR_FAULT("sink_after_commit");
    untouch(self);
    return MR_OK;
}

static mr_err commit_final(sink *self, mr_error *ret_error)
{
    sink_window_release(&self->window);
    if (sink_window_settle(&self->window) == 0) {
        self->quiet_until_ms = clock_ms() + QUIET_MS;
        return MR_OK;
    }
    mr_err err = commit_settling(self, ret_error);
    if (err != MR_OK)
        return err;
    sink_window_committed(&self->window);
    self->uncommitted_since_ms = sink_window_empty(&self->window) ? 0 : clock_ms();
    mr_backoff_reset(&self->task->backoff);
    status_moved(self->task->status);
    if (sink_window_empty(&self->window))
        status_failure(self->task->status, NULL);
    sink_show(self);
    return MR_OK;
}

mr_err sink_commit(sink *self, mr_error *ret_error)
{
    mr_err err = flush(self, ret_error);
    return err == MR_OK ? commit_final(self, ret_error) : err;
}

void sink_save_progress(sink *self)
{
    mr_error error;
    if (commit_final(self, &error) != MR_OK)
        mr_log_failure(MR_WARN, "progress before the disconnection is not committed", &error);
}

/* --- status --- */

typedef struct progress_memory {
    Mr__Proto__SinkPartition *partitions;
    Mr__Proto__SinkPartition **partition_list;
    Mr__Proto__SinkRun *runs;
    Mr__Proto__SinkRun **run_list;
} progress_memory;

static void show_run(const sink_run *run, Mr__Proto__SinkRun *shown)
{
    mr__proto__sink_run__init(shown);
    shown->run_seq = run->seq;
    shown->run_uid = run->uid;
    shown->delivered = run->delivered;
    shown->rejected = run->rejected;
    shown->abandoned = run->abandoned;
}

static void show_partition(const sink_partition *partition, int32_t index, progress_memory *memory,
                           size_t *used)
{
    Mr__Proto__SinkPartition *shown = &memory->partitions[index];
    mr__proto__sink_partition__init(shown);
    shown->partition = index;
    shown->offset = partition->position.offset;
    shown->end = partition->end > shown->offset ? partition->end : shown->offset;
    shown->runs = &memory->run_list[*used];
    for (size_t i = 0; i < partition->position.run_count; i++) {
        const sink_run *run = &partition->position.runs[i];
        if (run->delivered + run->rejected + run->abandoned == 0)
            continue;
        show_run(run, &memory->runs[*used]);
        memory->run_list[*used] = &memory->runs[*used];
        (*used)++;
        shown->n_runs++;
    }
    memory->partition_list[index] = shown;
}

void sink_show(sink *self)
{
    size_t partitions = (size_t)self->work->partitions, runs = 1, used = 0;
    for (size_t i = 0; i < partitions; i++) {
        int64_t first, end;
        runs += self->partitions[i].position.run_count;
        if (mr_bus_offsets(self->bus, self->work->topic, (int32_t)i, &first, &end, NULL) == MR_OK)
            self->partitions[i].end = end;
    }
    progress_memory memory = {
        .partitions = calloc(partitions, sizeof *memory.partitions),
        .partition_list = calloc(partitions, sizeof(void *)),
        .runs = calloc(runs, sizeof *memory.runs),
        .run_list = calloc(runs, sizeof(void *)),
    };
    if (memory.partitions != NULL && memory.partition_list != NULL && memory.runs != NULL &&
        memory.run_list != NULL) {
        Mr__Proto__SinkProgress progress = MR__PROTO__SINK_PROGRESS__INIT;
        for (size_t i = 0; i < partitions; i++)
            show_partition(&self->partitions[i], (int32_t)i, &memory, &used);
        progress.n_partitions = partitions;
        progress.partitions = memory.partition_list;
        status_sink(self->task->status, &progress);
    }
    free(memory.partitions);
    free(memory.partition_list);
    free(memory.runs);
    free(memory.run_list);
}
