/* output.c - requests as commands make them, and answers as people and programs read them. */
#include "cli/command.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *call_option(const cli_call *call, const char *name)
{
    for (size_t i = 0; call->options[i].name != NULL; i++)
        if (strcmp(call->options[i].name, name) == 0)
            return call->values[i];
    abort(); /* not in the command's row */
}

int call_failed(const cli_call *call, int code)
{
    fprintf(stderr, "millrace: %s\n", client_problem(call->client));
    return code;
}

static int send_request(const cli_call *call, char *path, http_request request, json_t **ret_body)
{
    request.path = path;
    const int code = client_send(call->client, &request, ret_body);
    free(path);
    return code == EXIT_DONE ? code : call_failed(call, code);
}

int call_get(const cli_call *call, char *path, json_t **ret_body)
{
    return send_request(call, path, (http_request){.method = "GET"}, ret_body);
}

int call_post(const cli_call *call, char *path, json_t *json, json_t **ret_body)
{
    const int code =
        send_request(call, path, (http_request){.method = "POST", .json = json, .keyed = true}, ret_body);
    json_decref(json);
    return code;
}

int call_delete(const cli_call *call, char *path, json_t **ret_body)
{
    return send_request(call, path, (http_request){.method = "DELETE", .keyed = true}, ret_body);
}

static bool print_bytes(void *arg, const char *data, size_t size)
{
    (void)arg;
    return fwrite(data, 1, size, stdout) == size;
}

int call_print(const cli_call *call, char *path)
{
    json_t *none = NULL;
    return send_request(call, path, (http_request){.method = "GET", .take = print_bytes}, &none);
}

void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

char *cell_text(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return strdup("");
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (!json_is_array(value))
        return json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *text = NULL;
    size_t size;
    FILE *list = open_memstream(&text, &size);
    for (size_t i = 0; list != NULL && i < json_array_size(value); i++) {
        char *element = cell_text(json_array_get(value, i));
        fprintf(list, "%s%s", i == 0 ? "" : ", ", element == NULL ? "" : element);
        free(element);
    }
    if (list != NULL)
        fclose(list);
    return text;
}

void print_table(json_t *list, const column *columns, size_t count)
{
    const char *titles[20];
    char *cells[20];
    for (size_t i = 0; i < count; i++)
        titles[i] = columns[i].title;
    text_table *table = table_open(stdout, titles, count);
    if (table == NULL)
        abort();
    size_t index;
    json_t *row;
    json_array_foreach(list, index, row)
    {
        for (size_t i = 0; i < count; i++)
            cells[i] = cell_text(json_object_get(row, columns[i].key));
        table_row(table, (const char *const *)cells);
        for (size_t i = 0; i < count; i++)
            free(cells[i]);
    }
    table_close(&table);
}

int print_list(const cli_call *call, json_t *list, const column *columns, size_t count)
{
    if (call->json)
        print_json(list);
    else
        print_table(list, columns, count);
    json_decref(list);
    return EXIT_DONE;
}

/* What is shown may be what a tenant wrote. */
static void print_safe(FILE *out, const char *before, const char *text)
{
    char *copy = text == NULL ? NULL : text_safe(text);
    fprintf(out, "%s%s\n", before, copy == NULL ? "" : copy);
    free(copy);
}

/* Elements of a list below each other. */
static void print_value(const json_t *value, int indent)
{
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count; i++) {
        char *text = cell_text(json_is_array(value) ? json_array_get(value, i) : value);
        printf("%*s", i == 0 ? 0 : indent, "");
        print_safe(stdout, "", text);
        free(text);
    }
}

int print_object(const cli_call *call, json_t *object, const column *lines, size_t count)
{
    size_t width = 0;
    for (size_t i = 0; i < count; i++)
        if (strlen(lines[i].title) > width)
            width = strlen(lines[i].title);
    for (size_t i = 0; i < count && !call->json; i++) {
        const json_t *value = json_object_get(object, lines[i].key);
        if (value == NULL || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            continue;
        printf("%-*s  ", (int)width, lines[i].title);
        print_value(value, (int)width + 2);
    }
    if (call->json)
        print_json(object);
    json_decref(object);
    return EXIT_DONE;
}

void print_warnings(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "warnings");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_safe(stderr, "warning: ", json_string_value(json_array_get(list, i)));
}
