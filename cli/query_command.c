/* query_command.c - SQL over a tenant's stores: rows are printed as they come, so memory is flat.
 *
 * The answer is lines of JSON: {"columns": [...]}, an array for each row, then {"rows": N} or {"error":
 * "..."}.
 */
#include "cli/commands.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE_BYTES = 64 * 1024 * 1024 };

typedef struct query_result {
    bool json;
    char *line; /* what has come of the next line */
    size_t size, capacity;
    json_t *columns; /* NULL until the first line */
    const char **titles;
    text_table *table;
    size_t rows;
    bool complete;
    char *error;
} query_result;

static bool begin_columns(query_result *self, json_t *line)
{
    self->columns = json_incref(json_object_get(line, "columns"));
    const size_t count = json_array_size(self->columns);
    self->titles = calloc(count + 1, sizeof *self->titles);
    if (self->titles == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        self->titles[i] = json_string_value(json_array_get(self->columns, i));
    if (!self->json)
        self->table = table_open(stdout, self->titles, count);
    else
        putchar('[');
    return self->json || self->table != NULL;
}

static void print_row_as_object(query_result *self, const json_t *row)
{
    fputs(self->rows == 0 ? "" : ",\n ", stdout);
    putchar('{');
    for (size_t i = 0; i < json_array_size(self->columns); i++) {
        fputs(i == 0 ? "" : ", ", stdout);
        json_dumpf(json_array_get(self->columns, i), stdout, JSON_ENCODE_ANY);
        fputs(": ", stdout);
        json_dumpf(json_array_get(row, i), stdout, JSON_ENCODE_ANY);
    }
    putchar('}');
}

static bool print_row(query_result *self, const json_t *row)
{
    const size_t count = json_array_size(self->columns);
    if (self->json) {
        print_row_as_object(self, row);
        self->rows++;
        return ferror(stdout) == 0;
    }
    char **cells = calloc(count + 1, sizeof *cells);
    if (cells == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        cells[i] = cell_text(json_array_get(row, i));
    table_row(self->table, (const char *const *)cells);
    for (size_t i = 0; i < count; i++)
        free(cells[i]);
    free(cells);
    self->rows++;
    return ferror(stdout) == 0;
}

static bool take_line(query_result *self)
{
    json_t *line = json_loadb(self->line, self->size, JSON_DECODE_ANY, NULL);
    bool good = line != NULL;
    if (json_is_array(line) && self->columns != NULL)
        good = print_row(self, line);
    else if (json_object_get(line, "columns") != NULL && self->columns == NULL)
        good = begin_columns(self, line);
    else if (json_object_get(line, "error") != NULL)
        self->error = strdup(json_string_value(json_object_get(line, "error")));
    else if (json_object_get(line, "rows") != NULL)
        self->complete = true;
    else
        good = false;
    json_decref(line);
    self->size = 0;
    return good;
}

static bool add_to_line(query_result *self, const char *data, size_t size)
{
    if (self->size + size > MAX_LINE_BYTES)
        return false;
    if (self->size + size > self->capacity) {
        const size_t capacity = 2 * (self->size + size);
        char *longer = realloc(self->line, capacity);
        if (longer == NULL)
            return false;
        self->line = longer;
        self->capacity = capacity;
    }
    memcpy(self->line + self->size, data, size);
    self->size += size;
    return true;
}

static bool take(void *arg, const char *data, size_t size)
{
    query_result *self = arg;
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        const size_t part = end == NULL ? size : (size_t)(end - data);
        if (!add_to_line(self, data, part) || (end != NULL && !take_line(self)))
            return false;
        const size_t used = part + (end == NULL ? 0 : 1);
        data += used;
        size -= used;
    }
    return true;
}

static int conclude(const cli_call *call, query_result *self, int code)
{
    table_close(&self->table);
    if (self->json && self->columns != NULL)
        puts("]");
    if (code != EXIT_DONE)
        return call_failed(call, code);
    if (self->complete)
        return EXIT_DONE;
    fprintf(stderr, "millrace: %s\n", self->error != NULL ? self->error : "the answer broke off");
    return EXIT_FAILED;
}

int query(const cli_call *call)
{
    query_result result = {.json = call->json};
    char *path = client_path("/tenants/%s/query", call->arguments[0]);
    json_t *body = json_pack("{s:s}", "sql", call->arguments[1]);
    if (body == NULL) {
        fprintf(stderr, "millrace: the query is not valid UTF-8\n");
        free(path);
        return EXIT_USAGE;
    }
    const http_request request = {.method = "POST", .path = path, .json = body, .take = take, .arg = &result};
    json_t *none;
    int code = client_send(call->client, &request, &none);
    code = conclude(call, &result, code);
    free(path);
    free(result.line);
    free(result.titles);
    free(result.error);
    json_decref(result.columns);
    json_decref(body);
    return code;
}
