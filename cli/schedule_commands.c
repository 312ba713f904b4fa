/* schedule_commands.c - when tenants are due, and what can be done about it. */
#include "cli/commands.h"

#include <stdio.h>

/* "3 minutes": of the largest unit that is reached. */
static void duration_words(json_int_t seconds, char *out, size_t size)
{
    static const struct {
        json_int_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i + 1 < COUNT(units) && seconds < units[i].seconds)
        i++;
    const json_int_t count = seconds / units[i].seconds;
    snprintf(out, size, "in %" JSON_INTEGER_FORMAT " %s%s", count, units[i].name, count == 1 ? "" : "s");
}

static int show_one(const cli_call *call)
{
    static const column lines[] = {{"tenant", "tenant"},
                                   {"schedule", "schedule"},
                                   {"time zone", "time_zone"},
                                   {"in words", "words"},
                                   {"suspended", "suspended"},
                                   {"next run", "next_in"},
                                   {"next", "next"},
                                   {"last due", "last_due"},
                                   {"active run", "active_run"},
                                   {"catchup", "catchup"},
                                   {"concurrency", "concurrency_policy"},
                                   {"starting deadline s", "starting_deadline_seconds"},
                                   {"note", "note"}};
    json_t *view;
    const int code = call_get(call, client_path("/tenants/%s/schedule", call->arguments[0]), &view);
    if (code != EXIT_DONE)
        return code;
    const json_t *seconds = json_object_get(view, "next_in_seconds");
    char words[60];
    if (!call->json && json_is_integer(seconds)) {
        duration_words(json_integer_value(seconds), words, sizeof words);
        json_object_set_new(view, "next_in", json_string(words));
    }
    return print_object(call, view, lines, COUNT(lines));
}

int schedule_show(const cli_call *call)
{
    static const column columns[] = {{"TENANT", "tenant"},
                                     {"SCHEDULE", "schedule"},
                                     {"IN WORDS", "words"},
                                     {"SUSPENDED", "suspended"},
                                     {"NEXT", "next"}};
    if (call->count == 1)
        return show_one(call);
    json_t *view;
    const int code = call_get(call, client_path("/schedules"), &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

int schedule_next(const cli_call *call)
{
    static const column lines[] = {
        {"schedule", "schedule"}, {"time zone", "time_zone"}, {"in words", "words"}, {"next", "next"}};
    char *path = client_query(client_path("/schedules/next"), "schedule", call->arguments[0]);
    path = client_query(path, "time_zone", call_option(call, "--time-zone"));
    path = client_query(path, "from", call_option(call, "--from"));
    path = client_query(path, "count", call_option(call, "--count"));
    json_t *view;
    const int code = call_get(call, path, &view);
    return code == EXIT_DONE ? print_object(call, view, lines, COUNT(lines)) : code;
}

static int suspend(const cli_call *call, const char *what)
{
    json_t *answer;
    const int code =
        call_post(call, client_path("/tenants/%s/schedule/%s", call->arguments[0], what), NULL, &answer);
    if (code != EXIT_DONE)
        return code;
    const bool suspended = json_is_true(json_object_get(answer, "suspended"));
    const json_int_t missed = json_integer_value(json_object_get(answer, "missed"));
    if (call->json)
        print_json(answer);
    else if (suspended)
        printf("tenant %s: the schedule is suspended\n", call->arguments[0]);
    else
        printf("tenant %s: the schedule goes on; %" JSON_INTEGER_FORMAT " due time%s missed\n",
               call->arguments[0], missed, missed == 1 ? " was" : "s were");
    json_decref(answer);
    return EXIT_DONE;
}

int schedule_suspend(const cli_call *call)
{
    return suspend(call, "suspend");
}

int schedule_resume(const cli_call *call)
{
    return suspend(call, "resume");
}

int schedule_backfill(const cli_call *call)
{
    static const column columns[] = {{"RUN", "run_id"}, {"DUE", "due"}};
    char *path = client_path("/tenants/%s/schedule/backfill", call->arguments[0]);
    path = client_query(path, "from", call_option(call, "--from"));
    path = client_query(path, "to", call_option(call, "--to"));
    path = client_query(path, "dry_run", call_option(call, "--dry-run") == NULL ? NULL : "true");
    json_t *answer;
    const int code = call_post(call, path, NULL, &answer);
    if (code != EXIT_DONE)
        return code;
    if (call->json)
        print_json(answer);
    else
        print_table(json_object_get(answer, "runs"), columns, COUNT(columns));
    json_decref(answer);
    return EXIT_DONE;
}
