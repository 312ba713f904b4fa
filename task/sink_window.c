#include "task/sink_window.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 1024, CHUNK_BYTES = 64 * 1024, FILTER_BITS = 4096 };

mr_err sink_window_open(int32_t partitions, sink_window *ret_window, mr_error *ret_error)
{
    sink_window window = {.capacity = FIRST_CAPACITY, .partition_count = partitions};
    window.ring = malloc(FIRST_CAPACITY * sizeof *window.ring);
    window.partitions = calloc((size_t)partitions, sizeof *window.partitions);
    if (window.ring == NULL || window.partitions == NULL) {
        free(window.ring);
        free(window.partitions);
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    }
    *ret_window = window;
    ret_window->batches_end = &ret_window->batches;
    return MR_OK;
}

static void free_batches(sink_batch *batch)
{
    while (batch != NULL) {
        sink_batch *next = batch->next;
        mr_arena_fini(&batch->arena);
        free(batch);
        batch = next;
    }
}

void sink_window_close(sink_window *self)
{
    free_batches(self->batches);
    free_batches(self->spare);
    mr_arena_fini(&self->letters);
    free(self->ring);
    free(self->partitions);
    *self = (sink_window){0};
}

bool sink_window_full(const sink_window *self)
{
    return self->next - self->base >= WINDOW_RECORDS || self->bytes >= WINDOW_BYTES ||
           self->held_bytes >= WINDOW_BYTES || self->letters.used_bytes >= WINDOW_LETTER_BYTES;
}

sink_batch *sink_window_batch(sink_window *self)
{
    sink_batch *batch = self->spare;
    if (batch == NULL)
        return calloc(1, sizeof *batch);
    self->spare = batch->next;
    mr_arena_reset(&batch->arena);
    *batch = (sink_batch){.arena = batch->arena};
    return batch;
}

/* One spare is enough for a sink that keeps up; more would only hold memory. */
void sink_window_give_back(sink_window *self, sink_batch *batch)
{
    if (self->spare != NULL) {
        batch->next = NULL;
        free_batches(batch);
        return;
    }
    batch->next = NULL;
    self->spare = batch;
}

static mr_err grow(sink_window *self, size_t more, mr_error *ret_error)
{
    size_t used = self->next - self->base, capacity = self->capacity;
    while (capacity < used + more)
        capacity *= 2;
    if (capacity == self->capacity)
        return MR_OK;
    window_entry *ring = malloc(capacity * sizeof *ring);
    if (ring == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (uint64_t seq = self->base; seq < self->next; seq++)
        ring[seq & (capacity - 1)] = *sink_window_at(self, seq);
    free(self->ring);
    self->ring = ring;
    self->capacity = capacity;
    return MR_OK;
}

mr_err sink_window_add(sink_window *self, sink_batch *batch, const mr_record *records, size_t count,
                       mr_error *ret_error)
{
    mr_err err = grow(self, count, ret_error);
    if (err != MR_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = records[i].key.size + records[i].value.size;
        *sink_window_at(self, self->next++) = (window_entry){
            .record = &records[i],
            .batch = batch,
            .offset = records[i].offset,
            .bytes = (uint32_t)bytes,
            .partition = records[i].partition,
            .state = RECORD_WAITING,
        };
        self->bytes += bytes;
    }
    batch->open = count;
    batch->partition = records[0].partition;
    batch->held_bytes = batch->arena.used_bytes > CHUNK_BYTES ? batch->arena.used_bytes : CHUNK_BYTES;
    batch->next = NULL;
    self->held_bytes += batch->held_bytes;
    *self->batches_end = batch;
    self->batches_end = &batch->next;
    return MR_OK;
}

static bool is_open(uint8_t state)
{
    return state == RECORD_WAITING || state == RECORD_GIVEN;
}

void sink_window_set(sink_window *self, window_entry *entry, record_state state)
{
    if (entry->state == RECORD_GIVEN) {
        self->given--;
        self->partitions[entry->partition].given--;
    }
    if (state == RECORD_GIVEN) {
        self->given++;
        self->partitions[entry->partition].given++;
    }
    if (is_open(entry->state) && !is_open((uint8_t)state))
        entry->batch->open--;
    else if (!is_open(entry->state) && is_open((uint8_t)state))
        entry->batch->open++;
    entry->state = (uint8_t)state;
}

mr_err sink_window_reject(sink_window *self, window_entry *entry, const char *stage, const char *reason)
{
    sink_letter *letter = mr_arena_alloc(&self->letters, sizeof *letter);
    mr_slice text = mr_arena_copy(&self->letters, mr_slice_of(reason));
    mr_slice key = entry->record->key, value = entry->record->value;
    if (key.data != NULL)
        key = mr_arena_copy(&self->letters, key);
    if (value.data != NULL)
        value = mr_arena_copy(&self->letters, value);
    if (letter == NULL || text.data == NULL || (entry->record->key.data != NULL && key.data == NULL) ||
        (entry->record->value.data != NULL && value.data == NULL))
        return MR_ENOMEM;
    *letter = (sink_letter){.stage = stage, .reason = text.data, .key = key, .value = value};
    entry->letter = letter;
    self->letter_count++;
    sink_window_set(self, entry, RECORD_REJECTED);
    return MR_OK;
}

void sink_window_release(sink_window *self)
{
    for (int32_t i = 0; i < self->partition_count; i++)
        self->partitions[i].blocked = false;
    sink_batch **link = &self->batches;
    while (*link != NULL) {
        sink_batch *batch = *link;
        if (batch->open > 0 || self->partitions[batch->partition].blocked) {
            self->partitions[batch->partition].blocked = true;
            link = &batch->next;
            continue;
        }
        *link = batch->next;
        if (self->batches_end == &batch->next)
            self->batches_end = link;
        self->held_bytes -= batch->held_bytes;
        sink_window_give_back(self, batch);
    }
}

static uint32_t hash(mr_slice bytes)
{
    uint32_t value = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < bytes.size; i++)
        value = (value ^ (uint8_t)bytes.data[i]) * 16777619u;
    return value % FILTER_BITS;
}

