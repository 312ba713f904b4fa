#include "connectors/sqlite/fence.h"

#include <inttypes.h>
#include <stdlib.h>

static const char tables_sql[] =
    "CREATE TABLE IF NOT EXISTS millrace_epochs(connector TEXT NOT NULL, task INTEGER NOT NULL,"
    " tenant_uid TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY(connector, task, tenant_uid)) WITHOUT "
    "ROWID;"
    "CREATE TABLE IF NOT EXISTS millrace_positions(connector TEXT NOT NULL, topic TEXT NOT NULL,"
    " partition INTEGER NOT NULL, tenant_uid TEXT NOT NULL, epoch INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " metadata BLOB, PRIMARY KEY(connector, topic, partition, tenant_uid)) WITHOUT ROWID";

static mr_err step_done(sink_fence *fence, sqlite3_stmt *statement, const char *doing, mr_error *ret_error)
{
    int result = sqlite3_step(statement);
    mr_err err = result == SQLITE_DONE ? MR_OK : store_fail(fence->store, result, doing, ret_error);
    sqlite3_reset(statement);
    return err;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

/* *ret_epoch is -1 when none is stored. */
static mr_err read_epoch(sink_fence *fence, int64_t *ret_epoch, mr_error *ret_error)
{
    mr_err err = MR_OK;
    int result = sqlite3_step(fence->read_epoch);
    if (result == SQLITE_ROW)
        *ret_epoch = sqlite3_column_int64(fence->read_epoch, 0);
    else if (result == SQLITE_DONE)
        *ret_epoch = -1;
    else
        err = store_fail(fence->store, result, "read the epoch", ret_error);
    sqlite3_reset(fence->read_epoch);
    return err;
}

static mr_err fail_fenced(const sink_fence *fence, int64_t stored, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EFENCED,
                   "store %s: epoch %" PRId64 " of %s task %d is fenced by epoch %" PRId64,
                   fence->store->path, fence->env->epoch, fence->env->connector, fence->env->task, stored);
}

static mr_err store_epoch(sink_fence *fence, mr_error *ret_error)
{
    sqlite3_stmt *statement = NULL;
    mr_err err =
        store_prepare(fence->store,
                      "INSERT INTO millrace_epochs(connector, task, tenant_uid, epoch) VALUES(?1, ?2, ?3, ?4)"
                      " ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
                      &statement, ret_error);
    if (err != MR_OK)
        return err;
    bind_text(statement, 1, fence->env->connector);
    sqlite3_bind_int(statement, 2, fence->env->task);
    bind_text(statement, 3, fence->env->tenant_uid);
    sqlite3_bind_int64(statement, 4, fence->env->epoch);
    err = step_done(fence, statement, "store the epoch", ret_error);
    sqlite3_finalize(statement);
    return err;
}

static mr_err prepare(sink_fence *fence, mr_error *ret_error)
{
    static const char read_sql[] =
        "SELECT epoch FROM millrace_epochs WHERE connector = ?1 AND task = ?2 AND tenant_uid = ?3";
    static const char list_sql[] = "SELECT partition, offset, metadata FROM millrace_positions"
                                   " WHERE connector = ?1 AND topic = ?2 AND tenant_uid = ?3";
    static const char insert_sql[] = "INSERT OR IGNORE INTO millrace_positions(connector, topic, tenant_uid, "
                                     "partition, epoch, offset, metadata)"
                                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    static const char update_sql[] = "UPDATE millrace_positions SET epoch = ?5, offset = ?6, metadata = ?7"
                                     " WHERE connector = ?1 AND topic = ?2 AND tenant_uid = ?3 AND partition "
                                     "= ?4 AND epoch <= ?5 AND offset = ?8";
    const mr_env *env = fence->env;
    mr_err err = store_prepare(fence->store, read_sql, &fence->read_epoch, ret_error);
    if (err == MR_OK)
        err = store_prepare(fence->store, list_sql, &fence->list, ret_error);
    if (err == MR_OK)
        err = store_prepare(fence->store, insert_sql, &fence->insert, ret_error);
    if (err == MR_OK)
        err = store_prepare(fence->store, update_sql, &fence->update, ret_error);
    if (err != MR_OK)
        return err;
    bind_text(fence->read_epoch, 1, env->connector);
    sqlite3_bind_int(fence->read_epoch, 2, env->task);
    bind_text(fence->read_epoch, 3, env->tenant_uid);
    for (int i = 0; i < 3; i++) {
        sqlite3_stmt *statement = (sqlite3_stmt *[]){fence->list, fence->insert, fence->update}[i];
        bind_text(statement, 1, env->connector);
        bind_text(statement, 2, env->topic);
        bind_text(statement, 3, env->tenant_uid);
    }
    return MR_OK;
}

