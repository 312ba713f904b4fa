/* audit_command.c - the audit trail: a line for each change, its fields below each other. */
#include "cli/commands.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_BYTES = 100 };

/* Appends "path=value" of every leaf. */
static void leaves(const json_t *value, const char *path, bool *first, FILE *out)
{
    const char *name;
    json_t *member;
    char inner[300];
    if (!json_is_object(value)) {
        char *text = cell_text(value);
        fprintf(out, "%s%s=%s", *first ? "" : " ", path, text != NULL && text[0] != '\0' ? text : "null");
        *first = false;
        free(text);
        return;
    }
    json_object_foreach((json_t *)value, name, member)
    {
        snprintf(inner, sizeof inner, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
        leaves(member, inner, first, out);
    }
}

/* What changed, in one line that fits a table; the whole is in --output json. */
static json_t *in_short(const json_t *value)
{
    char *text = NULL;
    size_t size;
    bool first = true;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        abort();
    if (!json_is_null(value))
        leaves(value, "", &first, out);
    fclose(out);
    if (size > CHANGE_BYTES) { /* not within a character */
        size_t cut = CHANGE_BYTES - 3;
        while (cut > 0 && (text[cut] & 0xc0) == 0x80)
            cut--;
        strcpy(text + cut, "...");
    }
    json_t *cell = json_string(text);
    free(text);
    return cell;
}

int audit(const cli_call *call)
{
    static const column columns[] = {{"ID", "id"},           {"AT", "at"},         {"WHO", "who"},
                                     {"FROM", "from"},       {"TENANT", "tenant"}, {"WHAT", "what"},
                                     {"SUBJECT", "subject"}, {"BEFORE", "before"}, {"AFTER", "after"}};
    char *path =
        call->count == 0 ? client_path("/audit") : client_path("/tenants/%s/audit", call->arguments[0]);
    path = client_query(path, "what", call_option(call, "--what"));
    path = client_query(path, "before", call_option(call, "--before"));
    json_t *view;
    const int code = call_get(call, client_query(path, "limit", call_option(call, "--limit")), &view);
    if (code != EXIT_DONE)
        return code;
    size_t i;
    json_t *entry;
    json_array_foreach(view, i, entry)
    {
        if (call->json)
            break;
        json_object_set_new(entry, "before", in_short(json_object_get(entry, "before")));
        json_object_set_new(entry, "after", in_short(json_object_get(entry, "after")));
    }
    return print_list(call, view, columns, COUNT(columns));
}
