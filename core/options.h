/* options.h - what may be configured, as a table; validation, --help, REST and the reference come from it. */
#ifndef MR_CORE_OPTIONS_H
#define MR_CORE_OPTIONS_H

#include "core/props.h"

#include <stdio.h>

typedef enum mr_option_type {
    MR_OPTION_TEXT,
    MR_OPTION_INTEGER, /* within minimum..maximum */
    MR_OPTION_BOOLEAN, /* true, false */
    MR_OPTION_CHAR,    /* one byte; \t is a tab; nothing is '\0' */
    MR_OPTION_LIST,    /* JSON array of strings */
} mr_option_type;

/* A table ends with a row whose name is NULL. */
typedef struct mr_option {
    const char *name; /* "csv.delimiter" */
    mr_option_type type;
    const char *default_value; /* NULL: none; then `required` tells whether it must be given */
    int64_t minimum, maximum;  /* of INTEGER */
    bool required;
    bool secret;      /* never logged or returned */
    const char *help; /* one sentence, with the unit */
} mr_option;

/* Checks `props` against the tables (NULL-terminated list; later ones win): unknown names (with the nearest
 * known one), missing required ones, values that do not fit. `who` names the configuration in errors. */
mr_err mr_options_check(const mr_option *const *tables, const mr_props *props, const char *who,
                        mr_error *ret_error);

/* The value or the default; for use after a check, so they do not fail: a missing value is NULL, 0, false. */
const char *mr_option_text(const mr_option *table, const mr_props *props, const char *name);
int64_t mr_option_integer(const mr_option *table, const mr_props *props, const char *name);
bool mr_option_boolean(const mr_option *table, const mr_props *props, const char *name);
char mr_option_char(const mr_option *table, const mr_props *props, const char *name);

/* The table for people: --help, and with `markdown` the reference page. */
void mr_options_print(const mr_option *table, bool markdown, FILE *out);

/* The known name nearest to `name`, or NULL when none is near; for "unknown field X, did you mean Y?". */
const char *mr_nearest_name(const char *name, const char *const *known, size_t count);

#endif
