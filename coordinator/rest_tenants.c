/* rest_tenants.c - tenants and their files, as views. */
#include "coordinator/rest_handlers.h"

#include <errno.h>
#include <stdlib.h>

enum { DEFAULT_FILES = 1000, MAX_FILES = 100000, MAX_IDS = 1000 };

void mr_handle_list_tenants(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_list_tenants(request->service, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_show_tenant(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_show_tenant(request->service, request->tenant, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_delete_tenant(mr_request *request)
{
    bool ok = true;
    const bool purge = mr_request_flag(request, "purge", &ok);
    const char *key = mr_request_key(request, &ok);
    if (!ok)
        return;
    json_t *answer = NULL;
    mr_error error;
    const mr_err err =
        mr_service_delete_tenant(request->service, key, request->tenant, purge, &answer, &error);
    mr_request_view(request, 202, err, answer, &error);
}

/* Of each file only the named members. */
static json_t *only(json_t *files, const char *const *names)
{
    json_t *list = json_array(), *file;
    size_t i;
    json_array_foreach(files, i, file)
    {
        json_t *line = json_object();
        for (const char *const *name = names; *name != NULL; name++)
            json_object_set(line, *name, json_object_get(file, *name));
        json_array_append_new(list, line);
    }
    json_decref(files);
    return list;
}

/* GET /tenant/{tenant_id}: what lies in the tenant's input folder and waits for a run. */
void mr_handle_waiting_files(mr_request *request)
{
    static const char *const names[] = {"name", "dataset", "size_bytes", "uploaded_at", NULL};
    json_t *view = NULL;
    mr_error error;
    const mr_err err =
        mr_service_list_uploads(request->service, request->tenant, "ready", MAX_FILES, &view, &error);
    if (err == MR_OK)
        view = json_pack("{s:s, s:o}", "tenant", request->tenant, "files", only(view, names));
    mr_request_view(request, 200, err, view, &error);
}

/* "1,2,3" into numbers; answers 400 and gives false when it is something else. */
static bool read_ids(mr_request *request, const char *text, int64_t *ids, size_t *ret_count)
{
    size_t count = 0;
    for (bool more = true; more;) {
        char *end;
        errno = 0;
        const int64_t id = strtoll(text, &end, 10);
        more = *end == ',';
        if (errno != 0 || end == text || id < 1 || (*end != '\0' && !more) || count == MAX_IDS) {
            mr_request_error(request, 400,
                             "query argument \"ids\": up to %d numbers of uploads are expected, as 1,2,3",
                             MAX_IDS);
            return false;
        }
        ids[count++] = id;
        text = end + 1;
    }
    *ret_count = count;
    return true;
}

static void show_files(mr_request *request, const char *text)
{
    int64_t ids[MAX_IDS];
    size_t count;
    if (!read_ids(request, text, ids, &count))
        return;
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_show_uploads(request->service, request->tenant, ids, count, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

static bool is_file_state(const char *text)
{
    static const char *const states[] = {"ready", "claimed", "done", "failed", "abandoned"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], text) == 0)
            return true;
    return false;
}

void mr_handle_list_files(mr_request *request)
{
    const char *ids = mr_request_query(request, "ids");
    if (ids != NULL) {
        show_files(request, ids);
        return;
    }
    bool ok = true;
    const int64_t limit = mr_request_number(request, "limit", 1, MAX_FILES, DEFAULT_FILES, &ok);
    const char *state = mr_request_query(request, "state");
    if (ok && state != NULL && !is_file_state(state)) {
        mr_request_error(
            request, 400,
            "query argument \"state\": ready, claimed, done, failed or abandoned is expected, not \"%.40s\"",
            state);
        return;
    }
    if (!ok)
        return;
    json_t *view = NULL;
    mr_error error;
    const mr_err err =
        mr_service_list_uploads(request->service, request->tenant, state, limit, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}
