/* schedule_views.c - schedules and their next times, for people. */
#include "coordinator/cron_words.h"
#include "coordinator/service_internal.h"

static json_t *next_times(const mr_schedule *schedule, int64_t after_ms, size_t count)
{
    json_t *next = json_array();
    for (size_t i = 0; i < count && (after_ms = mr_schedule_next(schedule, after_ms)) != 0; i++)
        json_array_append_new(next, mr_json_time(after_ms));
    return next;
}

static const char *catchup_name(mr_catchup catchup)
{
    static const char *const names[] = {"latest", "none", "all"};
    return names[catchup];
}

static const char *policy_name(mr_concurrency concurrency)
{
    static const char *const names[] = {"forbid", "allow", "replace"};
    return names[concurrency];
}

mr_err mr_service_show_schedule(mr_service *service, const char *tenant, size_t count, json_t **ret_view,
                                mr_error *ret_error)
{
    mr_tenant row;
    const mr_tenant_spec *spec;
    mr_schedule schedule;
    char active[40] = "", words[MR_CRON_WORDS_BYTES] = "";
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err == MR_OK)
        err = mr_load_spec(service, row.uid, row.version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    mr_db_text(service->db, active, sizeof active,
               "SELECT run_id FROM runs WHERE uid = ? AND state IN " SQL_ACTIVE " LIMIT 1", "t", row.uid);
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        return err;
    /* Without its zone the note says why there are no times. */
    bool known = mr_schedule_open(service, row.schedule, row.time_zone, &schedule, NULL) == MR_OK;
    json_t *next = known && !row.suspended ? next_times(&schedule, service->now_ms, count) : json_array();
    int64_t first_ms = known && !row.suspended ? mr_schedule_next(&schedule, service->now_ms) : 0;
    if (known)
        mr_cron_words(&schedule.cron, row.time_zone, words);
    int64_t deadline = spec->agreement->starting_deadline_seconds;
    *ret_view = json_pack(
        "{s:s, s:s, s:s, s:o, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "tenant", row.tenant, "schedule",
        row.schedule, "time_zone", row.time_zone, "words", mr_json_text(words), "suspended", row.suspended,
        "catchup", catchup_name(spec->agreement->catchup), "concurrency_policy",
        policy_name(spec->agreement->concurrency), "starting_deadline_seconds",
        deadline > 0 ? json_integer(deadline) : json_null(), "next", next, "next_in_seconds",
        first_ms > 0 ? json_integer((first_ms - service->now_ms + 999) / 1000) : json_null(), "last_due",
        mr_json_time(row.last_due_ms), "active_run", mr_json_text(active), "note",
        mr_json_text(row.schedule_note));
    return MR_OK;
}

mr_err mr_service_preview_schedule(mr_service *service, const char *text, const char *time_zone,
                                   int64_t from_ms, size_t count, json_t **ret_view, mr_error *ret_error)
{
    mr_schedule schedule;
    char words[MR_CRON_WORDS_BYTES];
    mr_err err = mr_schedule_open(service, text, time_zone, &schedule, ret_error);
    if (err != MR_OK)
        return err;
    mr_cron_words(&schedule.cron, time_zone, words);
    *ret_view = json_pack("{s:s, s:s, s:s, s:o}", "schedule", text, "time_zone", time_zone, "words", words,
                          "next", next_times(&schedule, from_ms != 0 ? from_ms : service->now_ms, count));
    return MR_OK;
}
