/* rest_runs.c - runs of a tenant: ask for one, look at it, and end it in one of three ways. */
#include "coordinator/rest_handlers.h"

#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_RUNS = 100, MAX_RUNS = 10000 };

void mr_handle_run_now(mr_request *request)
{
    bool ok = true;
    const char *key = mr_request_key(request, &ok);
    if (!ok)
        return;
    json_t *answer = NULL;
    mr_error error;
    const mr_err err = mr_service_run_now(request->service, key, request->tenant, &answer, &error);
    mr_request_view(request, 202, err, answer, &error);
}

static void list_runs(mr_request *request, const char *tenant)
{
    bool ok = true;
    const int64_t limit = mr_request_number(request, "limit", 1, MAX_RUNS, DEFAULT_RUNS, &ok);
    if (!ok)
        return;
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_list_runs(request->service, tenant, limit, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_list_runs(mr_request *request)
{
    list_runs(request, request->tenant);
}

void mr_handle_list_all_runs(mr_request *request)
{
    list_runs(request, NULL);
}

void mr_handle_show_run(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err =
        mr_service_show_run(request->service, request->tenant, request->match.parameters[1], &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

typedef mr_err (*run_action)(mr_service *service, const char *key, const char *tenant, const char *run,
                             json_t **ret_answer, mr_error *ret_error);

static void act(mr_request *request, run_action action)
{
    bool ok = true;
    const char *key = mr_request_key(request, &ok);
    if (!ok)
        return;
    json_t *answer = NULL;
    mr_error error;
    const mr_err err =
        action(request->service, key, request->tenant, request->match.parameters[1], &answer, &error);
    mr_request_view(request, 202, err, answer, &error);
}

void mr_handle_cancel_run(mr_request *request)
{
    act(request, mr_service_cancel_run);
}

void mr_handle_retry_run(mr_request *request)
{
    act(request, mr_service_retry_run);
}

void mr_handle_abandon_run(mr_request *request)
{
    act(request, mr_service_abandon_run);
}

void mr_handle_replay(mr_request *request)
{
    bool ok = true;
    const char *key = mr_request_key(request, &ok);
    const bool force = ok && mr_request_flag(request, "force", &ok);
    if (!ok)
        return;
    json_t *answer = NULL;
    mr_error error;
    const mr_err err =
        mr_service_replay(request->service, key, request->tenant, mr_request_query(request, "dataset"),
                          mr_request_query(request, "run"), force, &answer, &error);
    mr_request_view(request, 202, err, answer, &error);
}

void mr_handle_run_log(mr_request *request)
{
    int fd = -1;
    mr_error error;
    struct stat status;
    if (mr_service_open_run_log(request->service, request->tenant, request->match.parameters[1], &fd,
                                &error) != MR_OK) {
        mr_request_fail(request, &error);
        return;
    }
    if (fstat(fd, &status) != 0) {
        close(fd);
        mr_request_error(request, 500, "the log cannot be read");
        return;
    }
    struct MHD_Response *response = MHD_create_response_from_fd((size_t)status.st_size, fd);
    if (response == NULL)
        close(fd);
    else
        (void)MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    mr_request_respond(request, 200, response);
}
