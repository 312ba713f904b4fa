/* uploads.c - files on their way from incoming/ to in/.
 *
 * receiving (durable, the file lies complete in incoming/) -> renamed to in/{name} -> ready. A start finds
 * what was cut off: the file is in incoming/ (rename it), in in/ (it is ready), or nowhere (drop the record).
 * What lies in incoming/ without a record was never acknowledged and is removed.
 */
#include "coordinator/records.h"
#include "core/text_value.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_UPLOAD                                                                                           \
    "SELECT u.upload_id, u.tenant, u.dataset, u.name, u.size_bytes, u.sha256, u.state, u.uploaded_ms, "      \
    "r.run_id"                                                                                               \
    " FROM uploads u LEFT JOIN runs r ON r.run_uid = u.run_uid "

static json_t *upload_view(mr_query *query)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o}", "upload_id",
                     (json_int_t)mr_query_int(query, 0), "tenant", mr_query_text(query, 1), "dataset",
                     mr_query_text(query, 2), "name", mr_query_text(query, 3), "size_bytes",
                     (json_int_t)mr_query_int(query, 4), "sha256", mr_query_text(query, 5), "state",
                     mr_query_text(query, 6), "uploaded_at", mr_json_time(mr_query_int(query, 7)), "run_id",
                     mr_json_text(mr_query_text(query, 8)));
}

json_t *mr_upload_answer(mr_db *db, int64_t upload_id)
{
    json_t *answer = NULL;
    mr_query *query = mr_db_select(db, SQL_UPLOAD "WHERE u.upload_id = ?", "i", upload_id);
    if (mr_query_next(query)) {
        answer = upload_view(query);
        mr_query_end(query);
    }
    return answer;
}

enum { MAX_NAME_BYTES = 200 };

/* Where the text stops being UTF-8, or its size. */
static size_t valid_utf8(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = 1;
        while (length <= 4 && at + length <= size && !mr_utf8_valid((mr_slice){text + at, length}))
            length++;
        if (length > 4 || at + length > size)
            return at;
        at += length;
    }
    return size;
}

/* Names become names of files, of columns in logs and of arguments: no path, no control character, no dot
 * first. */
static mr_err check_file_name(const char *name, mr_error *ret_error)
{
    const size_t size = strlen(name);
    if (size == 0 || size > MAX_NAME_BYTES)
        return mr_fail(ret_error, MR_EINVALID, "file name: it has %zu bytes, not 1 to %d", size,
                       MAX_NAME_BYTES);
    if (name[0] == '.')
        return mr_fail(ret_error, MR_EINVALID, "file name \"%s\": it begins with a dot", name);
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f)
            return mr_fail(ret_error, MR_EINVALID, "file name: byte %zu is a control character (0x%02x)",
                           i + 1, c);
        if (c == '/' || c == '\\')
            return mr_fail(ret_error, MR_EINVALID,
                           "file name \"%s\": byte %zu is a %c; send the name without a path", name, i + 1,
                           c);
    }
    const size_t valid = valid_utf8(name, size);
    return valid == size ? MR_OK
                         : mr_fail(ret_error, MR_EINVALID, "file name: byte %zu (0x%02x) is not valid UTF-8",
                                   valid + 1, (unsigned char)name[valid]);
}

