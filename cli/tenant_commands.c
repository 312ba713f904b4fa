/* tenant_commands.c - tenants: from a folder to the coordinator, and back as a view. */
#include "cli/commands.h"
#include "cli/program_tar.h"
#include "core/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DOCUMENT_BYTES = 4 * 1024 * 1024, MAX_DATASETS = 100 };

/* What is in DIR; all owned. */
typedef struct tenant_folder {
    char *client;
    char *agreement; /* paths */
    char *datasets[MAX_DATASETS];
    size_t dataset_count;
    FILE *program; /* a tar, or NULL */
} tenant_folder;

static void tenant_folder_fini(tenant_folder *folder)
{
    free(folder->client);
    free(folder->agreement);
    for (size_t i = 0; i < folder->dataset_count; i++)
        free(folder->datasets[i]);
    if (folder->program != NULL)
        fclose(folder->program);
}

static char *join(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}

static bool exists(const char *path, mode_t type)
{
    struct stat status;
    return stat(path, &status) == 0 && (status.st_mode & S_IFMT) == type;
}

static mr_err read_file(const char *path, mr_buf *text, mr_error *ret_error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return mr_fail_errno(ret_error, errno, "%s", path);
    mr_err err = MR_OK;
    size_t count = 1;
    while (err == MR_OK && count > 0) {
        err = mr_buf_reserve(text, 64 * 1024);
        if (err == MR_OK && (count = fread(text->data + text->size, 1, 64 * 1024, file)) > 0)
            text->size += count;
        if (text->size > MAX_DOCUMENT_BYTES)
            err = mr_fail(ret_error, MR_ETOOLARGE, "%s: larger than 4 MiB", path);
    }
    if (err == MR_OK && ferror(file))
        err = mr_fail_errno(ret_error, errno, "%s", path);
    fclose(file);
    return err;
}

