/* replay.c - see replay.h. */
#include "task/replay.h"

#include "core/log.h"
#include "task/letter_rows.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_BYTES = 256 * 1024 };

struct replay {
    const assignment *work;
    mr_bus *bus;
    mr_bus_reader *reader;
    letter_rows *rows;
    int64_t next, end;               /* offsets of TOPIC.rejected */
    int64_t first_kept;              /* below it retention has removed all */
    int64_t lost_to;                 /* rows up to here were removed before they were read; 0: none */
    json_t *replayed;                /* {"all": offset, "runs": {run_uid: offset}}: below it, it was */
    const mr_source_record *records; /* of the last batch */
    const dead_letter *letters;      /* beside them */
};

mr_err replay_key(const char *dataset, mr_buf *out, mr_error *ret_error)
{
    json_t *key = json_pack("{s:s, s:b}", "dataset", dataset, "replayed", 1);
    char *text = key != NULL ? json_dumps(key, JSON_COMPACT) : NULL;
    mr_err err = text != NULL ? mr_buf_append(out, text, strlen(text)) : MR_ENOMEM;
    free(text);
    json_decref(key);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "out of memory");
}

/* --- where it stands --- */

static mr_err read_position(replay *self, mr_slice position, mr_error *ret_error)
{
    if (position.data == NULL || position.size == 0)
        return MR_OK;
    json_int_t next, end;
    json_t *json = json_loadb(position.data, position.size, JSON_REJECT_DUPLICATES, NULL);
    int bad = json == NULL || json_unpack(json, "{s:I, s:I}", "next", &next, "end", &end) != 0;
    json_decref(json);
    if (bad)
        return mr_fail(ret_error, MR_EINVALID, "the position of the replay cannot be understood");
    self->next = next;
    self->end = end;
    return MR_OK;
}

static mr_err find_range(replay *self, mr_slice position, mr_error *ret_error)
{
    int64_t end;
    mr_err err = mr_bus_offsets(self->bus, self->work->rejected_topic, 0, &self->first_kept, &end, ret_error);
    self->next = self->first_kept;
    self->end = end;
    if (err == MR_OK)
        err = read_position(self, position, ret_error);
    if (err == MR_OK && self->next < self->first_kept) {
        self->lost_to = self->first_kept;
        mr_log(MR_WARN, "rows to be replayed were removed by retention before they were read",
               MR_STR("run", self->work->run_uid), MR_INT("from_offset", self->next),
               MR_INT("to_offset", self->first_kept));
        self->next = self->first_kept;
    }
    return err;
}

mr_err replay_open(const assignment *work, mr_bus *bus, mr_slice position, mr_slice replayed,
                   replay **ret_replay, mr_error *ret_error)
{
    replay *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->work = work;
    self->bus = bus;
    self->replayed =
        replayed.data != NULL ? json_loadb(replayed.data, replayed.size, 0, NULL) : json_object();
    mr_err err = json_is_object(self->replayed)
                     ? MR_OK
                     : mr_fail(ret_error, MR_EINVALID, "what was replayed before cannot be understood");
    const letter_rows_spec spec = {
        .schema = work->schema,
        .schema_id = work->schema_id,
        .schemas = assignment_option(work, "schemas"),
        .file_type = assignment_option(work, "files.type"),
        .null_values = assignment_option(work, "csv.null.values"),
    };
    if (err == MR_OK)
        err = letter_rows_open(&spec, &self->rows, ret_error);
    if (err == MR_OK)
        err = find_range(self, position, ret_error);
    if (err == MR_OK)
        err = mr_bus_reader_open(bus, &self->reader, ret_error);
    if (err == MR_OK)
        err = mr_bus_assign(self->reader, work->rejected_topic, 0, self->next, ret_error);
    if (err != MR_OK)
        replay_close(&self);
    else
        *ret_replay = self;
    return err;
}

void replay_close(replay **replay_handle)
{
    replay *self = *replay_handle;
    *replay_handle = NULL;
    if (self == NULL)
        return;
    mr_bus_reader_close(&self->reader);
    letter_rows_close(&self->rows);
    json_decref(self->replayed);
    free(self);
}

/* --- rows --- */

/* Of the wanted run, and not replayed before. */
static bool wanted(const replay *self, const dead_letter *letter, int64_t offset)
{
    const char *run = assignment_option(self->work, "replay.run");
    if (run != NULL && strcmp(run, letter->run_uid) != 0)
        return false;
    if (strcmp(assignment_option(self->work, "replay.force"), "true") == 0)
        return true;
    const json_t *runs = json_object_get(self->replayed, "runs");
    return offset >= json_integer_value(json_object_get(self->replayed, "all")) &&
           offset >= json_integer_value(json_object_get(runs, letter->run_uid));
}