mr_err mr_service_begin_upload(mr_service *service, const char *key, const mr_upload_begin *begin,
                               mr_upload *ret_upload, json_t **ret_answer, mr_error *ret_error)
{
    mr_tenant tenant;
    const mr_tenant_spec *spec;
    const mr_dataset *dataset;
    char own[300];
    *ret_answer = NULL;
    mr_err err = mr_find_tenant(service, begin->tenant, &tenant, ret_error);
    if (err == MR_OK)
        err = check_file_name(begin->file_name, ret_error);
    if (err != MR_OK)
        return err;
    if (key != NULL) {
        snprintf(own, sizeof own, "%s:%s", begin->tenant, key);
        err = mr_state_answer(service->state, "upload", own, ret_answer, ret_error);
        if (err != MR_OK || *ret_answer != NULL)
            return err;
    }
    if (strcmp(tenant.state, "ACTIVE") != 0)
        return mr_fail(ret_error, MR_EREFUSED, "tenant %s is being deleted", tenant.tenant);
    err = mr_load_spec(service, tenant.uid, tenant.version, &spec, ret_error);
    if (err == MR_OK)
        err = mr_tenant_spec_dataset_for(spec, begin->file_name, begin->dataset, &dataset, ret_error);
    if (err != MR_OK)
        return err;
    *ret_upload = (mr_upload){.limit_bytes = dataset->max_file_size_bytes};
    snprintf(ret_upload->tenant, sizeof ret_upload->tenant, "%s", tenant.tenant);
    snprintf(ret_upload->tenant_uid, sizeof ret_upload->tenant_uid, "%s", tenant.uid);
    snprintf(ret_upload->dataset, sizeof ret_upload->dataset, "%s", dataset->name);
    snprintf(ret_upload->file_name, sizeof ret_upload->file_name, "%s", begin->file_name);
    char random[UID_BYTES];
    mr_random_hex(random, sizeof random);
    snprintf(ret_upload->incoming, sizeof ret_upload->incoming, "upload-%s", random);
    return MR_OK;
}

/* --- receiving -> ready --- */

typedef struct receive_upload {
    mr_service *service;
    const mr_upload *upload;
    int64_t size_bytes;
    const char *sha256;
    const char *key;
    int64_t upload_id;
    char name[256];
} receive_upload;

void mr_unique_file_name(mr_db *db, const char *uid, const char *wanted, char *out, size_t size)
{
    const char *dot = strrchr(wanted, '.');
    size_t stem = dot != NULL ? (size_t)(dot - wanted) : strlen(wanted);
    snprintf(out, size, "%s", wanted);
    for (int64_t n = 2;
         mr_db_int(db, 0,
                   "SELECT 1 FROM uploads WHERE uid = ? AND state IN ('receiving','ready','claimed') AND"
                   " name = ?",
                   "tt", uid, out) != 0;
         n++)
        snprintf(out, size, "%.*s-%lld%s", (int)stem, wanted, (long long)n, wanted + stem);
}

static mr_err execute_receiving(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    receive_upload *receive = arg;
    const mr_upload *upload = receive->upload;
    (void)ret_answer;
    if (mr_db_int(db, 0, "SELECT 1 FROM tenants WHERE uid = ? AND state = 'ACTIVE'", "t",
                  upload->tenant_uid) == 0)
        return mr_fail(ret_error, MR_EREFUSED, "tenant %s was deleted meanwhile", upload->tenant);
    mr_unique_file_name(db, upload->tenant_uid, upload->file_name, receive->name, sizeof receive->name);
    mr_db_run(db,
              "INSERT INTO uploads(tenant, uid, dataset, name, incoming, size_bytes, sha256, state, key, "
              "uploaded_ms)"
              " VALUES(?, ?, ?, ?, ?, ?, ?, 'receiving', ?, ?)",
              "tttttitti", upload->tenant, upload->tenant_uid, upload->dataset, receive->name,
              upload->incoming, receive->size_bytes, receive->sha256, receive->key, receive->service->now_ms);
    receive->upload_id = mr_db_last_id(db);
    return MR_OK;
}

static mr_err execute_ready(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const receive_upload *receive = arg;
    (void)ret_error;
    mr_db_run(db, "UPDATE uploads SET state = 'ready' WHERE upload_id = ? AND state = 'receiving'", "i",
              receive->upload_id);
    *ret_answer = mr_upload_answer(db, receive->upload_id);
    mr_audit(db, &(mr_audit_entry){.subject = receive->name, .after = json_incref(*ret_answer)});
    return MR_OK;
}

static mr_err execute_drop(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    const receive_upload *receive = arg;
    (void)ret_answer, (void)ret_error;
    mr_db_run(db, "DELETE FROM uploads WHERE upload_id = ? AND state = 'receiving'", "i", receive->upload_id);
    return MR_OK;
}

