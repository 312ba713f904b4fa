/* rest_schedules.c - when tenants are due, and what people do about it. */
#include "coordinator/rest_handlers.h"

enum { MAX_NEXT_TIMES = 1000, MAX_TEXT_BYTES = 256 };

void mr_handle_show_schedule(mr_request *request)
{
    json_t *view = NULL;
    mr_error error;
    const mr_err err =
        mr_service_show_schedule(request->service, request->tenant, MR_NEXT_TIMES, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_list_schedules(mr_request *request)
{
    json_t *tenants = NULL, *list = json_array(), *tenant;
    mr_error error;
    mr_err err = mr_service_list_tenants(request->service, &tenants, &error);
    size_t i;
    json_array_foreach(tenants, i, tenant)
    {
        json_t *schedule = NULL;
        err = mr_service_show_schedule(request->service, json_string_value(json_object_get(tenant, "tenant")),
                                       MR_NEXT_TIMES, &schedule, &error);
        if (err != MR_OK)
            break;
        json_array_append_new(list, schedule);
    }
    json_decref(tenants);
    if (err != MR_OK)
        json_decref(list);
    mr_request_view(request, 200, err, list, &error);
}

/* Neither schedules nor zones have more, so that messages may repeat them. */
static bool is_short_ascii(const char *text)
{
    size_t size = 0;
    for (; text[size] != '\0'; size++)
        if (text[size] < ' ' || text[size] > '~' || size == MAX_TEXT_BYTES)
            return false;
    return true;
}

void mr_handle_preview_schedule(mr_request *request)
{
    bool ok = true;
    const int64_t from_ms = mr_request_time(request, "from", &ok);
    const int64_t count = ok ? mr_request_number(request, "count", 1, MAX_NEXT_TIMES, MR_NEXT_TIMES, &ok) : 0;
    const char *schedule = mr_request_query(request, "schedule");
    const char *time_zone = mr_request_query(request, "time_zone");
    if (!ok)
        return;
    if ((schedule != NULL && !is_short_ascii(schedule)) ||
        (time_zone != NULL && !is_short_ascii(time_zone))) {
        mr_request_error(request, 400,
                         "query arguments \"schedule\" and \"time_zone\": at most %d bytes of ASCII",
                         MAX_TEXT_BYTES);
        return;
    }
    if (schedule == NULL) {
        mr_request_error(request, 400, "query argument \"schedule\" is missing: five fields of cron");
        return;
    }
    json_t *view = NULL;
    mr_error error;
    const mr_err err =
        mr_service_preview_schedule(request->service, schedule, time_zone != NULL ? time_zone : "UTC",
                                    from_ms, (size_t)count, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

static void suspend(mr_request *request, bool wanted)
{
    bool ok = true;
    const char *key = mr_request_key(request, &ok);
    if (!ok)
        return;
    json_t *answer = NULL;
    mr_error error;
    const mr_err err =
        mr_service_suspend_schedule(request->service, key, request->tenant, wanted, &answer, &error);
    mr_request_view(request, 200, err, answer, &error);
}

void mr_handle_suspend_schedule(mr_request *request)
{
    suspend(request, true);
}

void mr_handle_resume_schedule(mr_request *request)
{
    suspend(request, false);
}

void mr_handle_backfill(mr_request *request)
{
    bool ok = true;
    const int64_t from_ms = mr_request_time(request, "from", &ok);
    const int64_t to_ms = ok ? mr_request_time(request, "to", &ok) : 0;
    const bool dry_run = ok && mr_request_flag(request, "dry_run", &ok);
    const char *key = ok ? mr_request_key(request, &ok) : NULL;
    if (!ok)
        return;
    if (from_ms == 0 || to_ms == 0) {
        mr_request_error(request, 400, "query arguments \"from\" and \"to\" are needed: times in UTC");
        return;
    }
    json_t *answer = NULL;
    mr_error error;
    const mr_err err =
        mr_service_backfill(request->service, key, request->tenant, from_ms, to_ms, dry_run, &answer, &error);
    mr_request_view(request, dry_run ? 200 : 202, err, answer, &error);
}