/* A key that only shares its bit with a waiting one is given again, too: sinks are idempotent (R4). */
void sink_window_rewind(sink_window *self, int32_t partition)
{
    uint64_t waiting_keys[FILTER_BITS / 64] = {0};
    bool waits = false; /* from the first that waits on, the batches of the partition are held */
    for (uint64_t seq = self->waiting_from; seq < self->next; seq++) {
        window_entry *entry = sink_window_at(self, seq);
        if (entry->partition != partition || (entry->state != RECORD_WAITING && entry->state != RECORD_DONE))
            continue;
        waits = waits || entry->state == RECORD_WAITING;
        if (!waits || entry->record->key.data == NULL)
            continue;
        uint32_t bit = hash(entry->record->key);
        if (entry->state == RECORD_WAITING)
            waiting_keys[bit / 64] |= UINT64_C(1) << bit % 64;
        else if ((waiting_keys[bit / 64] >> bit % 64 & 1) != 0)
            sink_window_set(self, entry, RECORD_WAITING);
    }
}

size_t sink_window_settle(sink_window *self)
{
    size_t settling = 0;
    for (int32_t i = 0; i < self->partition_count; i++)
        self->partitions[i].blocked = false;
    for (uint64_t seq = self->base; seq < self->next; seq++) {
        window_entry *entry = sink_window_at(self, seq);
        window_partition *partition = &self->partitions[entry->partition];
        if (is_open(entry->state))
            partition->blocked = true;
        if (!partition->blocked && entry->progress == PROGRESS_NONE)
            entry->progress = PROGRESS_SETTLING;
        settling += entry->progress == PROGRESS_SETTLING;
    }
    return settling;
}

void sink_window_committed(sink_window *self)
{
    for (uint64_t seq = self->base; seq < self->next; seq++) {
        window_entry *entry = sink_window_at(self, seq);
        if (entry->progress == PROGRESS_SETTLING)
            entry->progress = PROGRESS_COMMITTED;
    }
    while (self->base < self->next && sink_window_at(self, self->base)->progress == PROGRESS_COMMITTED) {
        self->bytes -= sink_window_at(self, self->base)->bytes;
        self->base++;
    }
    if (self->waiting_from < self->base)
        self->waiting_from = self->base;
    if (self->letter_count == 0)
        mr_arena_reset(&self->letters);
}