/* Repeatable: from the record `receiving` to `ready`. */
static mr_err put_in(mr_service *service, const char *tenant, const char *incoming, receive_upload *receive,
                     json_t **ret_answer, mr_error *ret_error)
{
    char from[128], in[128], to[400];
    snprintf(from, sizeof from, "incoming/%s", incoming);
    snprintf(in, sizeof in, "tenants/%s/in", tenant);
    snprintf(to, sizeof to, "%s/%s", in, receive->name);
    mr_err err = mr_staging_make(service->staging, in, ret_error);
    if (err == MR_OK)
        mr_record_upload(service, from, receive->upload_id);
    if (err == MR_OK)
        err = mr_staging_move(service->staging, from, to, ret_error);
    if (err != MR_OK)
        return err;
    MR_FAULT("upload_renamed");
    err = mr_staging_sync(service->staging, in, ret_error);
    if (err == MR_OK) /* or the rename could be taken back by a power cut */
        err = mr_staging_sync(service->staging, "incoming", ret_error);
    if (err != MR_OK)
        return err;
    return mr_apply(service, "upload", tenant, receive->key, execute_ready, receive, ret_answer, ret_error);
}

/* As if it had never come. */
static mr_err take_back(mr_service *service, const char *tenant, const char *incoming,
                        receive_upload *receive, mr_error *ret_error)
{
    char from[128], to[400];
    snprintf(from, sizeof from, "incoming/%s", incoming);
    snprintf(to, sizeof to, "tenants/%s/in/%s", tenant, receive->name);
    mr_err err = mr_apply(service, "drop_upload", tenant, NULL, execute_drop, receive, NULL, ret_error);
    if (err != MR_OK)
        return err;
    /* Where it is still in incoming/, one of that name in in/ is not ours. */
    return mr_staging_unlink(service->staging, mr_staging_exists(service->staging, from) ? from : to,
                             ret_error);
}

mr_err mr_service_finish_upload(mr_service *service, const char *key, const mr_upload *upload,
                                int64_t size_bytes, const char *sha256, json_t **ret_answer,
                                mr_error *ret_error)
{
    receive_upload receive = {
        .service = service, .upload = upload, .size_bytes = size_bytes, .sha256 = sha256, .key = key};
    char from[128], own[300];
    snprintf(from, sizeof from, "incoming/%s", upload->incoming);
    MR_FAULT("upload_stored_unrecorded");
    *ret_answer = NULL;
    mr_err err = MR_OK;
    if (key != NULL) { /* the same upload may have arrived on another connection meanwhile */
        snprintf(own, sizeof own, "%s:%s", upload->tenant, key);
        err = mr_state_answer(service->state, "upload", own, ret_answer, ret_error);
    }
    if (err == MR_OK && *ret_answer != NULL)
        return mr_staging_unlink(service->staging, from, ret_error);
    /* The name in incoming/ must outlive a crash before the record may speak of it. */
    if (err == MR_OK)
        err = mr_staging_sync(service->staging, "incoming", ret_error);
    if (err == MR_OK)
        err =
            mr_apply(service, "receive", upload->tenant, NULL, execute_receiving, &receive, NULL, ret_error);
    if (err != MR_OK) {
        (void)mr_staging_unlink(service->staging, from, NULL);
        return err;
    }
    MR_FAULT("upload_recorded");
    err = put_in(service, upload->tenant, upload->incoming, &receive, ret_answer, ret_error);
    if (err != MR_OK) {
        /* Not acknowledged: taken back. When that fails too, as where the state's disk is full, later. */
        service->take_back = take_back(service, upload->tenant, upload->incoming, &receive, NULL) != MR_OK;
        return err;
    }
    mr_log(MR_INFO, "file uploaded", MR_STR("tenant", upload->tenant), MR_STR("dataset", upload->dataset),
           MR_STR("file", receive.name), MR_INT("size_bytes", size_bytes));
    return MR_OK;
}

/* --- start --- */

static bool remove_arrival(void *arg, const char *name)
{
    mr_service *service = arg;
    char path[300];
    if (fnmatch("upload-*", name, 0) == 0 && strlen(name) < 200) {
        snprintf(path, sizeof path, "incoming/%s", name);
        (void)mr_staging_unlink(service->staging, path, NULL);
    }
    return true;
}

