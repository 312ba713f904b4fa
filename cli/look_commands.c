/* look_commands.c - looking on: workers, the ledger, health. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int worker_list(const cli_call *call)
{
    static const column columns[] = {{"WORKER", "worker"},
                                     {"STATE", "state"},
                                     {"TASKS", "tasks"},
                                     {"CPU MILLIS", "cpu_millis"},
                                     {"MEMORY BYTES", "memory_bytes"},
                                     {"LAST REPORT MS", "last_report_ms_ago"},
                                     {"SINCE", "since"},
                                     {"VERSION", "version"}};
    json_t *view;
    const int code = call_get(call, client_path("/workers"), &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

int ledger(const cli_call *call)
{
    static const column columns[] = {{"TENANT", "tenant"},
                                     {"DATASET", "dataset"},
                                     {"SINK", "sink"},
                                     {"RUN", "run"},
                                     {"READ", "read"},
                                     {"FILTERED", "filtered"},
                                     {"REJ. SOURCE", "rejected_source"},
                                     {"PRODUCED", "produced"},
                                     {"DELIVERED", "delivered"},
                                     {"REJ. SINK", "rejected_sink"},
                                     {"ABANDONED", "abandoned"},
                                     {"IN FLIGHT", "in_flight"}};
    char *path =
        call->count == 0 ? client_path("/ledger") : client_path("/tenants/%s/ledger", call->arguments[0]);
    path = client_query(path, "run", call_option(call, "--run"));
    path = client_query(path, "dataset", call_option(call, "--dataset"));
    path = client_query(path, "limit", call_option(call, "--limit"));
    json_t *view;
    const int code = call_get(call, path, &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

/* {"RUNNING":2,"STALLED":1} as "2 running, 1 stalled"; "none" when all are 0. */
static void print_counts(const char *title, json_t *counts)
{
    const char *name;
    json_t *count;
    bool first = true;
    printf("%-10s", title);
    json_object_foreach(counts, name, count)
    {
        if (json_integer_value(count) == 0)
            continue;
        printf("%s%" JSON_INTEGER_FORMAT " ", first ? "" : ", ", json_integer_value(count));
        for (const char *c = name; *c != '\0'; c++)
            putchar(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        first = false;
    }
    puts(first ? "none" : "");
}

int status(const cli_call *call)
{
    json_t *view;
    const int code = call_get(call, client_path("/status"), &view);
    if (code != EXIT_DONE)
        return code;
    if (call->json) {
        print_json(view);
        json_decref(view);
        return EXIT_DONE;
    }
    const json_t *problems = json_object_get(view, "problems");
    const char *since = json_string_value(json_object_get(view, "since"));
    printf("%s since %s (millrace %s, %s)\n\n",
           json_is_true(json_object_get(view, "healthy")) ? "healthy" : "NOT HEALTHY",
           since == NULL ? "its start" : since, json_string_value(json_object_get(view, "version")),
           client_url(call->client));
    printf("%-10s%" JSON_INTEGER_FORMAT "\n", "tenants",
           json_integer_value(json_object_get(view, "tenants")));
    print_counts("workers", json_object_get(view, "workers"));
    print_counts("runs", json_object_get(view, "runs"));
    print_counts("tasks", json_object_get(view, "tasks"));
    if (json_array_size(problems) > 0) {
        static const column columns[] = {{"PROBLEM", "what"}, {"SINCE", "since"}, {"", "text"}};
        putchar('\n');
        print_table(json_object_get(view, "problems"), columns, COUNT(columns));
    }
    json_decref(view);
    return EXIT_DONE;
}
