/* observe.c - progress, as reported: kept in memory, stored in batches as the highest (epoch, position).
 * Never added up. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>

static void uid_of(mr_db *db, const char *tenant, char *out)
{
    mr_db_text(db, out, UID_BYTES, "SELECT uid FROM tenants WHERE tenant = ?", "t", tenant);
}

static void store_source(mr_db *db, const mr_task *task, const Mr__Proto__SourceProgress *progress)
{
    if (strcmp(progress->run_uid, task->run_uid) != 0)
        return;
    mr_db_run(db,
              "UPDATE run_datasets SET epoch = ?, read = ?, filtered = ?, rejected = ?, produced = ?, "
              "rejected_files = ?,"
              " bytes = ? WHERE run_uid = ? AND dataset = ? AND state = 'OPEN' AND (epoch, read) <= (?, ?)",
              "iiiiiiittii", task->epoch, (int64_t)progress->read, (int64_t)progress->filtered,
              (int64_t)progress->rejected, (int64_t)progress->produced, (int64_t)progress->rejected_files,
              (int64_t)progress->bytes, task->run_uid, task->dataset, task->epoch, (int64_t)progress->read);
}

static void store_partition(mr_db *db, const mr_task *task, const char *uid,
                            const Mr__Proto__SinkPartition *partition)
{
    mr_db_run(
        db,
        "INSERT INTO sink_positions(uid, dataset, sink, partition, epoch, position, log_end) VALUES(?, ?, ?, "
        "?, ?,"
        " ?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch, position = excluded.position, log_end ="
        " excluded.log_end WHERE (excluded.epoch, excluded.position) >= (epoch, position)",
        "tttiiii", uid, task->dataset, task->sink, (int64_t)partition->partition, task->epoch,
        partition->offset, partition->end);
    for (size_t i = 0; i < partition->n_runs; i++) {
        const Mr__Proto__SinkRun *run = partition->runs[i];
        mr_db_run(db,
                  "INSERT INTO sink_counts(uid, dataset, sink, run_uid, partition, epoch, position, "
                  "delivered, rejected,"
                  " abandoned) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET epoch = "
                  "excluded.epoch,"
                  " position = excluded.position, delivered = excluded.delivered, rejected = "
                  "excluded.rejected, abandoned ="
                  " excluded.abandoned WHERE (excluded.epoch, excluded.position) >= (epoch, position)",
                  "ttttiiiiii", uid, task->dataset, task->sink, run->run_uid, (int64_t)partition->partition,
                  task->epoch, partition->offset, (int64_t)run->delivered, (int64_t)run->rejected,
                  (int64_t)run->abandoned);
    }
}

void mr_store_progress(mr_db *db, const mr_task *task)
{
    char uid[UID_BYTES];
    const Mr__Proto__TaskStatus *status = task->status;
    if (status->source != NULL)
        store_source(db, task, status->source);
    if (status->sink == NULL)
        return;
    uid_of(db, task->tenant, uid);
    for (size_t i = 0; i < status->sink->n_partitions; i++)
        store_partition(db, task, uid, status->sink->partitions[i]);
}

static mr_err execute_flush(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    mr_service *service = arg;
    mr_task *task;
    (void)ret_answer, (void)ret_error;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->unflushed && task->status != NULL)
            mr_store_progress(db, task);
    }
    return MR_OK;
}

mr_err mr_flush_progress(mr_service *service, mr_error *ret_error)
{
    if (service->flush_ms == INT64_MAX)
        return MR_OK;
    mr_err err = mr_apply(service, "progress", NULL, NULL, execute_flush, service, NULL, ret_error);
    if (err != MR_OK)
        return err;
    service->flush_ms = INT64_MAX;
    mr_task *task;
    for (size_t at = 0; (task = mr_name_map_next(&service->tasks, &at)) != NULL;) {
        if (task->unflushed)
            mr_mark_dirty(service, task->tenant);
        task->unflushed = false;
    }
    return MR_OK;
}
