/* reader.c - reads batches in turn; its read transaction ends with each poll, so that the WAL stays small. */
#include "bus/embedded/batch.h"
#include "bus/embedded/bell.h"
#include "bus/embedded/embedded.h"

#include <stdlib.h>

enum { READER_CACHE_KIB = 256, POLL_BATCHES = 64 };

typedef struct reader_log {
    int64_t id;
    int32_t partition;
    char *topic;
    int64_t next_offset;
} reader_log;

enum reader_statement {
    DATA_VERSION,
    BEGIN_READ,
    END_READ,
    SELECT_LOG,
    SELECT_BEFORE,
    SELECT_BATCHES,
    READER_STATEMENTS
};

typedef struct embedded_reader {
    mr_bus_reader base;
    embedded_db db;
    embedded_bell bell;
    sqlite3_stmt *statements[READER_STATEMENTS];
    reader_log *logs;
    size_t log_count;
    size_t turn;          /* the log to look at first */
    int64_t data_version; /* of the database when all logs were found to be at their end; -1: they were not */
} embedded_reader;

static const char *const statement_texts[READER_STATEMENTS] = {
    [DATA_VERSION] = "PRAGMA data_version",
    [BEGIN_READ] = "BEGIN",
    [END_READ] = "COMMIT",
    [SELECT_LOG] = "SELECT end_offset, removed_below FROM logs WHERE id=?1",
    [SELECT_BEFORE] = "SELECT id, span FROM batches WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
    [SELECT_BATCHES] = "SELECT id, data FROM batches WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
};

static void reader_close(mr_bus_reader *base)
{
    embedded_reader *reader = (embedded_reader *)base;
    for (size_t i = 0; i < READER_STATEMENTS; i++)
        (void)sqlite3_finalize(reader->statements[i]);
    embedded_db_close(&reader->db);
    embedded_bell_close(&reader->bell);
    for (size_t i = 0; i < reader->log_count; i++)
        free(reader->logs[i].topic);
    free(reader->logs);
    free(reader);
}

static mr_err add_log(embedded_reader *reader, const char *topic, int32_t partition, int64_t id,
                      reader_log **ret_log, mr_error *ret_error)
{
    reader_log *grown = reallocarray(reader->logs, reader->log_count + 1, sizeof *grown);
    if (grown != NULL)
        reader->logs = grown;
    char *name = strdup(topic);
    if (grown == NULL || name == NULL) {
        free(name);
        return mr_fail(ret_error, MR_ENOMEM, "memory for reading topic %s is short", topic);
    }
    reader_log *log = &reader->logs[reader->log_count++];
    *log = (reader_log){.id = id, .partition = partition, .topic = name};
    *ret_log = log;
    return MR_OK;
}

static mr_err assign(mr_bus_reader *base, const char *topic, int32_t partition, int64_t offset,
                     mr_error *ret_error)
{
    embedded_reader *reader = (embedded_reader *)base;
    reader_log *log = NULL;
    int64_t id = 0;
    mr_err err = embedded_log_find(&reader->db, topic, partition, &id, ret_error);
    for (size_t i = 0; err == MR_OK && i < reader->log_count; i++) {
        if (reader->logs[i].id == id)
            log = &reader->logs[i];
    }
    if (err == MR_OK && log == NULL)
        err = add_log(reader, topic, partition, id, &log, ret_error);
    if (err == MR_OK) {
        log->next_offset = offset;
        reader->data_version = -1;
    }
    return err;
}

/* --- one partition, inside a read transaction --- */

static mr_err bounds_of(embedded_reader *reader, const reader_log *log, int64_t *ret_end,
                        int64_t *ret_removed_below, mr_error *ret_error)
{
    sqlite3_stmt *select = reader->statements[SELECT_LOG];
    bool found = false;
    (void)sqlite3_bind_int64(select, 1, log->id);
    mr_err err = embedded_db_next(&reader->db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && !found)
        err = mr_fail(ret_error, MR_EIO, "bus file %s: partition %d of topic %s is not there",
                      reader->db.path, log->partition, log->topic);
    if (err == MR_OK) {
        *ret_end = sqlite3_column_int64(select, 0);
        *ret_removed_below = sqlite3_column_int64(select, 1);
    }
    (void)sqlite3_reset(select);
    return err;
}

