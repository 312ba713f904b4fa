/* import_upload.c - files in in/ that the database does not know, or knows in another state. */
#include "coordinator/import.h"
#include "core/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t mr_import_upload(mr_db *db, const char *tenant, const char *uid, const char *record, const char *name,
                         const char *state, const char *run_uid)
{
    /* Without an id (no note): the newest of that content that is handled here already. */
    int64_t id =
        mr_db_int(db, 0,
                  "SELECT coalesce(json_extract(?1, '$.upload_id'), (SELECT max(upload_id) FROM uploads"
                  " WHERE uid = ?2 AND name = ?3 AND sha256 = json_extract(?1, '$.sha256')))",
                  "ttt", record, uid, name);
    int64_t same =
        mr_db_int(db, -1,
                  "SELECT uid = ? AND sha256 = json_extract(?, '$.sha256') FROM uploads WHERE upload_id"
                  " = ?",
                  "tti", uid, record, id);
    if (same == 1) {
        mr_db_run(
            db,
            "UPDATE uploads SET state = ?, run_uid = ?, name = coalesce(?, json_extract(?, '$.name')) WHERE"
            " upload_id = ?",
            "tttti", state, run_uid, name, record, id);
        return id;
    }
    mr_db_run(
        db,
        "INSERT INTO uploads(upload_id, tenant, uid, dataset, name, incoming, size_bytes, sha256, state,"
        " run_uid, key, uploaded_ms) SELECT nullif(?2, 0), ?3, ?4, json_extract(?1, '$.dataset'),"
        " coalesce(?5, json_extract(?1, '$.name')), '', json_extract(?1, '$.size_bytes'), json_extract(?1,"
        " '$.sha256'), ?6, ?7, json_extract(?1, '$.key'), json_extract(?1, '$.uploaded_ms')",
        "tittttt", record, same == 0 ? (int64_t)0 : id, tenant, uid, name, state, run_uid);
    id = mr_db_last_id(db);
    /* A client that sends it again gets the answer that it may have missed. */
    json_t *answer = mr_upload_answer(db, id);
    char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
    mr_db_run(db,
              "INSERT OR IGNORE INTO idempotency(name, key, answer, at_ms) SELECT 'upload', tenant || ':' || "
              "key, ?,"
              " uploaded_ms FROM uploads WHERE upload_id = ? AND key IS NOT NULL",
              "ti", text, id);
    free(text);
    json_decref(answer);
    return id;
}

/* --- a file without a note: what can be found out --- */

static mr_err hash_file(int fd, char *ret_hex, mr_error *ret_error)
{
    mr_sha256 *hash;
    static char block[65536];
    mr_err err = mr_sha256_open(&hash, ret_error);
    if (err != MR_OK)
        return err;
    ssize_t size = 0;
    while (err == MR_OK && (size = read(fd, block, sizeof block)) > 0)
        err = mr_sha256_add(hash, (mr_slice){block, (size_t)size}, ret_error);
    if (err == MR_OK && size < 0)
        err = mr_fail(ret_error, MR_EIO, "it cannot be read");
    if (err == MR_OK)
        err = mr_sha256_finish(hash, ret_hex, ret_error);
    mr_sha256_close(&hash);
    return err;
}

static mr_err write_note(mr_service *service, const mr_tenant *tenant, const char *path, const char *name,
                         char *ret_note, mr_error *ret_error)
{
    const mr_tenant_spec *spec;
    const mr_dataset *dataset;
    struct stat status;
    char hex[65];
    int fd;
    mr_err err = mr_load_spec(service, tenant->uid, tenant->version, &spec, ret_error);
    if (err == MR_OK)
        err = mr_tenant_spec_dataset_for(spec, name, NULL, &dataset, ret_error);
    if (err == MR_OK)
        err = mr_staging_read(service->staging, path, &fd, ret_error);
    if (err != MR_OK)
        return err;
    err = fstat(fd, &status) == 0 ? hash_file(fd, hex, ret_error)
                                  : mr_fail(ret_error, MR_EIO, "it cannot be read");
    close(fd);
    if (err == MR_OK)
        mr_db_text(service->db, ret_note, MR_NOTE_BYTES,
                   "SELECT json_object('dataset', ?, 'size_bytes', ?, 'sha256', ?, 'uploaded_ms', ?)", "titi",
                   dataset->name, (int64_t)status.st_size, hex, (int64_t)status.st_mtim.tv_sec * 1000);
    return err;
}

/* --- in/ --- */

typedef struct found_file {
    const mr_tenant *tenant;
    const char *name;
    char note[MR_NOTE_BYTES];
} found_file;

static mr_err execute_import_file(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const found_file *file = arg;
    (void)ret_answer, (void)ret_error;
    mr_import_upload(db, file->tenant->tenant, file->tenant->uid, file->note, file->name, "ready", NULL);
    mr_audit(db, &(mr_audit_entry){.subject = file->name, .after = json_loads(file->note, 0, NULL)});
    return MR_OK;
}

