/* topics.c - topics, their partitions and where those begin and end. */
#include "bus/embedded/embedded.h"

mr_err embedded_topic_find(embedded_db *db, const char *topic, embedded_topic *ret_topic, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    bool found = false;
    mr_err err =
        embedded_db_prepare(db, "SELECT first_log, partitions FROM topics WHERE name=?", &select, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_text(select, 1, topic, -1, SQLITE_STATIC);
    err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && !found)
        err = mr_fail(ret_error, MR_ENOTFOUND, "there is no topic %s in bus file %s", topic, db->path);
    if (err == MR_OK)
        *ret_topic = (embedded_topic){.first_log = sqlite3_column_int64(select, 0),
                                      .partitions = sqlite3_column_int(select, 1)};
    (void)sqlite3_finalize(select);
    return err;
}

mr_err embedded_log_find(embedded_db *db, const char *topic, int32_t partition, int64_t *ret_log,
                         mr_error *ret_error)
{
    embedded_topic found;
    mr_err err = embedded_topic_find(db, topic, &found, ret_error);
    if (err != MR_OK)
        return err;
    if (partition < 0 || partition >= found.partitions)
        return mr_fail(ret_error, MR_EINVALID, "topic %s has no partition %d, only 0 to %d", topic, partition,
                       found.partitions - 1);
    *ret_log = found.first_log + partition;
    return MR_OK;
}

static mr_err check_same(const char *topic, const embedded_topic *found, int32_t partitions,
                         mr_error *ret_error)
{
    if (found->partitions == partitions)
        return MR_OK;
    return mr_fail(ret_error, MR_EREFUSED,
                   "topic %s has %d partitions, not %d; the number of a topic is fixed", topic,
                   found->partitions, partitions);
}

static mr_err next_log(embedded_db *db, int32_t partitions, int64_t *ret_log, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    bool found = false;
    int64_t next = 0;
    mr_err err = embedded_db_prepare(db, "SELECT coalesce(max(id), 0) + 1 FROM logs", &select, ret_error);
    if (err == MR_OK)
        err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK)
        next = sqlite3_column_int64(select, 0);
    (void)sqlite3_finalize(select);
    if (err != MR_OK)
        return err;
    if (next + partitions >= EMBEDDED_LOG_END)
        return mr_fail(ret_error, MR_ETOOLARGE, "bus file %s: it has no room for %d partitions more",
                       db->path, partitions);
    *ret_log = next;
    return MR_OK;
}

static mr_err insert_topic(embedded_db *db, const char *topic, int32_t partitions, int64_t first_log,
                           mr_error *ret_error)
{
    sqlite3_stmt *insert = NULL;
    mr_err err = embedded_db_prepare(db, "INSERT INTO topics (name, partitions, first_log) VALUES (?, ?, ?)",
                                     &insert, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_text(insert, 1, topic, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(insert, 2, partitions);
    (void)sqlite3_bind_int64(insert, 3, first_log);
    err = embedded_db_run(db, insert, "cannot be written", ret_error);
    (void)sqlite3_finalize(insert);
    return err;
}

static mr_err insert_logs(embedded_db *db, int32_t partitions, int64_t first_log, int64_t topic,
                          mr_error *ret_error)
{
    sqlite3_stmt *insert = NULL;
    mr_err err = embedded_db_prepare(db, "INSERT INTO logs (id, topic, partition) VALUES (?, ?, ?)", &insert,
                                     ret_error);
    for (int32_t i = 0; err == MR_OK && i < partitions; i++) {
        (void)sqlite3_bind_int64(insert, 1, first_log + i);
        (void)sqlite3_bind_int64(insert, 2, topic);
        (void)sqlite3_bind_int(insert, 3, i);
        err = embedded_db_run(db, insert, "cannot be written", ret_error);
    }
    (void)sqlite3_finalize(insert);
    return err;
}

/* Inside a transaction. Somebody may have been faster. */
static mr_err create_locked(embedded_db *db, const char *topic, int32_t partitions, mr_error *ret_error)
{
    embedded_topic found;
    int64_t first_log = 0;
    mr_err err = embedded_topic_find(db, topic, &found, ret_error);
    if (err == MR_OK)
        return check_same(topic, &found, partitions, ret_error);
    if (err != MR_ENOTFOUND)
        return err;
    err = next_log(db, partitions, &first_log, ret_error);
    if (err == MR_OK)
        err = insert_topic(db, topic, partitions, first_log, ret_error);
    if (err == MR_OK)
        err = insert_logs(db, partitions, first_log, sqlite3_last_insert_rowid(db->handle), ret_error);
    return err;
}

mr_err embedded_create_topic(mr_bus *base, const char *topic, int32_t partitions, mr_error *ret_error)
{
    embedded_db *db = &((embedded_bus *)base)->db;
    embedded_topic found;
    mr_err err = embedded_topic_find(db, topic, &found, ret_error);
    if (err == MR_OK)
        return check_same(topic, &found, partitions, ret_error);
    if (err != MR_ENOTFOUND)
        return err;
    err = embedded_db_begin(db, ret_error);
    if (err != MR_OK)
        return err;
    err = create_locked(db, topic, partitions, ret_error);
    if (err == MR_OK)
        return embedded_db_commit(db, ret_error);
    embedded_db_rollback(db);
    return err;
}

mr_err embedded_partitions(mr_bus *base, const char *topic, int32_t *ret_partitions, mr_error *ret_error)
{
    embedded_topic found;
    mr_err err = embedded_topic_find(&((embedded_bus *)base)->db, topic, &found, ret_error);
    if (err == MR_OK)
        *ret_partitions = found.partitions;
    return err;
}

mr_err embedded_offsets(mr_bus *base, const char *topic, int32_t partition, int64_t *ret_first,
                        int64_t *ret_end, mr_error *ret_error)
{
    embedded_db *db = &((embedded_bus *)base)->db;
    sqlite3_stmt *select = NULL;
    bool found = false;
    int64_t log;
    mr_err err = embedded_log_find(db, topic, partition, &log, ret_error);
    if (err == MR_OK)
        err = embedded_db_prepare(
            db,
            "SELECT (SELECT min(id) FROM batches WHERE id >= ?2 AND id < ?3), end_offset FROM"
            " logs WHERE id = ?1",
            &select, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int64(select, 1, log);
    (void)sqlite3_bind_int64(select, 2, embedded_batch_id(log, 0));
    (void)sqlite3_bind_int64(select, 3, embedded_batch_id(log + 1, 0));
    err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK && found) {
        *ret_end = sqlite3_column_int64(select, 1);
        bool empty = sqlite3_column_type(select, 0) == SQLITE_NULL;
        *ret_first = empty ? *ret_end : embedded_batch_offset(sqlite3_column_int64(select, 0));
    } else if (err == MR_OK) {
        err = mr_fail(ret_error, MR_EIO, "bus file %s: partition %d of topic %s is not there", db->path,
                      partition, topic);
    }
    (void)sqlite3_finalize(select);
    return err;
}