/* Id of the batch that holds next_offset, or of the place where it would be. */
static mr_err place_of(embedded_reader *reader, const reader_log *log, int64_t *ret_id, mr_error *ret_error)
{
    sqlite3_stmt *select = reader->statements[SELECT_BEFORE];
    bool found = false;
    int64_t wanted = embedded_batch_id(log->id, log->next_offset), place = wanted;
    (void)sqlite3_bind_int64(select, 1, embedded_batch_id(log->id, 0));
    (void)sqlite3_bind_int64(select, 2, wanted);
    mr_err err = embedded_db_next(&reader->db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && found && sqlite3_column_int64(select, 0) + sqlite3_column_int64(select, 1) >= wanted)
        place = sqlite3_column_int64(select, 0);
    (void)sqlite3_reset(select);
    if (err == MR_OK)
        *ret_id = place;
    return err;
}

typedef struct blobs {
    mr_slice data[POLL_BATCHES];
    int64_t base_offset[POLL_BATCHES];
    size_t count;
    size_t records; /* in all of them */
} blobs;

static mr_err damaged(const embedded_reader *reader, const reader_log *log, int64_t offset, mr_err err,
                      mr_error *ret_error)
{
    (void)mr_classify(ret_error, err, err == MR_ENOMEM ? MR_TRANSIENT : MR_CONFIG);
    return mr_wrap(ret_error, err, "bus file %s: topic %s, partition %d, offset %lld", reader->db.path,
                   log->topic, log->partition, (long long)offset);
}