static mr_err add_letter(replay *self, const dead_letter *letter, mr_source_batch *batch, mr_error *ret_error)
{
    mr_error why;
    mr_source_record *record = &batch->records[batch->count];
    *record = (mr_source_record){.file = letter->file, .line = letter->line};
    mr_err err = letter_rows_convert(self->rows, letter, batch->arena, &record->values, &why);
    if (err != MR_OK && why.class != MR_DATA) {
        if (ret_error != NULL)
            *ret_error = why;
        return err;
    }
    if (err != MR_OK) {
        record->values = NULL;
        record->reason = mr_arena_copy(batch->arena, mr_slice_of(why.text)).data;
        if (record->reason == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    }
    batch->count++;
    return MR_OK;
}

static mr_err take(replay *self, const mr_record *records, size_t count, dead_letter *letters,
                   mr_source_batch *batch, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t i = 0; err == MR_OK && i < count && records[i].offset < self->end; i++) {
        dead_letter *letter = &letters[batch->count];
        err = dead_letter_read(&records[i], batch->arena, letter, ret_error);
        if (err == MR_OK && wanted(self, letter, records[i].offset))
            err = add_letter(self, letter, batch, ret_error);
        batch->bytes += records[i].value.size + 1;
        self->next = records[i].offset + 1;
    }
    return err;
}

/* Told once, as what is wrong with the dataset's part of the run. */
static mr_err tell_lost(replay *self, mr_source_batch *batch, mr_error *ret_error)
{
    char text[200];
    if (self->lost_to == 0)
        return MR_OK;
    snprintf(text, sizeof text,
             "rejected rows below offset %" PRId64 " were removed by retention before the replay read them",
             self->lost_to);
    self->lost_to = 0;
    batch->rejected_file_reason = mr_arena_copy(batch->arena, mr_slice_of(text)).data;
    return batch->rejected_file_reason != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "out of memory");
}

static mr_err finish_batch(replay *self, mr_source_batch *batch, mr_error *ret_error)
{
    char text[80];
    int size =
        snprintf(text, sizeof text, "{\"next\": %" PRId64 ", \"end\": %" PRId64 "}", self->next, self->end);
    batch->position = mr_arena_copy(batch->arena, (mr_slice){text, (size_t)size});
    batch->end = self->next >= self->end;
    return batch->position.data != NULL ? tell_lost(self, batch, ret_error)
                                        : mr_fail(ret_error, MR_ENOMEM, "out of memory");
}

mr_err replay_poll(replay *self, mr_source_batch *batch, mr_error *ret_error)
{
    const mr_record *records = NULL;
    size_t count = 0;
    mr_err err = MR_OK;
    if (self->next < self->end)
        err = mr_bus_poll(self->reader, POLL_BYTES, 0, batch->arena, &records, &count, ret_error);
    if (err == MR_EDATALOSS) /* opened again it goes on behind the gap, and says so */
        return mr_classify(ret_error, err, MR_TRANSIENT);
    if (err != MR_OK)
        return err;
    if (count == 0)
        self->next = self->end;
    dead_letter *letters = mr_arena_alloc(batch->arena, (count + 1) * sizeof *letters);
    batch->records = mr_arena_alloc(batch->arena, (count + 1) * sizeof *batch->records);
    if (letters == NULL || batch->records == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a batch");
    self->letters = letters;
    self->records = batch->records;
    err = take(self, records, count, letters, batch, ret_error);
    return err == MR_OK ? finish_batch(self, batch, ret_error) : err;
}

const dead_letter *replay_letter(const replay *self, const mr_source_record *record)
{
    return &self->letters[record - self->records];
}

/* --- what is committed beside the position --- */

/* What this replay adds: everything, or one run, below its end. Runs whose rows are gone are forgotten. */
static void add_replayed(replay *self)
{
    const char *run = assignment_option(self->work, "replay.run"), *name;
    json_int_t all = json_integer_value(json_object_get(self->replayed, "all"));
    json_t *runs = json_object_get(self->replayed, "runs"), *kept = json_object(), *offset;
    if (run == NULL && self->end > all)
        all = self->end;
    json_object_foreach(runs, name, offset)
    {
        if (json_integer_value(offset) > all && json_integer_value(offset) > self->first_kept)
            json_object_set(kept, name, offset);
    }
    if (run != NULL && self->end > all)
        json_object_set_new(kept, run, json_integer(self->end));
    json_object_set_new(self->replayed, "all", json_integer(all));
    json_object_set_new(self->replayed, "runs", kept);
}

static mr_err send_replayed(replay *self, mr_bus_writer *writer, mr_error *ret_error)
{
    mr_buf key = {0};
    add_replayed(self);
    char *text = json_dumps(self->replayed, JSON_COMPACT);
    mr_err err = text != NULL ? replay_key(self->work->dataset, &key, ret_error)
                              : mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (err == MR_OK)
        err = mr_bus_send_position(writer, mr_buf_slice(&key), mr_slice_of(text), ret_error);
    mr_buf_fini(&key);
    free(text);
    return err;
}

mr_err replay_keep(replay *self, mr_bus_writer *writer, bool ended, mr_error *ret_error)
{
    mr_err err = mr_bus_send_offset(writer, self->work->rejected_topic, 0, ended ? -1 : self->next,
                                    MR_SLICE_LITERAL("{}"), ret_error);
    return err == MR_OK && ended ? send_replayed(self, writer, ret_error) : err;
}

mr_err replay_release(const assignment *work, mr_bus_writer *writer, mr_error *ret_error)
{
    int64_t offset;
    mr_buf metadata = {0};
    mr_err err = mr_bus_load_offset(writer, work->rejected_topic, 0, &offset, &metadata, ret_error);
    mr_buf_fini(&metadata);
    if (err == MR_ENOTFOUND)
        return MR_OK; /* nothing was ever rejected */
    if (err != MR_OK || offset < 0)
        return err;
    return mr_bus_send_offset(writer, work->rejected_topic, 0, -1, (mr_slice){0}, ret_error);
}
