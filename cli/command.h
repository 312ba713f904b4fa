/* command.h - what a command is, and what it is given. One table (commands.c) drives dispatch and help. */
#ifndef MR_CLI_COMMAND_H
#define MR_CLI_COMMAND_H

#include "cli/client.h"

enum { MAX_OPTIONS = 8 };

typedef struct option_spec {
    const char *name;  /* "--run"; NULL ends the list */
    const char *value; /* "RUN"; NULL: a flag */
    const char *help;
} option_spec;

/* One call: the command's arguments and options, checked against its row. */
typedef struct cli_call {
    client *client;
    bool json;              /* --output json */
    char *const *arguments; /* without the command's words */
    int count;
    const option_spec *options;
    const char
        *values[MAX_OPTIONS]; /* of the options, in their order; "" for a flag that is set; NULL: not given */
} cli_call;

typedef struct cli_command {
    const char *group; /* "run"; NULL: a word of its own */
    const char *name;  /* "now"; NULL ends the table */
    const char *arguments;
    int least, most; /* arguments; most -1: any number */
    const option_spec *options;
    int (*run)(const cli_call *call);
    const char *summary;
    const char *details;  /* may be NULL */
    const char *examples; /* lines */
} cli_command;

extern const cli_command commands[];

/* The option's value, "" for a flag that is set, NULL when it was not given. */
const char *call_option(const cli_call *call, const char *name);

/* Prints the problem of the last request on stderr; returns its exit code. */
int call_failed(const cli_call *call, int code);
/* Sends and, on failure, tells so. */
int call_get(const cli_call *call, char *path, json_t **ret_body); /* frees the path */
int call_post(const cli_call *call, char *path, json_t *json,
              json_t **ret_body);                                     /* frees the path, takes the json */
int call_delete(const cli_call *call, char *path, json_t **ret_body); /* frees the path */

/* Prints the answer as it comes. */
int call_print(const cli_call *call, char *path); /* frees the path */

/* --- printing --- */

/* A column of a list: the member of each object, and its title. */
typedef struct column {
    const char *title;
    const char *key;
} column;

/* As JSON, or as a table of the columns. Takes the list. Returns EXIT_DONE. */
int print_list(const cli_call *call, json_t *list, const column *columns, size_t count);
/* As JSON, or "title: value" lines. Takes the object. */
int print_object(const cli_call *call, json_t *object, const column *lines, size_t count);
void print_json(json_t *value); /* borrowed */
void print_table(json_t *list, const column *columns, size_t count);
/* A value as a cell shows it; the caller frees. */
char *cell_text(const json_t *value);
/* "warnings" of an answer, one line each on stderr. */
void print_warnings(const json_t *answer);

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#endif
