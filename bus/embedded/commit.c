/* commit.c - one transaction: the check of the epoch, records, positions, counts (R2).
 *
 * The lock is held from prepare to the end of commit; what is written was packed before. What is buffered is
 * kept until the outcome is known, so that a commit that wrote nothing can be tried again.
 */
#include "bus/embedded/writer.h"
#include "core/fault.h"

#include <stdlib.h>
#include <sys/stat.h>

static mr_err end_of(embedded_writer *writer, const writer_log *log, int64_t *ret_end, mr_error *ret_error)
{
    sqlite3_stmt *select = writer->statements[SELECT_END];
    bool found = false;
    (void)sqlite3_bind_int64(select, 1, log->id);
    mr_err err = embedded_db_next(&writer->db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && !found)
        err = mr_fail(ret_error, MR_EIO, "bus file %s: partition %d of topic %s is not there",
                      writer->db.path, log->partition, log->topic);
    if (err == MR_OK)
        *ret_end = sqlite3_column_int64(select, 0);
    (void)sqlite3_reset(select);
    return err;
}

static mr_err give_offsets(embedded_writer *writer, writer_log *log, mr_bus_range *ret_range,
                           mr_error *ret_error)
{
    int64_t end = 0;
    mr_err err = end_of(writer, log, &end, ret_error);
    if (err != MR_OK)
        return err;
    for (embedded_batch *batch = log->first; batch != NULL; batch = batch->next) {
        batch->base_offset = end + embedded_gap(end + 1);
        end = batch->base_offset + batch->span + 1;
    }
    if (end >= EMBEDDED_OFFSET_END)
        return mr_fail(ret_error, MR_ETOOLARGE, "partition %d of topic %s has no offsets left",
                       log->partition, log->topic);
    *ret_range = (mr_bus_range){.topic = log->topic,
                                .partition = log->partition,
                                .first = log->first->base_offset,
                                .end = end,
                                .count = log->count};
    return MR_OK;
}