mr_err fence_open(sink_fence *fence, sqlite_store *store, const mr_env *env, int64_t *ret_stored_epoch,
                  mr_error *ret_error)
{
    int64_t stored = -1;
    fence->store = store;
    fence->env = env;
    mr_err err = store_exec(store, tables_sql, ret_error);
    if (err == MR_OK)
        err = prepare(fence, ret_error);
    if (err == MR_OK)
        err = read_epoch(fence, &stored, ret_error);
    if (err == MR_OK && stored > env->epoch) {
        if (ret_stored_epoch != NULL)
            *ret_stored_epoch = stored;
        return fail_fenced(fence, stored, ret_error);
    }
    if (err == MR_OK)
        err = store_epoch(fence, ret_error);
    return err == MR_OK ? fence_positions(fence, NULL, NULL, ret_error) : err;
}

void fence_close(sink_fence *fence)
{
    sqlite3_finalize(fence->read_epoch);
    sqlite3_finalize(fence->list);
    sqlite3_finalize(fence->insert);
    sqlite3_finalize(fence->update);
    free(fence->known);
    *fence = (sink_fence){0};
}

mr_err fence_check(sink_fence *fence, mr_error *ret_error)
{
    int64_t stored = -1;
    mr_err err = read_epoch(fence, &stored, ret_error);
    if (err == MR_OK && stored != fence->env->epoch)
        return fail_fenced(fence, stored, ret_error);
    return err;
}

static fence_offset *find_known(const sink_fence *fence, int32_t partition)
{
    for (size_t i = 0; i < fence->known_count; i++) {
        if (fence->known[i].partition == partition)
            return &fence->known[i];
    }
    return NULL;
}

static mr_err set_known(sink_fence *fence, int32_t partition, int64_t offset, mr_error *ret_error)
{
    fence_offset *known = find_known(fence, partition);
    if (known != NULL) {
        known->offset = offset;
        return MR_OK;
    }
    fence_offset *grown = realloc(fence->known, (fence->known_count + 1) * sizeof *grown);
    if (grown == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a position");
    fence->known = grown;
    fence->known[fence->known_count++] = (fence_offset){partition, offset};
    return MR_OK;
}

mr_err fence_positions(sink_fence *fence, mr_sink_position_fn fn, void *arg, mr_error *ret_error)
{
    mr_err err = MR_OK;
    int result;
    fence->known_count = 0;
    while ((result = sqlite3_step(fence->list)) == SQLITE_ROW && err == MR_OK) {
        mr_sink_position position = {
            .partition = sqlite3_column_int(fence->list, 0),
            .offset = sqlite3_column_int64(fence->list, 1),
            .metadata.data = sqlite3_column_blob(fence->list, 2),
            .metadata.size = (size_t)sqlite3_column_bytes(fence->list, 2),
        };
        err = set_known(fence, position.partition, position.offset, ret_error);
        if (err == MR_OK && fn != NULL)
            fn(arg, &position);
    }
    if (err == MR_OK && result != SQLITE_DONE)
        err = store_fail(fence->store, result, "read the positions", ret_error);
    sqlite3_reset(fence->list);
    return err;
}

mr_err fence_store(sink_fence *fence, const mr_sink_position *position, mr_error *ret_error)
{
    const fence_offset *known = find_known(fence, position->partition);
    sqlite3_stmt *statement = known != NULL ? fence->update : fence->insert;
    sqlite3_bind_int(statement, 4, position->partition);
    sqlite3_bind_int64(statement, 5, fence->env->epoch);
    sqlite3_bind_int64(statement, 6, position->offset);
    sqlite3_bind_blob64(statement, 7, position->metadata.data, position->metadata.size, SQLITE_STATIC);
    if (known != NULL)
        sqlite3_bind_int64(statement, 8, known->offset);
    mr_err err = step_done(fence, statement, "store a position", ret_error);
    if (err == MR_OK && sqlite3_changes(fence->store->db) != 1)
        return mr_fail(
            ret_error, MR_EFENCED,
            "store %s: the position of %s, partition %d, is not where %s left it: someone else delivers",
            fence->store->path, fence->env->topic, position->partition, fence->env->connector);
    return err;
}

mr_err fence_committed(sink_fence *fence, const mr_sink_position *positions, size_t count,
                       mr_error *ret_error)
{
    for (size_t i = 0; i < count; i++) {
        mr_err err = set_known(fence, positions[i].partition, positions[i].offset, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}
