/* rejected_commands.c - rows that could not be taken: look at them, mend them, or have them read again. */
#include "cli/commands.h"

#include <stdlib.h>

int rejected_list(const cli_call *call)
{
    static const column columns[] = {{"TOPIC", "topic"}, {"OFFSET", "offset"}, {"STAGE", "stage"},
                                     {"FILE", "file"},   {"LINE", "line"},     {"REASON", "reason"}};
    char *path = client_path("/tenants/%s/rejected", call->arguments[0]);
    path = client_query(path, "dataset", call_option(call, "--dataset"));
    path = client_query(path, "from", call_option(call, "--from"));
    path = client_query(path, "limit", call_option(call, "--limit"));
    json_t *view;
    const int code = call_get(call, path, &view);
    return code == EXIT_DONE ? print_list(call, view, columns, COUNT(columns)) : code;
}

int rejected_show(const cli_call *call)
{
    static const column lines[] = {{"topic", "topic"},
                                   {"offset", "offset"},
                                   {"run", "run"},
                                   {"stage", "stage"},
                                   {"reason", "reason"},
                                   {"file", "file"},
                                   {"line", "line"},
                                   {"bytes", "bytes"},
                                   {"length", "length"},
                                   {"sha256", "sha256"},
                                   {"connector", "connector"},
                                   {"row", "raw"},
                                   {"row (base64)", "raw_base64"}};
    json_t *view;
    const int code = call_get(
        call,
        client_path("/tenants/%s/rejected/%s/%s", call->arguments[0], call->arguments[1], call->arguments[2]),
        &view);
    return code == EXIT_DONE ? print_object(call, view, lines, COUNT(lines)) : code;
}

int rejected_download(const cli_call *call)
{
    char *path = client_path("/tenants/%s/rejected.csv", call->arguments[0]);
    path = client_query(path, "dataset", call_option(call, "--dataset"));
    path = client_query(path, "run", call_option(call, "--run"));
    return call_print(call, path);
}

int rejected_replay(const cli_call *call)
{
    static const column lines[] = {{"run", "run_id"}, {"state", "state"}};
    char *path = client_path("/tenants/%s/rejected/replay", call->arguments[0]);
    path = client_query(path, "dataset", call_option(call, "--dataset"));
    path = client_query(path, "run", call_option(call, "--run"));
    path = client_query(path, "force", call_option(call, "--force") != NULL ? "true" : NULL);
    json_t *answer;
    const int code = call_post(call, path, NULL, &answer);
    if (code != EXIT_DONE)
        return code;
    if (call_option(call, "--wait") != NULL)
        return wait_for_run(call, call->arguments[0], answer);
    return print_object(call, answer, lines, COUNT(lines));
}