static mr_err reserve_ranges(embedded_writer *writer, mr_error *ret_error)
{
    if (writer->dirty_count <= writer->range_capacity)
        return MR_OK;
    mr_bus_range *grown = reallocarray(writer->ranges, writer->dirty_count, sizeof *grown);
    if (grown == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for %zu ranges is short", writer->dirty_count);
    writer->ranges = grown;
    writer->range_capacity = writer->dirty_count;
    return MR_OK;
}

static mr_err prepare_locked(embedded_writer *writer, mr_error *ret_error)
{
    mr_err err = embedded_writer_check(writer, ret_error);
    size_t i = 0;
    for (writer_log *log = writer->first_dirty; err == MR_OK && log != NULL; log = log->next_dirty)
        err = give_offsets(writer, log, &writer->ranges[i++], ret_error);
    return err;
}

static mr_err begin(embedded_writer *writer, mr_error *ret_error)
{
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err != MR_OK || writer->state == WRITER_PREPARED)
        return err;
    err = reserve_ranges(writer, ret_error);
    if (err == MR_OK)
        err = embedded_db_begin(&writer->db, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("bus_after_begin");
    err = prepare_locked(writer, ret_error);
    if (err == MR_OK)
        writer->state = WRITER_PREPARED;
    else
        embedded_db_rollback(&writer->db);
    return err;
}

mr_err embedded_prepare(mr_bus_writer *base, const mr_bus_range **ret_ranges, size_t *ret_count,
                        mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    mr_err err = begin(writer, ret_error);
    if (err != MR_OK)
        return err;
    *ret_ranges = writer->ranges;
    *ret_count = writer->dirty_count;
    return MR_OK;
}

static mr_err write_log(embedded_writer *writer, const writer_log *log, int64_t end, mr_error *ret_error)
{
    sqlite3_stmt *insert = writer->statements[INSERT_BATCH], *store = writer->statements[STORE_END];
    for (const embedded_batch *batch = log->first; batch != NULL; batch = batch->next) {
        (void)sqlite3_bind_int64(insert, 1, embedded_batch_id(log->id, batch->base_offset));
        (void)sqlite3_bind_int64(insert, 2, batch->span);
        (void)sqlite3_bind_int64(insert, 3, batch->newest_ms);
        (void)sqlite3_bind_blob64(insert, 4, batch->data.data, batch->data.size, SQLITE_STATIC);
        mr_err err = embedded_db_run(&writer->db, insert, "cannot be written", ret_error);
        if (err != MR_OK)
            return err;
    }
    (void)sqlite3_bind_int64(store, 1, log->id);
    (void)sqlite3_bind_int64(store, 2, end);
    return embedded_db_run(&writer->db, store, "cannot be written", ret_error);
}

/* An empty text is no NULL to SQLite. */
static void bind_bytes(sqlite3_stmt *statement, int index, const char *data, size_t size)
{
    (void)sqlite3_bind_blob64(statement, index, size == 0 ? "" : data, size, SQLITE_STATIC);
}

static mr_err write_source_position(embedded_writer *writer, const writer_position *position,
                                    mr_error *ret_error)
{
    sqlite3_stmt *statement = writer->statements[position->removed ? REMOVE_POSITION : STORE_POSITION];
    const char *texts = writer->texts.data;
    (void)sqlite3_bind_text(statement, 1, writer->connector, -1, SQLITE_STATIC);
    bind_bytes(statement, 2, position->key_size == 0 ? NULL : texts + position->key_at, position->key_size);
    if (!position->removed)
        bind_bytes(statement, 3, position->value_size == 0 ? NULL : texts + position->value_at,
                   position->value_size);
    return embedded_db_run(&writer->db, statement, "cannot be written", ret_error);
}

static mr_err write_sink_position(embedded_writer *writer, const writer_position *position,
                                  mr_error *ret_error)
{
    sqlite3_stmt *statement = writer->statements[position->removed ? REMOVE_SINK : STORE_SINK];
    (void)sqlite3_bind_int64(statement, 1, position->log);
    (void)sqlite3_bind_text(statement, 2, writer->connector, -1, SQLITE_STATIC);
    if (!position->removed) {
        const char *metadata = position->value_size == 0 ? NULL : writer->texts.data + position->value_at;
        (void)sqlite3_bind_int64(statement, 3, position->next_offset);
        bind_bytes(statement, 4, metadata, position->value_size);
    }
    return embedded_db_run(&writer->db, statement, "cannot be written", ret_error);
}

static mr_err write_all(embedded_writer *writer, mr_error *ret_error)
{
    mr_err err = MR_OK;
    size_t i = 0;
    for (const writer_log *log = writer->first_dirty; err == MR_OK && log != NULL; log = log->next_dirty)
        err = write_log(writer, log, writer->ranges[i++].end, ret_error);
    for (i = 0; err == MR_OK && i < writer->position_count; i++) {
        const writer_position *position = &writer->positions[i];
        err = position->log < 0 ? write_source_position(writer, position, ret_error)
                                : write_sink_position(writer, position, ret_error);
    }
    if (err == MR_OK)
        err = embedded_writer_store_task(writer, writer->commits + 1, ret_error);
    return err;
}

static mr_err outcome_unknown(embedded_writer *writer, const char *reason, mr_error *ret_error)
{
    writer->state = WRITER_UNKNOWN;
    return mr_fail(ret_error, MR_EUNKNOWN, "task %s.%s.%d: the outcome of a commit is not known: %s",
                   writer->tenant, writer->connector, writer->task, reason);
}

/* A full disk is found before the commit frame is complete, and a lock before anything is written; after any
 * other failure the frame may be in the log without being durable. */
static mr_err end_transaction(embedded_writer *writer, mr_error *ret_error)
{
    if (MR_FAULT_FAILS("bus_commit_unknown_lost")) {
        embedded_db_rollback(&writer->db);
        return outcome_unknown(writer, "asked for by a test", ret_error);
    }
    int rc = sqlite3_exec(writer->db.handle, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_FULL || rc == SQLITE_BUSY) {
        mr_err err = embedded_db_fail(&writer->db, rc, "cannot be written", ret_error);
        embedded_db_rollback(&writer->db);
        writer->state = WRITER_OPEN;
        return err;
    }
    if (rc != SQLITE_OK) {
        mr_error reason;
        (void)embedded_db_fail(&writer->db, rc, "cannot be written", &reason);
        embedded_db_rollback(&writer->db);
        return outcome_unknown(writer, reason.text, ret_error);
    }
    if (MR_FAULT_FAILS("bus_commit_unknown"))
        return outcome_unknown(writer, "asked for by a test", ret_error);
    return MR_OK;
}

mr_err embedded_commit(mr_bus_writer *base, mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    mr_err err = begin(writer, ret_error);
    if (err != MR_OK)
        return err;
    err = write_all(writer, ret_error);
    if (err != MR_OK) {
        embedded_db_rollback(&writer->db);
        writer->state = WRITER_OPEN;
        return err;
    }
    MR_FAULT("bus_before_commit");
    err = end_transaction(writer, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("bus_after_commit");
    (void)futimens(writer->bell_fd, NULL); /* rings; a reader that misses it looks within a second */
    writer->state = WRITER_OPEN;
    writer->commits++;
    embedded_buffer_clear(writer);
    return MR_OK;
}

void embedded_abort(mr_bus_writer *base)
{
    embedded_writer *writer = (embedded_writer *)base;
    embedded_db_rollback(&writer->db);
    if (writer->state == WRITER_PREPARED)
        writer->state = WRITER_OPEN;
    embedded_buffer_clear(writer);
}
