/* run_wait.c - `run now --wait`: until all files that were ready at the call are in a final state. A replay
 * has no files: until its run is in one.
 *
 * Another run may have taken the files first, so files are followed, not the run; the run is only shown. A
 * coordinator that is away is waited for.
 */
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 500, IDS_AT_ONCE = 500 };

typedef struct waiting {
    const cli_call *call;
    const char *tenant;
    const char *run_id;
    json_t *files; /* of the call: "upload_id"; NULL: of a replay */
    size_t open, taken, failed;
    json_t *run; /* last view */
    bool terminal;
} waiting;

static int get(const waiting *self, char *path, json_t **ret_body)
{
    const http_request request = {.method = "GET", .path = path, .patient = true};
    const int code = client_send(self->call->client, &request, ret_body);
    free(path);
    return code;
}

static bool is_one_of(const char *state, const char *const *states)
{
    for (; *states != NULL; states++)
        if (state != NULL && strcmp(state, *states) == 0)
            return true;
    return false;
}

static void count_states(waiting *self, const json_t *view)
{
    static const char *const final[] = {"done", "failed", "abandoned", NULL};
    size_t i;
    const json_t *file;
    json_array_foreach(view, i, file)
    {
        const char *state = json_string_value(json_object_get(file, "state"));
        if (!is_one_of(state, final))
            self->open++;
        if (state != NULL && strcmp(state, "claimed") == 0)
            self->taken++;
        if (state != NULL && strcmp(state, "failed") == 0)
            self->failed++;
    }
}

/* States of the files now. */
static int look_at_files(waiting *self)
{
    const size_t count = json_array_size(self->files);
    self->open = self->taken = self->failed = 0;
    for (size_t first = 0; first < count; first += IDS_AT_ONCE) {
        char ids[24 * IDS_AT_ONCE] = "";
        size_t used = 0;
        for (size_t i = first; i < count && i < first + IDS_AT_ONCE; i++)
            used += (size_t)snprintf(
                ids + used, sizeof ids - used, "%s%" JSON_INTEGER_FORMAT, i == first ? "" : ",",
                json_integer_value(json_object_get(json_array_get(self->files, i), "upload_id")));
        json_t *view;
        const int code =
            get(self, client_query(client_path("/tenants/%s/files", self->tenant), "ids", ids), &view);
        if (code != EXIT_DONE)
            return code;
        count_states(self, view);
        json_decref(view);
    }
    return EXIT_DONE;
}

static int look_at_run(waiting *self)
{
    json_t *view;
    const int code = get(self, client_path("/tenants/%s/runs/%s", self->tenant, self->run_id), &view);
    if (code != EXIT_DONE)
        return code;
    json_decref(self->run);
    self->run = view;
    return EXIT_DONE;
}

static const char *run_state(const waiting *self)
{
    const char *state = json_string_value(json_object_get(self->run, "state"));
    return state == NULL ? "" : state;
}

static bool run_is_final(const waiting *self)
{
    static const char *const final[] = {
        "COMPLETED", "COMPLETED_WITH_REJECTS", "FAILED", "CANCELLED", "SKIPPED", "ABANDONED", NULL};
    return is_one_of(run_state(self), final);
}

static void show_progress(const waiting *self)
{
    if (!self->terminal)
        return;
    json_int_t read = 0;
    size_t i;
    const json_t *dataset;
    json_array_foreach(json_object_get(self->run, "datasets"), i, dataset) read +=
        json_integer_value(json_object_get(dataset, "read"));
    fprintf(stderr, "\r\033[K%s  %s  %" JSON_INTEGER_FORMAT " rows read, %" JSON_INTEGER_FORMAT " delivered",
            self->run_id, run_state(self), read, json_integer_value(json_object_get(self->run, "delivered")));
}

/* Until nothing is left to wait for. */
static int follow(waiting *self)
{
    for (int64_t pause_ms = FIRST_PAUSE_MS;;
         pause_ms = pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause_ms * 2) {
        /* The run first: files that it left behind when it ended are then seen as it left them. */
        int code = look_at_run(self);
        if (code == EXIT_DONE)
            code = look_at_files(self);
        if (code != EXIT_DONE)
            return code;
        show_progress(self);
        if (self->open == 0 && self->files != NULL)
            return look_at_run(self);
        if (run_is_final(self) && self->taken == 0)
            return EXIT_DONE;
        usleep((useconds_t)(pause_ms * 1000));
    }
}

static int conclude(const waiting *self)
{
    static const column lines[] = {
        {"run", "run_id"},          {"state", "state"},       {"reason", "reason"},      {"files", "files"},
        {"delivered", "delivered"}, {"rejected", "rejected"}, {"abandoned", "abandoned"}};
    static const char *const good[] = {"COMPLETED", "COMPLETED_WITH_REJECTS", NULL};
    (void)print_object(self->call, json_incref(self->run), lines, COUNT(lines));
    if (self->failed > 0)
        fprintf(stderr, "millrace: %zu of %zu files are in a run that failed\n", self->failed,
                json_array_size(self->files));
    else if (self->open > 0)
        fprintf(stderr, "millrace: %zu of %zu files were not handled: the run is %s\n", self->open,
                json_array_size(self->files), run_state(self));
    if (self->files == NULL) /* a replay */
        return is_one_of(run_state(self), good) ? EXIT_DONE : EXIT_FAILED;
    return self->failed > 0 || self->open > 0 ? EXIT_FAILED : EXIT_DONE;
}

int wait_for_run(const cli_call *call, const char *tenant, json_t *asked)
{
    waiting self = {.call = call,
                    .tenant = tenant,
                    .run_id = json_string_value(json_object_get(asked, "run_id")),
                    .files = json_object_get(asked, "files"),
                    .terminal = isatty(STDERR_FILENO) != 0};
    int code = follow(&self);
    if (self.terminal)
        fputs("\r\033[K", stderr);
    code = code == EXIT_DONE ? conclude(&self) : call_failed(call, code);
    json_decref(self.run);
    json_decref(asked);
    return code;
}
