/* records.c - see records.h. */
#include "coordinator/records.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define UPLOAD_NOTE "user.millrace.upload"

#define SQL_SCHEMAS                                                                                          \
    "json((SELECT json_group_array(json_object('id', c.id, 'subject', c.subject, 'version', c.version, "     \
    "'text', c.text)) FROM schemas c WHERE c.uid = x.uid))"

#define SQL_SPEC                                                                                             \
    "json((SELECT json_object('agreement', p.agreement, 'datasets', json(p.datasets), 'program', p.program," \
    " 'warnings', json(p.warnings), 'retention_days', p.retention_days, 'applied_ms', p.applied_ms)"         \
    " FROM specs p WHERE p.uid = x.uid AND p.version = x.version))"

/* --- writing --- */

/* One row with one column: the document. */
static mr_err write_row(mr_service *service, mr_query *query, const char *path, mr_error *ret_error)
{
    if (!mr_query_next(query)) {
        mr_err err = mr_db_take_error(service->db, ret_error);
        return err != MR_OK ? err : mr_fail(ret_error, MR_EBUG, "%s: there is nothing to record", path);
    }
    mr_err err = mr_staging_write(service->staging, path, mr_slice_of(mr_query_text(query, 0)), ret_error);
    mr_query_end(query);
    return err;
}

mr_err mr_record_tenant(mr_service *service, const char *tenant, const char *uid, mr_error *ret_error)
{
    char folder[100], path[120];
    snprintf(folder, sizeof folder, "tenants/%s", tenant);
    snprintf(path, sizeof path, "%s/tenant.json", folder);
    mr_err err = mr_staging_make(service->staging, folder, ret_error);
    if (err == MR_OK)
        err = write_row(service,
                        mr_db_select(service->db,
                                     "SELECT json_object('tenant', x.tenant, 'tenant_uid', x.uid, 'version',"
                                     " x.version, 'created_ms', x.created_ms, 'spec', " SQL_SPEC
                                     ", 'schemas', " SQL_SCHEMAS ") FROM tenants x WHERE x.uid = ?",
                                     "t", uid),
                        path, ret_error);
    return err == MR_OK ? mr_staging_sync(service->staging, folder, ret_error) : err;
}

mr_err mr_record_run(mr_service *service, const char *run_uid, mr_error *ret_error)
{
    char path[64];
    snprintf(path, sizeof path, "runs/%s/run.json", run_uid);
    mr_query *query = mr_db_select(
        service->db,
        "SELECT json_object('tenant', x.tenant, 'tenant_uid', x.uid, 'run_id', x.run_id, 'run_uid', "
        "x.run_uid,"
        " 'seq', x.seq, 'trigger', x.trigger, 'due_ms', x.due_ms, 'version', x.version, 'created_ms',"
        " x.created_ms, 'retry_of', x.retry_of, 'replaces', x.replaces, 'replay', json((SELECT "
        "json_object('dataset', y.dataset,"
        " 'of_run', y.of_run, 'force', y.force) FROM replays y WHERE y.run_uid = x.run_uid)), 'files', "
        "json((SELECT json_group_array(json_object("
        "'upload_id', u.upload_id, 'name', f.name, 'source', f.source, 'dataset', u.dataset, 'size_bytes',"
        " u.size_bytes, 'sha256', u.sha256, 'key', u.key, 'uploaded_ms', u.uploaded_ms)) FROM run_files f "
        "JOIN"
        " uploads u USING(upload_id) WHERE f.run_uid = x.run_uid)), 'datasets', json((SELECT"
        " json_group_array(json_object('dataset', d.dataset, 'schema_id', d.schema_id, 'key_schema_id',"
        " d.key_schema_id, 'sinks', json((SELECT json_group_array(json_object('sink', s.sink, 'starts',"
        " json(k.starts))) FROM run_sinks s JOIN sinks k USING(uid, dataset, sink) WHERE s.run_uid = "
        "d.run_uid"
        " AND s.dataset = d.dataset)))) FROM run_datasets d WHERE d.run_uid = x.run_uid)), 'spec', " SQL_SPEC
        ", 'schemas', " SQL_SCHEMAS ") FROM runs x WHERE x.run_uid = ?",
        "t", run_uid);
    return write_row(service, query, path, ret_error);
}

