/* file_commands.c - files on their way in. */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static curl_mime *form_of(client *http, void *file)
{
    curl_mime *form = client_form(http);
    curl_mimepart *part = curl_mime_addpart(form);
    curl_mime_name(part, "file");
    curl_mime_filedata(part, file);
    curl_mime_type(part, "application/octet-stream");
    return form;
}

static int upload_one(const cli_call *call, const char *file, json_t **ret_answer)
{
    struct stat status;
    if (stat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        fprintf(stderr, "millrace: %s: %s\n", file, errno != 0 ? strerror(errno) : "is not a file");
        return EXIT_FAILED;
    }
    char *path = client_path("/upload-file/%s", call->arguments[0]);
    path = client_query(path, "dataset", call_option(call, "--dataset"));
    const http_request request = {.method = "POST",
                                  .path = path,
                                  .form = form_of,
                                  .form_arg = (void *)file,
                                  .keyed = true,
                                  .progress = base_name(file)};
    const int code = client_send(call->client, &request, ret_answer);
    if (code != EXIT_DONE)
        fprintf(stderr, "millrace: %s: %s\n", file, client_problem(call->client));
    free(path);
    return code;
}

int upload(const cli_call *call)
{
    static const column columns[] = {{"FILE", "file"},
                                     {"DATASET", "dataset"},
                                     {"BYTES", "size_bytes"},
                                     {"STATE", "state"},
                                     {"UPLOAD", "upload"}};
    json_t *answers = json_array();
    int result = EXIT_DONE;
    for (int i = 1; i < call->count; i++) {
        json_t *answer = NULL;
        errno = 0;
        const int code = upload_one(call, call->arguments[i], &answer);
        if (code == EXIT_DONE)
            json_array_append_new(answers, answer);
        if (result == EXIT_DONE)
            result = code;
        if (code == EXIT_UNREACHABLE)
            break;
    }
    if (json_array_size(answers) > 0)
        return print_list(call, answers, columns, COUNT(columns)) == EXIT_DONE ? result : EXIT_FAILED;
    json_decref(answers);
    return result;
}

int files(const cli_call *call)
{
    static const column columns[] = {{"UPLOAD", "upload_id"},    {"FILE", "name"},   {"DATASET", "dataset"},
                                     {"BYTES", "size_bytes"},    {"STATE", "state"}, {"RUN", "run_id"},
                                     {"UPLOADED", "uploaded_at"}};
    char *path = client_path("/tenants/%s/files", call->arguments[0]);
    path = client_query(path, "state", call_option(call, "--state"));
    path = client_query(path, "limit", call_option(call, "--limit"));
    json_t *view;
    const int code = call_get(call, path, &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}
