#include "coordinator/report_check.h"

#include <stdio.h>
#include <string.h>

/* So that sums of a few are numbers that SQLite stores. */
static const uint64_t count_max = INT64_MAX / 4;

static mr_err refuse(const mr_task *task, const char *what, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EPROTOCOL, "%s of worker %s cannot be: %s", task->key, task->worker, what);
}

static mr_err check_source(const mr_task *task, const Mr__Proto__SourceProgress *source, mr_error *ret_error)
{
    const Mr__Proto__SourceProgress *before = task->status != NULL ? task->status->source : NULL;
    if (strcmp(source->run_uid, task->run_uid) != 0)
        return refuse(task, "it reads another run", ret_error);
    if (source->read > count_max || source->filtered > count_max || source->rejected > count_max ||
        source->produced > count_max || source->rejected_files > count_max || source->bytes > count_max)
        return refuse(task, "a count that no file has rows for", ret_error);
    if (source->read != source->filtered + source->rejected + source->produced)
        return refuse(task, "read is not filtered + rejected + produced", ret_error);
    if (before != NULL && source->read >= before->read &&
        (source->rejected < before->rejected || source->produced < before->produced))
        return refuse(task, "its counts shrink", ret_error);
    return MR_OK;
}

static mr_err check_program(const mr_task *task, const Mr__Proto__ProgramProgress *program,
                            mr_error *ret_error)
{
    char folder[100];
    snprintf(folder, sizeof folder, "runs/%s/sealed-%lld", task->run_uid, (long long)task->epoch);
    if (strcmp(program->run_uid, task->run_uid) != 0)
        return refuse(task, "it prepares another run", ret_error);
    if (program->sealed_dir[0] != '\0' && strcmp(program->sealed_dir, folder) != 0)
        return refuse(task, "its sealed folder is not the one of its attempt", ret_error);
    if (program->files_in > count_max || program->bytes_in > count_max || program->files_out > count_max ||
        program->bytes_out > count_max)
        return refuse(task, "a count that no disk has room for", ret_error);
    return MR_OK;
}

/* --- sink --- */

static uint64_t total(const Mr__Proto__SinkRun *run)
{
    return run->delivered + run->rejected + run->abandoned;
}

/* Of the run, over all partitions. */
static uint64_t total_of_run(const Mr__Proto__SinkProgress *sink, const char *run_uid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sink->n_partitions; i++)
        for (size_t k = 0; k < sink->partitions[i]->n_runs; k++)
            if (strcmp(sink->partitions[i]->runs[k]->run_uid, run_uid) == 0)
                sum += total(sink->partitions[i]->runs[k]);
    return sum;
}

static const Mr__Proto__SinkRun *find_run(const Mr__Proto__SinkPartition *partition, const char *run_uid)
{
    for (size_t i = 0; i < partition->n_runs; i++)
        if (strcmp(partition->runs[i]->run_uid, run_uid) == 0)
            return partition->runs[i];
    return NULL;
}

static const Mr__Proto__SinkPartition *find_partition(const Mr__Proto__SinkProgress *sink, int32_t number)
{
    for (size_t i = 0; sink != NULL && i < sink->n_partitions; i++)
        if (sink->partitions[i]->partition == number)
            return sink->partitions[i];
    return NULL;
}

/* What is not known of a run, or not final yet, is no reason to refuse. */
static mr_err check_run(mr_service *service, const mr_task *task, const Mr__Proto__SinkProgress *sink,
                        const char *run_uid, mr_error *ret_error)
{
    bool other = false, too_many = false;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT r.tenant, d.state, d.produced FROM runs r LEFT JOIN run_datasets d"
                                   " ON d.run_uid = r.run_uid AND d.dataset = ? WHERE r.run_uid = ?",
                                   "tt", task->dataset, run_uid);
    if (mr_query_next(query)) {
        other = strcmp(mr_query_text(query, 0), task->tenant) != 0;
        too_many = strcmp(mr_query_text(query, 1), "ENDED") == 0 &&
                   total_of_run(sink, run_uid) > (uint64_t)mr_query_int(query, 2);
        mr_query_end(query);
    }
    if (other)
        return refuse(task, "it delivers a run of another tenant", ret_error);
    return too_many ? refuse(task, "it delivers more than its run produced", ret_error) : MR_OK;
}

static mr_err check_partition(mr_service *service, const mr_task *task, const Mr__Proto__SinkProgress *sink,
                              const Mr__Proto__SinkPartition *partition, mr_error *ret_error)
{
    const Mr__Proto__SinkPartition *before =
        find_partition(task->status != NULL ? task->status->sink : NULL, partition->partition);
    mr_err err = MR_OK;
    if (partition->offset > partition->end)
        return refuse(task, "its position lies behind the end of the log", ret_error);
    for (size_t i = 0; i < partition->n_runs && err == MR_OK; i++) {
        const Mr__Proto__SinkRun *run = partition->runs[i];
        const Mr__Proto__SinkRun *known = before != NULL ? find_run(before, run->run_uid) : NULL;
        if (run->delivered > count_max || run->rejected > count_max || run->abandoned > count_max)
            return refuse(task, "a count that no log has records for", ret_error);
        if (total(run) > (uint64_t)partition->offset)
            return refuse(task, "it counts more than lies below its position", ret_error);
        if (known != NULL && partition->offset >= before->offset &&
            (run->delivered < known->delivered || run->rejected < known->rejected ||
             run->abandoned < known->abandoned))
            return refuse(task, "its counts shrink", ret_error);
        err = check_run(service, task, sink, run->run_uid, ret_error);
    }
    return err;
}

static mr_err check_sink(mr_service *service, const mr_task *task, const Mr__Proto__SinkProgress *sink,
                         mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t i = 0; i < sink->n_partitions && err == MR_OK; i++) {
        if (find_partition(sink, sink->partitions[i]->partition) != sink->partitions[i])
            return refuse(task, "a partition stands twice", ret_error);
        err = check_partition(service, task, sink, sink->partitions[i], ret_error);
    }
    return err;
}

mr_err mr_status_check(mr_service *service, const mr_task *task, const Mr__Proto__TaskStatus *status,
                       mr_error *ret_error)
{
    const bool reads =
        task->kind == MR__PROTO__TASK_KIND__SOURCE || task->kind == MR__PROTO__TASK_KIND__FENCE;
    if (status->kind != task->kind)
        return refuse(task, "it is of another kind", ret_error);
    if ((status->source != NULL && !reads) ||
        (status->program != NULL && task->kind != MR__PROTO__TASK_KIND__PROGRAM) ||
        (status->sink != NULL && task->kind != MR__PROTO__TASK_KIND__SINK))
        return refuse(task, "its progress is that of another kind", ret_error);
    mr_err err = status->source != NULL ? check_source(task, status->source, ret_error) : MR_OK;
    if (err == MR_OK && status->program != NULL)
        err = check_program(task, status->program, ret_error);
    if (err == MR_OK && status->sink != NULL)
        err = check_sink(service, task, status->sink, ret_error);
    return err;
}
