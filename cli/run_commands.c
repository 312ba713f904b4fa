/* run_commands.c - runs: ask for one, look at it, end it. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>

int run_now(const cli_call *call)
{
    static const column lines[] = {{"run", "run_id"}, {"state", "state"}, {"files", "files"}};
    const char *tenant = call->arguments[0];
    json_t *answer;
    const int code = call_post(call, client_path("/tenants/%s/runs", tenant), NULL, &answer);
    if (code != EXIT_DONE)
        return code;
    if (call_option(call, "--wait") != NULL)
        return wait_for_run(call, tenant, answer);
    if (!call->json) {
        const size_t count = json_array_size(json_object_get(answer, "files"));
        json_object_set_new(answer, "files", json_integer((json_int_t)count));
    }
    return print_object(call, answer, lines, COUNT(lines));
}

int run_list(const cli_call *call)
{
    static const column columns[] = {{"TENANT", "tenant"},        {"RUN", "run_id"},
                                     {"STATE", "state"},          {"TRIGGER", "trigger"},
                                     {"FILES", "files"},          {"DELIVERED", "delivered"},
                                     {"REJECTED", "rejected"},    {"CREATED", "created_at"},
                                     {"FINISHED", "finished_at"}, {"REASON", "reason"}};
    char *path =
        call->count == 0 ? client_path("/runs") : client_path("/tenants/%s/runs", call->arguments[0]);
    json_t *view;
    const int code = call_get(call, client_query(path, "limit", call_option(call, "--limit")), &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

/* "3 of 10": rejected rows of those that may be. */
static void show_budgets(json_t *datasets)
{
    size_t i;
    json_t *dataset;
    json_array_foreach(datasets, i, dataset)
    {
        const json_t *budget = json_object_get(dataset, "error_budget");
        if (json_is_object(budget))
            json_object_set_new(dataset, "budget_used",
                                json_sprintf("%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                                             json_integer_value(json_object_get(budget, "rejected")),
                                             json_integer_value(json_object_get(budget, "allowed"))));
    }
}

int run_show(const cli_call *call)
{
    static const column lines[] = {
        {"tenant", "tenant"},     {"run", "run_id"},         {"uid", "run_uid"},
        {"state", "state"},       {"trigger", "trigger"},    {"due", "due"},
        {"reason", "reason"},     {"created", "created_at"}, {"finished", "finished_at"},
        {"files", "files"},       {"attempts", "attempts"},  {"delivered", "delivered"},
        {"rejected", "rejected"}, {"abandoned", "abandoned"}};
    static const column datasets[] = {{"DATASET", "dataset"},
                                      {"STATE", "state"},
                                      {"READ", "read"},
                                      {"FILTERED", "filtered"},
                                      {"REJECTED", "rejected_source"},
                                      {"PRODUCED", "produced"},
                                      {"REJECTED FILES", "rejected_files"},
                                      {"ERROR BUDGET", "budget_used"},
                                      {"REASON", "reason"}};
    static const column tasks[] = {{"CONNECTOR", "connector"}, {"KIND", "kind"},     {"STATE", "state"},
                                   {"STEP", "step"},           {"WORKER", "worker"}, {"EPOCH", "epoch"},
                                   {"ERROR", "error"}};
    json_t *view;
    const int code =
        call_get(call, client_path("/tenants/%s/runs/%s", call->arguments[0], call->arguments[1]), &view);
    if (code != EXIT_DONE)
        return code;
    json_incref(view);
    (void)print_object(call, view, lines, COUNT(lines));
    if (!call->json && json_array_size(json_object_get(view, "datasets")) > 0) {
        putchar('\n');
        show_budgets(json_object_get(view, "datasets"));
        print_table(json_object_get(view, "datasets"), datasets, COUNT(datasets));
    }
    if (!call->json && json_array_size(json_object_get(view, "tasks")) > 0) {
        putchar('\n');
        print_table(json_object_get(view, "tasks"), tasks, COUNT(tasks));
    }
    json_decref(view);
    return EXIT_DONE;
}

int run_logs(const cli_call *call)
{
    return call_print(call, client_path("/tenants/%s/runs/%s/logs", call->arguments[0], call->arguments[1]));
}

static int act(const cli_call *call, const char *action)
{
    static const column lines[] = {{"run", "run_id"}, {"state", "state"}};
    json_t *answer;
    const int code =
        call_post(call, client_path("/tenants/%s/runs/%s/%s", call->arguments[0], call->arguments[1], action),
                  NULL, &answer);
    return code == EXIT_DONE ? print_object(call, answer, lines, COUNT(lines)) : code;
}

int run_cancel(const cli_call *call)
{
    return act(call, "cancel");
}

int run_retry(const cli_call *call)
{
    return act(call, "retry");
}

int run_abandon(const cli_call *call)
{
    return act(call, "abandon");
}