/* Completes one that was cut off, or takes it back: when its file is gone, when it came again meanwhile under
 * the same key, or when its sender was told that it failed. */
static mr_err recover_one(mr_service *service, bool complete, bool *ret_found, mr_error *ret_error)
{
    receive_upload receive = {.service = service};
    char tenant[64], incoming[64], key[220], own[300];
    json_t *answer = NULL;
    mr_err err = MR_OK;
    mr_query *query = mr_db_select(service->db,
                                   "SELECT upload_id, tenant, incoming, name, key FROM uploads WHERE state ="
                                   " 'receiving' LIMIT 1",
                                   "");
    *ret_found = mr_query_next(query);
    if (!*ret_found)
        return mr_db_take_error(service->db, ret_error);
    receive.upload_id = mr_query_int(query, 0);
    snprintf(tenant, sizeof tenant, "%s", mr_query_text(query, 1));
    snprintf(incoming, sizeof incoming, "%s", mr_query_text(query, 2));
    snprintf(receive.name, sizeof receive.name, "%s", mr_query_text(query, 3));
    snprintf(key, sizeof key, "%s", mr_query_text(query, 4));
    receive.key = key[0] != '\0' ? key : NULL;
    mr_query_end(query);
    snprintf(own, sizeof own, "%s:%s", tenant, key);
    if (receive.key != NULL)
        err = mr_state_answer(service->state, "upload", own, &answer, ret_error);
    bool repeated = answer != NULL;
    json_decref(answer);
    if (err == MR_OK && complete && !repeated)
        err = put_in(service, tenant, incoming, &receive, NULL, ret_error);
    if (err != MR_ENOTFOUND && (err != MR_OK || (complete && !repeated)))
        return err;
    mr_log(MR_WARN,
           err == MR_ENOTFOUND ? "upload dropped: its file is gone"
           : repeated          ? "upload dropped: it came again"
                               : "upload dropped: it had failed",
           MR_STR("tenant", tenant), MR_STR("file", receive.name));
    return take_back(service, tenant, incoming, &receive, ret_error);
}

mr_err mr_take_back_uploads(mr_service *service, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (bool found = true; found && err == MR_OK;)
        err = recover_one(service, false, &found, ret_error);
    service->take_back = err != MR_OK;
    return err;
}

mr_err mr_recover_uploads(mr_service *service, mr_error *ret_error)
{
    bool found = true;
    while (found) {
        mr_err err = recover_one(service, true, &found, ret_error);
        if (err != MR_OK)
            return mr_wrap(ret_error, err, "completing uploads");
    }
    return mr_staging_list(service->staging, "incoming", remove_arrival, service, ret_error);
}

/* --- views --- */

mr_err mr_service_list_uploads(mr_service *service, const char *tenant, const char *state, int64_t limit,
                               json_t **ret_view, mr_error *ret_error)
{
    mr_tenant row;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err != MR_OK)
        return err;
    json_t *view = json_array();
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT * FROM (" SQL_UPLOAD "WHERE u.uid = ? AND (u.state = ? OR (? IS NULL AND"
                     " u.state <> 'receiving')) ORDER BY u.upload_id DESC LIMIT ?)"
                     " ORDER BY upload_id",
                     "ttti", row.uid, state, state, limit);
    while (mr_query_next(query))
        json_array_append_new(view, upload_view(query));
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}

mr_err mr_service_show_uploads(mr_service *service, const char *tenant, const int64_t *ids, size_t count,
                               json_t **ret_view, mr_error *ret_error)
{
    mr_tenant row;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err != MR_OK)
        return err;
    if (count > 1000)
        return mr_fail(ret_error, MR_ETOOLARGE, "at most 1,000 files at once");
    json_t *view = json_array();
    for (size_t i = 0; i < count; i++) {
        mr_query *query = mr_db_select(service->db, SQL_UPLOAD "WHERE u.upload_id = ? AND u.uid = ?", "it",
                                       ids[i], row.uid);
        if (mr_query_next(query)) {
            json_array_append_new(view, upload_view(query));
            mr_query_end(query);
        }
    }
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}