typedef struct expected_file {
    char name[256];
    bool ready; /* else it is on its way: it may be there or not */
    bool there;
} expected_file;

typedef struct import_pass {
    mr_service *service;
    const mr_tenant *tenant;
    mr_name_map expected; /* in in/, by name; owned */
    mr_error *error;
    mr_err err;
} import_pass;

static mr_err list_expected(import_pass *pass, mr_error *ret_error)
{
    mr_err err = MR_OK;
    mr_query *query =
        mr_db_select(pass->service->db,
                     "SELECT u.name, u.state = 'ready' FROM uploads u LEFT JOIN runs r ON r.run_uid = "
                     "u.run_uid WHERE u.uid = ?"
                     " AND u.state IN ('ready','receiving','claimed') AND (u.state <> 'claimed' OR r.state IN"
                     " ('CLAIMING','CANCELLING'))",
                     "t", pass->tenant->uid);
    while (err == MR_OK && mr_query_next(query)) {
        expected_file *file = calloc(1, sizeof *file);
        if (file == NULL) {
            err = mr_fail(ret_error, MR_ENOMEM, "import of files: out of memory");
            break;
        }
        snprintf(file->name, sizeof file->name, "%s", mr_query_text(query, 0));
        file->ready = mr_query_int(query, 1) != 0;
        err = mr_name_map_put(&pass->expected, file->name, file);
    }
    if (err != MR_OK)
        mr_query_end(query);
    return err == MR_OK ? mr_db_take_error(pass->service->db, ret_error) : err;
}

static bool import_file(void *arg, const char *name)
{
    import_pass *pass = arg;
    mr_service *service = pass->service;
    found_file file = {.tenant = pass->tenant, .name = name};
    char path[MR_IMPORT_PATH];
    mr_error error;
    expected_file *expected = mr_name_map_get(&pass->expected, name);
    if (expected != NULL) {
        expected->there = true;
        return true;
    }
    snprintf(path, sizeof path, "tenants/%s/in/%s", pass->tenant->tenant, name);
    mr_record_upload_read(service, path, file.note);
    mr_err err = MR_OK;
    if (file.note[0] == '\0' || mr_db_int(service->db, 0, "SELECT json_extract(?, '$.tenant_uid') = ?", "tt",
                                          file.note, pass->tenant->uid) == 0)
        err = write_note(service, pass->tenant, path, name, file.note, &error);
    if (err != MR_OK) {
        mr_log_failure(MR_ERROR, "a file in in/ that nobody knows is left as it is", &error,
                       MR_STR("tenant", pass->tenant->tenant), MR_STR("file", name));
        return true;
    }
    pass->err = mr_apply(service, "import_upload", pass->tenant->tenant, NULL, execute_import_file, &file,
                         NULL, pass->error);
    if (pass->err != MR_OK)
        return false;
    MR_FAULT("import_upload_recorded");
    mr_log(MR_WARN, "file taken in from staging", MR_STR("tenant", pass->tenant->tenant),
           MR_STR("file", name));
    return true;
}

/* Handled since the copy was made, and removed since by its retention. */
static mr_err execute_handled(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const found_file *file = arg;
    (void)ret_answer, (void)ret_error;
    mr_db_run(db, "UPDATE uploads SET state = 'done' WHERE uid = ? AND name = ? AND state = 'ready'", "tt",
              file->tenant->uid, file->name);
    return MR_OK;
}

static mr_err close_missing(import_pass *pass, mr_error *ret_error)
{
    mr_err err = MR_OK;
    expected_file *expected;
    for (size_t at = 0; err == MR_OK && (expected = mr_name_map_next(&pass->expected, &at)) != NULL;) {
        if (!expected->ready || expected->there)
            continue;
        found_file file = {.tenant = pass->tenant, .name = expected->name};
        err = mr_apply(pass->service, "import_handled", pass->tenant->tenant, NULL, execute_handled, &file,
                       NULL, ret_error);
        mr_log(MR_WARN,
               "a file of coordinator.db is not there any more: it was handled after this copy was made",
               MR_STR("tenant", pass->tenant->tenant), MR_STR("file", expected->name));
    }
    return err;
}

mr_err mr_import_uploads(mr_service *service, const mr_tenant *tenant, bool newer, mr_error *ret_error)
{
    char folder[100];
    import_pass pass = {.service = service, .tenant = tenant, .error = ret_error};
    snprintf(folder, sizeof folder, "tenants/%s/in", tenant->tenant);
    mr_err err = list_expected(&pass, ret_error);
    if (err == MR_OK)
        err = mr_staging_list(service->staging, folder, import_file, &pass, ret_error);
    if (err == MR_ENOTFOUND)
        err = MR_OK; /* it never had a file */
    if (err == MR_OK)
        err = pass.err;
    if (err == MR_OK && newer)
        err = close_missing(&pass, ret_error);
    expected_file *expected;
    for (size_t at = 0; (expected = mr_name_map_next(&pass.expected, &at)) != NULL;)
        free(expected);
    mr_name_map_fini(&pass.expected);
    return err;
}