/* The coordinator is asked by the tenant's id, so that much of the agreement is read here. */
static mr_err read_client(tenant_folder *folder, mr_error *ret_error)
{
    mr_buf text = {0};
    json_t *agreement = NULL;
    const char *id = NULL;
    mr_err err = read_file(folder->agreement, &text, ret_error);
    if (err == MR_OK)
        err = mr_json_load(mr_buf_slice(&text), folder->agreement, 0, &agreement, ret_error);
    if (err == MR_OK) {
        id = json_string_value(json_object_get(agreement, "client"));
        if (id == NULL || *id == '\0')
            err = mr_fail(ret_error, MR_EINVALID, "%s: field \"client\": is missing", folder->agreement);
    }
    if (err == MR_OK && (folder->client = strdup(id)) == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    json_decref(agreement);
    mr_buf_fini(&text);
    return err;
}

static int only_json(const struct dirent *entry)
{
    const size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0;
}

static mr_err find_datasets(tenant_folder *folder, const char *dir, mr_error *ret_error)
{
    char *single = join(dir, "dataset.json"), *many = join(dir, "datasets");
    if (exists(single, S_IFREG))
        folder->datasets[folder->dataset_count++] = strdup(single);
    struct dirent **found = NULL;
    const int count = exists(many, S_IFDIR) ? scandir(many, &found, only_json, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        if (folder->dataset_count < MAX_DATASETS)
            folder->datasets[folder->dataset_count++] = join(many, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    free(single);
    free(many);
    if (folder->dataset_count == 0)
        return mr_fail(ret_error, MR_ENOTFOUND, "%s: neither dataset.json nor datasets/*.json is there", dir);
    return MR_OK;
}

static mr_err read_folder(const char *dir, tenant_folder *folder, mr_error *ret_error)
{
    folder->agreement = join(dir, "agreement.json");
    mr_err err = read_client(folder, ret_error);
    if (err == MR_OK)
        err = find_datasets(folder, dir, ret_error);
    char *program = join(dir, "program");
    if (err == MR_OK && exists(program, S_IFDIR))
        err = program_tar(program, &folder->program, ret_error);
    free(program);
    return err;
}

static void add_file(curl_mime *form, const char *field, const char *path)
{
    curl_mimepart *part = curl_mime_addpart(form);
    curl_mime_name(part, field);
    curl_mime_filedata(part, path);
    curl_mime_type(part, "application/json");
}

static size_t read_tar(char *to, size_t one, size_t size, void *tar)
{
    return fread(to, one, size, tar);
}

static int seek_tar(void *tar, curl_off_t offset, int origin)
{
    return fseek(tar, (long)offset, origin) == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static curl_mime *form_of(client *http, void *arg)
{
    const tenant_folder *folder = arg;
    curl_mime *form = client_form(http);
    add_file(form, "agreement", folder->agreement);
    for (size_t i = 0; i < folder->dataset_count; i++)
        add_file(form, "dataset", folder->datasets[i]);
    if (folder->program == NULL)
        return form;
    struct stat status;
    curl_mimepart *part = curl_mime_addpart(form);
    curl_mime_name(part, "program");
    curl_mime_filename(part, "program.tar");
    curl_mime_type(part, "application/x-tar");
    rewind(folder->program);
    if (fstat(fileno(folder->program), &status) == 0)
        curl_mime_data_cb(part, status.st_size, read_tar, seek_tar, NULL, folder->program);
    return form;
}

static int submit(const cli_call *call, tenant_folder *folder, bool dry_run, json_t **ret_answer)
{
    char *path = client_path("/tenants/%s", folder->client);
    path = client_query(path, "strict", call_option(call, "--strict") == NULL ? NULL : "true");
    path = client_query(path, "dry_run", dry_run ? "true" : NULL);
    const http_request request = {
        .method = "PUT", .path = path, .form = form_of, .form_arg = folder, .keyed = true};
    const int code = client_send(call->client, &request, ret_answer);
    free(path);
    return code == EXIT_DONE ? code : call_failed(call, code);
}

static void tell_applied(const tenant_folder *folder, const json_t *answer)
{
    const char *program = json_string_value(json_object_get(json_object_get(answer, "program"), "sha256"));
    char *next = cell_text(json_object_get(answer, "next_run"));
    printf("tenant %s: %zu dataset%s, %s%.12s, next run %s\n", folder->client, folder->dataset_count,
           folder->dataset_count == 1 ? "" : "s", program == NULL ? "no program folder" : "program ",
           program == NULL ? "" : program, next == NULL || *next == '\0' ? "not scheduled" : next);
    free(next);
}

static void tell_valid(const tenant_folder *folder, const json_t *schedule)
{
    char *next = cell_text(json_object_get(schedule, "next"));
    printf("tenant %s: valid\ndue %s: %s\n", folder->client,
           json_string_value(json_object_get(schedule, "words")), next == NULL ? "" : next);
    free(next);
}

static int apply(const cli_call *call, bool dry_run)
{
    tenant_folder folder = {.client = NULL};
    mr_error error;
    json_t *answer = NULL;
    int code = EXIT_DONE;
    if (read_folder(call->arguments[0], &folder, &error) != MR_OK) {
        fprintf(stderr, "millrace: %s\n", error.text);
        code = EXIT_FAILED;
    }
    if (code == EXIT_DONE)
        code = submit(call, &folder, dry_run, &answer);
    if (code == EXIT_DONE) {
        print_warnings(answer);
        if (call->json)
            print_json(answer);
        else if (dry_run)
            tell_valid(&folder, json_object_get(answer, "schedule"));
        else
            tell_applied(&folder, answer);
    }
    json_decref(answer);
    tenant_folder_fini(&folder);
    return code;
}

int tenant_apply(const cli_call *call)
{
    return apply(call, false);
}

int tenant_validate(const cli_call *call)
{
    return apply(call, true);
}

int tenant_show(const cli_call *call)
{
    static const column lines[] = {
        {"tenant", "tenant"},         {"state", "state"},      {"schedule", "schedule"},
        {"version", "version"},       {"datasets", "names"},   {"program", "program_hash"},
        {"command", "command"},       {"sinks", "sink_names"}, {"next run", "next_run"},
        {"active run", "active_run"}, {"warnings", "warnings"}};
    json_t *view;
    const int code = call_get(call, client_path("/tenants/%s", call->arguments[0]), &view);
    if (code != EXIT_DONE)
        return code;
    if (!call->json) { /* flat lines for people */
        json_t *names = json_array(), *sinks = json_array(), *element;
        size_t i;
        json_array_foreach(json_object_get(view, "datasets"), i, element)
            json_array_append(names, json_object_get(element, "name"));
        json_array_foreach(json_object_get(view, "sinks"), i, element) json_array_append_new(
            sinks, json_sprintf("%s (%s)", json_string_value(json_object_get(element, "name")),
                                json_string_value(json_object_get(element, "class"))));
        const json_t *program = json_object_get(view, "program");
        json_object_set(view, "schedule", json_object_get(json_object_get(view, "agreement"), "schedule"));
        json_object_set_new(view, "names", names);
        json_object_set_new(view, "sink_names", sinks);
        json_object_set(view, "program_hash", json_object_get(program, "sha256"));
        json_object_set(view, "command", json_object_get(program, "command"));
    }
    return print_object(call, view, lines, COUNT(lines));
}

int tenant_list(const cli_call *call)
{
    static const column columns[] = {{"TENANT", "tenant"},     {"STATE", "state"},
                                     {"DATASETS", "datasets"}, {"SCHEDULE", "schedule"},
                                     {"NEXT RUN", "next_run"}, {"ACTIVE RUN", "active_run"}};
    json_t *view;
    const int code = call_get(call, client_path("/tenants"), &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

int tenant_delete(const cli_call *call)
{
    char *path = client_path("/tenants/%s", call->arguments[0]);
    json_t *answer;
    const int code = call_delete(
        call, client_query(path, "purge", call_option(call, "--purge") == NULL ? NULL : "true"), &answer);
    if (code != EXIT_DONE)
        return code;
    static const column lines[] = {{"tenant", "tenant"}, {"state", "state"}};
    return print_object(call, answer, lines, COUNT(lines));
}
