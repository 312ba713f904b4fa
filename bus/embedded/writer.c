/* writer.c - opens a task's writer, which fences its older epochs, and loads positions. */
#include "bus/embedded/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WRITER_CACHE_KIB = 1024 };

static const char *const statement_texts[WRITER_STATEMENTS] = {
    [SELECT_TASK] = "SELECT epoch, commits FROM tasks WHERE connector=?1 AND task=?2",
    [STORE_TASK] = "INSERT INTO tasks VALUES (?1, ?2, ?3, ?4)"
                   " ON CONFLICT DO UPDATE SET epoch=excluded.epoch, commits=excluded.commits",
    [SELECT_END] = "SELECT end_offset FROM logs WHERE id=?1",
    [STORE_END] = "UPDATE logs SET end_offset=?2 WHERE id=?1",
    [INSERT_BATCH] = "INSERT INTO batches VALUES (?1, ?2, ?3, ?4)",
    [STORE_POSITION] =
        "INSERT INTO positions VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value=excluded.value",
    [REMOVE_POSITION] = "DELETE FROM positions WHERE connector=?1 AND key=?2",
    [SELECT_POSITIONS] = "SELECT key, value FROM positions WHERE connector=?1 ORDER BY key",
    [STORE_SINK] = "INSERT INTO sinks VALUES (?1, ?2, ?3, ?4)"
                   " ON CONFLICT DO UPDATE SET next_offset=excluded.next_offset, metadata=excluded.metadata",
    [REMOVE_SINK] = "DELETE FROM sinks WHERE log=?1 AND connector=?2",
    [SELECT_SINK] = "SELECT next_offset, metadata FROM sinks WHERE log=?1 AND connector=?2",
};

mr_err embedded_writer_usable(const embedded_writer *writer, mr_error *ret_error)
{
    switch (writer->state) {
    case WRITER_OPEN:
    case WRITER_PREPARED:
        return MR_OK;
    case WRITER_FENCED:
        return mr_fail(ret_error, MR_EFENCED, "task %s.%s.%d: a newer one than epoch %lld has taken over",
                       writer->tenant, writer->connector, writer->task, (long long)writer->epoch);
    case WRITER_UNKNOWN:
        return mr_fail(ret_error, MR_EUNKNOWN,
                       "task %s.%s.%d: the outcome of a commit is not known; open the writer again",
                       writer->tenant, writer->connector, writer->task);
    }
    return MR_EBUG;
}