mr_err mr_record_result(mr_service *service, const char *run_uid, const char *folder, mr_error *ret_error)
{
    char path[300];
    snprintf(path, sizeof path, "%s/result.json", folder);
    mr_query *query = mr_db_select(
        service->db,
        "SELECT json_object('run_uid', x.run_uid, 'state', x.outcome, 'reason', x.reason, 'attempts',"
        " x.attempts, 'finished_ms', coalesce(nullif(x.finished_ms, 0), ?), 'sealed_epoch', x.sealed_epoch,"
        " 'manifest_sha256', x.manifest_sha256, 'datasets', json((SELECT json_group_array(json_object("
        "'dataset', d.dataset, 'state', d.state, 'read', d.read, 'filtered', d.filtered, 'rejected',"
        " d.rejected, 'produced', d.produced, 'rejected_files', d.rejected_files, 'bytes', d.bytes, 'reason',"
        " d.reason, 'ranges', json((SELECT json_group_array(json_array(g.partition, g.first, g.end)) FROM"
        " run_ranges g WHERE g.run_uid = d.run_uid AND g.dataset = d.dataset)), 'sinks', json((SELECT"
        " json_group_array(json_object('sink', s.sink, 'state', CASE WHEN s.state = 'SKIPPING' AND NOT "
        "EXISTS " SQL_NOT_PASSED
        " THEN 'FINAL' ELSE s.state END, 'delivered', s.delivered, 'rejected', s.rejected,"
        " 'abandoned', s.abandoned)) FROM ledger_lines s WHERE s.run_uid = d.run_uid AND s.dataset ="
        " d.dataset)))) FROM run_datasets d WHERE d.run_uid = x.run_uid))) FROM runs x WHERE x.run_uid = ?",
        "it", service->now_ms, run_uid);
    return write_row(service, query, path, ret_error);
}

void mr_record_upload(mr_service *service, const char *path, int64_t upload_id)
{
    int fd;
    if (mr_staging_read(service->staging, path, &fd, NULL) != MR_OK)
        return;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT json_object('upload_id', upload_id, 'tenant_uid', uid, 'dataset',"
                                   " dataset, 'size_bytes', size_bytes, 'sha256', sha256, 'key', key,"
                                   " 'uploaded_ms', uploaded_ms) FROM uploads WHERE upload_id = ?",
                                   "i", upload_id);
    if (mr_query_next(query)) {
        const char *note = mr_query_text(query, 0);
        if (strlen(note) < MR_NOTE_BYTES && fsetxattr(fd, UPLOAD_NOTE, note, strlen(note), 0) != 0)
            mr_log(MR_DEBUG, "the file system keeps no note at an upload", MR_STR("file", path));
        mr_query_end(query);
    }
    close(fd);
}

/* --- reading --- */

static mr_err read_text(int fd, const char *path, char **ret_text, mr_error *ret_error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return mr_fail(ret_error, MR_EIO, "staging: %s cannot be read", path);
    if (status.st_size > MR_RECORD_MAX_BYTES)
        return mr_fail(ret_error, MR_ETOOLARGE, "staging: %s is larger than it can be", path);
    size_t size = (size_t)status.st_size, done = 0;
    char *text = malloc(size + 1);
    if (text == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "staging: %s: out of memory", path);
    for (ssize_t got = 1; done < size && got > 0; done += got > 0 ? (size_t)got : 0)
        got = read(fd, text + done, size - done);
    text[done] = '\0';
    if (done != size || strlen(text) != size) {
        free(text);
        return mr_fail(ret_error, MR_EINVALID, "staging: %s is damaged", path);
    }
    *ret_text = text;
    return MR_OK;
}

mr_err mr_record_read(mr_service *service, const char *path, char **ret_text, mr_error *ret_error)
{
    int fd;
    mr_err err = mr_staging_read(service->staging, path, &fd, ret_error);
    if (err != MR_OK)
        return err;
    err = read_text(fd, path, ret_text, ret_error);
    close(fd);
    if (err == MR_OK && mr_db_int(service->db, 0, "SELECT json_valid(?)", "t", *ret_text) == 0) {
        free(*ret_text);
        *ret_text = NULL;
        err = mr_fail(ret_error, MR_EINVALID, "staging: %s is damaged: not JSON", path);
    }
    return err;
}

void mr_record_upload_read(mr_service *service, const char *path, char note[MR_NOTE_BYTES])
{
    int fd;
    note[0] = '\0';
    if (mr_staging_read(service->staging, path, &fd, NULL) != MR_OK)
        return;
    ssize_t size = fgetxattr(fd, UPLOAD_NOTE, note, MR_NOTE_BYTES - 1);
    close(fd);
    note[size > 0 ? size : 0] = '\0';
    if (mr_db_int(service->db, 0, "SELECT json_valid(?)", "t", note) == 0)
        note[0] = '\0';
}