/* Copies batches into the arena until they hold max_bytes. */
static mr_err fetch(embedded_reader *reader, const reader_log *log, size_t max_bytes, mr_arena *arena,
                    blobs *ret_blobs, mr_error *ret_error)
{
    sqlite3_stmt *select = reader->statements[SELECT_BATCHES];
    int64_t place = 0;
    size_t bytes = 0, records = 0;
    bool found = true;
    mr_err err = place_of(reader, log, &place, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(select, 1, place);
    (void)sqlite3_bind_int64(select, 2, embedded_batch_id(log->id, EMBEDDED_OFFSET_END - 1));
    while (err == MR_OK && bytes < max_bytes && ret_blobs->count < POLL_BATCHES) {
        err = embedded_db_next(&reader->db, select, &found, "cannot be read", ret_error);
        if (err != MR_OK || !found)
            break;
        int64_t offset = embedded_batch_offset(sqlite3_column_int64(select, 0));
        mr_slice blob = {sqlite3_column_blob(select, 1), (size_t)sqlite3_column_bytes(select, 1)};
        err = embedded_batch_count(blob, &records, ret_error);
        if (err == MR_OK && (blob = mr_arena_copy(arena, blob)).data == NULL)
            err = mr_fail(ret_error, MR_ENOMEM, "memory for a batch is short");
        if (err != MR_OK) {
            err = damaged(reader, log, offset, err, ret_error);
            break;
        }
        ret_blobs->data[ret_blobs->count] = blob;
        ret_blobs->base_offset[ret_blobs->count++] = offset;
        ret_blobs->records += records;
        bytes += blob.size;
    }
    (void)sqlite3_reset(select);
    return err;
}

static mr_err decode(embedded_reader *reader, reader_log *log, const blobs *from, size_t max_bytes,
                     mr_arena *arena, const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    size_t count = 0, bytes = 0;
    bool cut = false;
    mr_record *records = mr_arena_alloc(arena, from->records * sizeof *records);
    if (records == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for %zu records is short", from->records);
    for (size_t i = 0; i < from->count && !cut; i++) {
        size_t got = 0, got_bytes = 0;
        embedded_batch_window window = {.base_offset = from->base_offset[i],
                                        .from_offset = log->next_offset,
                                        .max_bytes = max_bytes > bytes ? max_bytes - bytes : 0,
                                        .minimum = count == 0 ? 1 : 0};
        mr_err err = embedded_batch_decode(from->data[i], &window, arena, records + count, &got, &got_bytes,
                                           &cut, ret_error);
        if (err != MR_OK)
            return damaged(reader, log, from->base_offset[i], err, ret_error);
        count += got;
        bytes += got_bytes;
    }
    for (size_t i = 0; i < count; i++)
        records[i].partition = log->partition;
    if (count > 0)
        log->next_offset = records[count - 1].offset + 1;
    *ret_records = records;
    *ret_count = count;
    return MR_OK;
}

static mr_err read_log(embedded_reader *reader, reader_log *log, size_t max_bytes, mr_arena *arena,
                       const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    blobs found = {.count = 0};
    int64_t end = 0, removed_below = 0;
    mr_err err = bounds_of(reader, log, &end, &removed_below, ret_error);
    if (err != MR_OK)
        return err;
    if (log->next_offset < removed_below)
        return mr_fail(
            ret_error, MR_EDATALOSS,
            "topic %s, partition %d: records from offset %lld to %lld were removed before they were read",
            log->topic, log->partition, (long long)log->next_offset, (long long)removed_below - 1);
    if (log->next_offset >= end)
        return MR_OK;
    err = fetch(reader, log, max_bytes, arena, &found, ret_error);
    if (err == MR_OK && found.count > 0)
        err = decode(reader, log, &found, max_bytes, arena, ret_records, ret_count, ret_error);
    return err;
}

/* --- all partitions --- */

static mr_err read_in_turn(embedded_reader *reader, size_t max_bytes, mr_arena *arena,
                           const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    mr_err err = embedded_db_run(&reader->db, reader->statements[BEGIN_READ], "cannot be read", ret_error);
    if (err != MR_OK)
        return err;
    for (size_t i = 0; err == MR_OK && *ret_count == 0 && i < reader->log_count; i++) {
        reader_log *log = &reader->logs[reader->turn];
        reader->turn = (reader->turn + 1) % reader->log_count;
        err = read_log(reader, log, max_bytes, arena, ret_records, ret_count, ret_error);
    }
    mr_err ended = embedded_db_run(&reader->db, reader->statements[END_READ], "cannot be read",
                                   err == MR_OK ? ret_error : NULL);
    if (err == MR_OK)
        err = ended;
    return err;
}

static mr_err data_version(embedded_reader *reader, int64_t *ret_version, mr_error *ret_error)
{
    sqlite3_stmt *select = reader->statements[DATA_VERSION];
    bool found = false;
    mr_err err = embedded_db_next(&reader->db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK)
        *ret_version = sqlite3_column_int64(select, 0);
    (void)sqlite3_reset(select);
    return err;
}

static mr_err read_if_changed(embedded_reader *reader, size_t max_bytes, mr_arena *arena,
                              const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    int64_t version = -1;
    mr_err err = data_version(reader, &version, ret_error);
    if (err != MR_OK || version == reader->data_version)
        return err;
    err = read_in_turn(reader, max_bytes, arena, ret_records, ret_count, ret_error);
    reader->data_version = err == MR_OK && *ret_count == 0 ? version : -1;
    return err;
}

static mr_err reader_poll(mr_bus_reader *base, size_t max_bytes, int timeout_ms, mr_arena *arena,
                          const mr_record **ret_records, size_t *ret_count, mr_error *ret_error)
{
    embedded_reader *reader = (embedded_reader *)base;
    int64_t deadline = timeout_ms > 0 ? embedded_now_ms() + timeout_ms : 0;
    const mr_record *records = NULL;
    size_t count = 0;
    for (;;) {
        bool woken = embedded_bell_drain(&reader->bell); /* before looking: no bell is lost */
        mr_err err = read_if_changed(reader, max_bytes, arena, &records, &count, ret_error);
        if (err != MR_OK)
            return err;
        int64_t left = deadline - embedded_now_ms();
        if (count > 0 || woken || timeout_ms <= 0 || left <= 0)
            break;
        embedded_bell_wait(&reader->bell, (int)left);
    }
    *ret_records = records;
    *ret_count = count;
    return MR_OK;
}

static int reader_fd(const mr_bus_reader *base)
{
    return ((const embedded_reader *)base)->bell.epoll_fd;
}

static void reader_wake(mr_bus_reader *base)
{
    embedded_bell_wake(&((embedded_reader *)base)->bell);
}

static const mr_bus_reader_impl reader_impl = {
    .close = reader_close,
    .assign = assign,
    .poll = reader_poll,
    .fd = reader_fd,
    .wake = reader_wake,
};

mr_err embedded_reader_open(mr_bus *base, mr_bus_reader **ret_reader, mr_error *ret_error)
{
    const embedded_bus *bus = (const embedded_bus *)base;
    embedded_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for a reader is short");
    reader->base.impl = &reader_impl;
    reader->data_version = -1;
    reader->bell = (embedded_bell){-1, -1, -1, -1};
    mr_err err = embedded_bell_open(&reader->bell, bus->bell_path, ret_error);
    if (err == MR_OK)
        err = embedded_db_open(&reader->db, bus->path, bus->lock_timeout_ms, READER_CACHE_KIB, ret_error);
    for (size_t i = 0; err == MR_OK && i < READER_STATEMENTS; i++)
        err = embedded_db_prepare(&reader->db, statement_texts[i], &reader->statements[i], ret_error);
    if (err != MR_OK) {
        reader_close(&reader->base);
        return err;
    }
    *ret_reader = &reader->base;
    return MR_OK;
}
