#include "core/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const mr_option *find(const mr_option *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

/* The row that counts for `name`: that of the last table that has one. */
static const mr_option *find_in_all(const mr_option *const *tables, const char *name)
{
    const mr_option *found = NULL;
    for (; *tables != NULL; tables++) {
        const mr_option *row = find(*tables, name);
        if (row != NULL)
            found = row;
    }
    return found;
}

static mr_err unknown(const mr_option *const *tables, const char *name, const char *who, mr_error *ret_error)
{
    enum { NAMES = 256 };
    const char *names[NAMES];
    size_t count = 0;
    for (; *tables != NULL; tables++)
        for (const mr_option *row = *tables; row->name != NULL && count < NAMES; row++)
            names[count++] = row->name;
    const char *near = mr_nearest_name(name, names, count);
    if (near != NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s: unknown option \"%s\", did you mean \"%s\"?", who, name,
                       near);
    return mr_fail(ret_error, MR_EINVALID, "%s: unknown option \"%s\"", who, name);
}

static bool parse_integer(const char *text, int64_t *ret_integer)
{
    char *end;
    if (*text != '-' && (*text < '0' || *text > '9'))
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text)
        return false;
    *ret_integer = value;
    return true;
}

/* "\t" is a tab and "" no character at all, as for a quote that is not wanted. */
static bool parse_char(const char *text, char *ret_char)
{
    if (strcmp(text, "\\t") == 0)
        *ret_char = '\t';
    else if (text[0] == '\0' || text[1] == '\0')
        *ret_char = text[0];
    else
        return false;
    return true;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind a JSON string that starts at `at`, or NULL. */
static const char *skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < ' ')
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4)
            return NULL;
        if (*at == '\0' || strchr("\"\\/bfnrtu", *at) == NULL)
            return NULL;
    }
    return at + 1;
}

/* The form only, without a JSON library: the worker has options as well, and stays small. Who uses a list
 * parses it. */
static bool is_list_of_strings(const char *text)
{
    const char *at = skip_blanks(text);
    if (*at++ != '[')
        return false;
    at = skip_blanks(at);
    while (*at == '"') {
        at = skip_string(at);
        if (at == NULL)
            return false;
        at = skip_blanks(at);
        if (*at != ',')
            break;
        at = skip_blanks(at + 1);
        if (*at != '"')
            return false;
    }
    return *at == ']' && *skip_blanks(at + 1) == '\0';
}

/* A secret's value is not shown. */
static const char *shown(const mr_option *row, const char *value)
{
    return row->secret ? "(secret)" : value;
}

static mr_err check_value(const mr_option *row, const char *value, const char *who, mr_error *ret_error)
{
    int64_t integer;
    char byte;
    switch (row->type) {
    case MR_OPTION_TEXT:
        return MR_OK;
    case MR_OPTION_INTEGER:
        if (parse_integer(value, &integer) && integer >= row->minimum && integer <= row->maximum)
            return MR_OK;
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: %s: \"%.80s\" is not a whole number between %" PRId64 " and %" PRId64, who,
                       row->name, shown(row, value), row->minimum, row->maximum);
    case MR_OPTION_BOOLEAN:
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
            return MR_OK;
        return mr_fail(ret_error, MR_EINVALID, "%s: %s: \"%.80s\" is neither true nor false", who, row->name,
                       shown(row, value));
    case MR_OPTION_CHAR:
        if (parse_char(value, &byte))
            return MR_OK;
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: %s: \"%.80s\" is not one character of ASCII (\\t is a tab)", who, row->name,
                       shown(row, value));
    case MR_OPTION_LIST:
        if (is_list_of_strings(value))
            return MR_OK;
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: %s: \"%.80s\" is not a JSON array of strings such as [\"NA\", \"\"]", who,
                       row->name, shown(row, value));
    }
    return mr_fail(ret_error, MR_EBUG, "%s: %s: the option has no known type", who, row->name);
}

static mr_err check_required(const mr_option *const *tables, const mr_props *props, const char *who,
                             mr_error *ret_error)
{
    for (const mr_option *const *table = tables; *table != NULL; table++)
        for (const mr_option *row = *table; row->name != NULL; row++)
            if (find_in_all(tables, row->name)->required && mr_props_get(props, row->name) == NULL)
                return mr_fail(ret_error, MR_EINVALID, "%s: \"%s\" is missing: %s", who, row->name,
                               row->help);
    return MR_OK;
}

mr_err mr_options_check(const mr_option *const *tables, const mr_props *props, const char *who,
                        mr_error *ret_error)
{
    for (size_t i = 0; i < mr_props_count(props); i++) {
        const char *name, *value;
        mr_props_at(props, i, &name, &value);
        const mr_option *row = find_in_all(tables, name);
        mr_err err =
            row == NULL ? unknown(tables, name, who, ret_error) : check_value(row, value, who, ret_error);
        if (err != MR_OK)
            return err;
    }
    return check_required(tables, props, who, ret_error);
}

const char *mr_option_text(const mr_option *table, const mr_props *props, const char *name)
{
    const char *value = mr_props_get(props, name);
    const mr_option *row = find(table, name);
    return value != NULL ? value : row != NULL ? row->default_value : NULL;
}

int64_t mr_option_integer(const mr_option *table, const mr_props *props, const char *name)
{
    const char *text = mr_option_text(table, props, name);
    int64_t integer = 0;
    return text != NULL && parse_integer(text, &integer) ? integer : 0;
}

bool mr_option_boolean(const mr_option *table, const mr_props *props, const char *name)
{
    const char *text = mr_option_text(table, props, name);
    return text != NULL && strcmp(text, "true") == 0;
}

char mr_option_char(const mr_option *table, const mr_props *props, const char *name)
{
    const char *text = mr_option_text(table, props, name);
    char byte = '\0';
    return text != NULL && parse_char(text, &byte) ? byte : '\0';
}

static const char *type_name(mr_option_type type)
{
    switch (type) {
    case MR_OPTION_TEXT:
        return "text";
    case MR_OPTION_INTEGER:
        return "integer";
    case MR_OPTION_BOOLEAN:
        return "boolean";
    case MR_OPTION_CHAR:
        return "character";
    case MR_OPTION_LIST:
        return "list of strings";
    }
    return "?";
}

static void describe_range(const mr_option *row, char *text, size_t size)
{
    text[0] = '\0';
    if (row->type == MR_OPTION_INTEGER)
        snprintf(text, size, ", %" PRId64 " to %" PRId64, row->minimum, row->maximum);
}

static void print_row(const mr_option *row, bool markdown, FILE *out)
{
    char range[64];
    describe_range(row, range, sizeof range);
    const char *default_value = row->default_value;
    if (markdown) {
        const char *tick = default_value == NULL ? "" : "`";
        const char *shown_default = default_value != NULL ? default_value : row->required ? "(required)" : "";
        fprintf(out, "| `%s` | %s%s%s | %s%s%s | %s |\n", row->name, type_name(row->type), range,
                row->secret ? ", secret" : "", tick, shown_default, tick, row->help);
        return;
    }
    fprintf(out, "  %s (%s%s%s)", row->name, type_name(row->type), range, row->secret ? ", secret" : "");
    if (default_value != NULL)
        fprintf(out, " = %s", default_value);
    else if (row->required)
        fprintf(out, " required");
    fprintf(out, "\n      %s\n", row->help);
}

void mr_options_print(const mr_option *table, bool markdown, FILE *out)
{
    if (markdown)
        fprintf(out, "| option | type | default | meaning |\n|---|---|---|---|\n");
    for (; table->name != NULL; table++)
        print_row(table, markdown, out);
}