static mr_err select_task(embedded_writer *writer, bool *ret_found, int64_t *ret_epoch, int64_t *ret_commits,
                          mr_error *ret_error)
{
    sqlite3_stmt *select = writer->statements[SELECT_TASK];
    (void)sqlite3_bind_text(select, 1, writer->connector, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(select, 2, writer->task);
    mr_err err = embedded_db_next(&writer->db, select, ret_found, "cannot be read", ret_error);
    if (err == MR_OK && *ret_found) {
        *ret_epoch = sqlite3_column_int64(select, 0);
        *ret_commits = sqlite3_column_int64(select, 1);
    }
    (void)sqlite3_reset(select);
    return err;
}

mr_err embedded_writer_check(embedded_writer *writer, mr_error *ret_error)
{
    bool found = false;
    int64_t epoch = 0, commits = 0;
    mr_err err = select_task(writer, &found, &epoch, &commits, ret_error);
    if (err != MR_OK)
        return err;
    if (found && epoch == writer->epoch && commits == writer->commits)
        return MR_OK;
    writer->state = WRITER_FENCED;
    return mr_fail(
        ret_error, MR_EFENCED,
        "task %s.%s.%d: epoch %lld may not write, epoch %lld has taken over (commit %lld, ours is %lld)",
        writer->tenant, writer->connector, writer->task, (long long)writer->epoch, (long long)epoch,
        (long long)commits, (long long)writer->commits);
}

mr_err embedded_writer_store_task(embedded_writer *writer, int64_t commits, mr_error *ret_error)
{
    sqlite3_stmt *store = writer->statements[STORE_TASK];
    (void)sqlite3_bind_text(store, 1, writer->connector, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(store, 2, writer->task);
    (void)sqlite3_bind_int64(store, 3, writer->epoch);
    (void)sqlite3_bind_int64(store, 4, commits);
    return embedded_db_run(&writer->db, store, "cannot be written", ret_error);
}

/* Counts as a commit of the task, so that a former writer of the same epoch is fenced as well. */
static mr_err register_epoch(embedded_writer *writer, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    bool found = false;
    int64_t epoch = 0, commits = 0;
    mr_err err = select_task(writer, &found, &epoch, &commits, ret_error);
    if (err != MR_OK)
        return err;
    if (found && epoch > writer->epoch) {
        *ret_stored_epoch = epoch;
        return mr_fail(
            ret_error, MR_EFENCED, "task %s.%s.%d: epoch %lld is older than epoch %lld, which has taken over",
            writer->tenant, writer->connector, writer->task, (long long)writer->epoch, (long long)epoch);
    }
    writer->commits = commits + 1;
    return embedded_writer_store_task(writer, writer->commits, ret_error);
}

static mr_err fence(embedded_writer *writer, int64_t *ret_stored_epoch, mr_error *ret_error)
{
    mr_err err = embedded_db_begin(&writer->db, ret_error);
    if (err != MR_OK)
        return err;
    err = register_epoch(writer, ret_stored_epoch, ret_error);
    if (err == MR_OK)
        return embedded_db_commit(&writer->db, ret_error);
    embedded_db_rollback(&writer->db);
    return err;
}

static mr_err open_files(embedded_writer *writer, const embedded_bus *bus, mr_error *ret_error)
{
    char identity[400];
    snprintf(identity, sizeof identity, "%s/%s/%d", writer->tenant, writer->connector, writer->task);
    mr_err err = mr_holder_open(bus->path, identity, writer->epoch, &writer->holder, ret_error);
    if (err != MR_OK)
        return err;
    writer->bell_fd = open(bus->bell_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->bell_fd < 0)
        return mr_fail_errno(ret_error, errno, "%s: cannot be opened", bus->bell_path);
    err = embedded_db_open(&writer->db, bus->path, bus->lock_timeout_ms, WRITER_CACHE_KIB, ret_error);
    writer->db.holder = writer->holder;
    for (size_t i = 0; err == MR_OK && i < WRITER_STATEMENTS; i++)
        err = embedded_db_prepare(&writer->db, statement_texts[i], &writer->statements[i], ret_error);
    return err;
}

static void writer_close(mr_bus_writer *base)
{
    embedded_writer *writer = (embedded_writer *)base;
    for (size_t i = 0; i < WRITER_STATEMENTS; i++)
        (void)sqlite3_finalize(writer->statements[i]);
    if (writer->db.handle != NULL)
        embedded_db_rollback(&writer->db);
    embedded_db_close(&writer->db);
    if (writer->bus->db.holder == writer->holder)
        writer->bus->db.holder = NULL;
    mr_holder_close(&writer->holder);
    if (writer->bell_fd >= 0)
        close(writer->bell_fd);
    embedded_buffer_fini(writer);
    free(writer->tenant);
    free(writer->connector);
    free(writer);
}

static mr_err load_positions(mr_bus_writer *base, mr_bus_position_fn fn, void *arg, mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    sqlite3_stmt *select = writer->statements[SELECT_POSITIONS];
    bool found = false;
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_text(select, 1, writer->connector, -1, SQLITE_STATIC);
    while ((err = embedded_db_next(&writer->db, select, &found, "cannot be read", ret_error)) == MR_OK &&
           found) {
        mr_slice key = {sqlite3_column_blob(select, 0), (size_t)sqlite3_column_bytes(select, 0)};
        mr_slice value = {sqlite3_column_blob(select, 1), (size_t)sqlite3_column_bytes(select, 1)};
        fn(arg, key, value);
    }
    (void)sqlite3_reset(select);
    return err;
}

static mr_err load_offset(mr_bus_writer *base, const char *topic, int32_t partition, int64_t *ret_offset,
                          mr_buf *metadata, mr_error *ret_error)
{
    embedded_writer *writer = (embedded_writer *)base;
    sqlite3_stmt *select = writer->statements[SELECT_SINK];
    bool found = false;
    int64_t log = 0, offset = -1;
    mr_err err = embedded_writer_usable(writer, ret_error);
    if (err == MR_OK)
        err = embedded_log_find(&writer->db, topic, partition, &log, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(select, 1, log);
    (void)sqlite3_bind_text(select, 2, writer->connector, -1, SQLITE_STATIC);
    err = embedded_db_next(&writer->db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && found) {
        offset = sqlite3_column_int64(select, 0);
        if (mr_buf_append(metadata, sqlite3_column_blob(select, 1),
                          (size_t)sqlite3_column_bytes(select, 1)) != MR_OK)
            err = mr_fail(ret_error, MR_ENOMEM, "memory for the position in %s is short", topic);
    }
    (void)sqlite3_reset(select);
    if (err == MR_OK)
        *ret_offset = offset;
    return err;
}

static const mr_bus_writer_impl writer_impl = {
    .close = writer_close,
    .load_positions = load_positions,
    .load_offset = load_offset,
    .send = embedded_send,
    .send_position = embedded_send_position,
    .send_offset = embedded_send_offset,
    .buffered_bytes = embedded_buffered_bytes,
    .prepare = embedded_prepare,
    .commit = embedded_commit,
    .abort = embedded_abort,
};

mr_err embedded_writer_open(mr_bus *base, const mr_bus_identity *identity, mr_bus_writer **ret_writer,
                            int64_t *ret_stored_epoch, mr_error *ret_error)
{
    embedded_bus *bus = (embedded_bus *)base;
    if (strcmp(identity->tenant, bus->tenant) != 0)
        return mr_fail(ret_error, MR_EBUG, "a writer of tenant %s on the bus of tenant %s", identity->tenant,
                       bus->tenant);
    embedded_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for a writer is short");
    *writer = (embedded_writer){.base.impl = &writer_impl,
                                .bus = bus,
                                .bell_fd = -1,
                                .task = identity->task,
                                .epoch = identity->epoch};
    writer->tenant = strdup(bus->tenant);
    writer->connector = strdup(identity->connector);

    mr_err err = writer->tenant == NULL || writer->connector == NULL
                     ? mr_fail(ret_error, MR_ENOMEM, "memory for a writer is short")
                     : open_files(writer, bus, ret_error);
    if (err == MR_OK)
        err = fence(writer, ret_stored_epoch, ret_error);
    if (err != MR_OK) {
        writer_close(&writer->base);
        return err;
    }
    bus->db.holder = writer->holder; /* topics and retention are this task's doing, too */
    *ret_writer = &writer->base;
    return MR_OK;
}
