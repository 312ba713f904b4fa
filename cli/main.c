/* main.c - millrace: a client of the coordinator's REST API, so all it does can be done with curl. */
#include "cli/commands.h"
#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_url[] = "http://127.0.0.1:8083";

enum { MAX_ARGUMENTS = 4096 };

/* --- help --- */

static void print_title(const cli_command *command)
{
    printf("millrace %s%s%s%s%s", command->group == NULL ? "" : command->group,
           command->group == NULL ? "" : " ", command->name, *command->arguments == '\0' ? "" : " ",
           command->arguments);
}

static void print_common_options(void)
{
    printf("  --coordinator URL    address of the coordinator; default MILLRACE_COORDINATOR, else %s\n"
           "  --output table|json  for people, or for programs; default table\n"
           "  --help               this\n",
           default_url);
}

static int help_command(const cli_command *command)
{
    print_title(command);
    printf("\n\n  %s.\n", command->summary);
    if (command->details != NULL)
        printf("%s", command->details);
    printf("\nOptions:\n");
    for (const option_spec *option = command->options; option->name != NULL; option++) {
        char title[40];
        snprintf(title, sizeof title, "%s %s", option->name, option->value == NULL ? "" : option->value);
        printf("  %-19s  %s\n", title, option->help);
    }
    print_common_options();
    printf("\nExamples:\n%s", command->examples);
    return EXIT_DONE;
}

static int help_all(const char *group)
{
    if (group == NULL)
        printf("millrace - moves tenants' data on schedule, and accounts for every row\n\nCommands:\n");
    else
        printf("Commands of millrace %s:\n", group);
    for (const cli_command *command = commands; command->name != NULL; command++) {
        if (group != NULL && (command->group == NULL || strcmp(command->group, group) != 0))
            continue;
        char title[80];
        snprintf(title, sizeof title, "%s%s%s %s", command->group == NULL ? "" : command->group,
                 command->group == NULL ? "" : " ", command->name, command->arguments);
        printf("  %-34s %s\n", title, command->summary);
    }
    printf("\nOptions of all commands:\n");
    print_common_options();
    printf(
        "  --version            version of this program\n"
        "\nExamples:\n"
        "  millrace tenant apply tenants/client_a\n"
        "  millrace upload client_a rows.csv\n"
        "  millrace run now client_a --wait\n"
        "  millrace ledger client_a --output json\n"
        "  millrace run now --help\n"
        "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by state, 5 cannot reach the "
        "coordinator.\n");
    return EXIT_DONE;
}

/* --- finding the command --- */

static bool is_group(const char *word)
{
    for (const cli_command *command = commands; command->name != NULL; command++)
        if (command->group != NULL && strcmp(command->group, word) == 0)
            return true;
    return false;
}

static const cli_command *find_command(const char *first, const char *second)
{
    for (const cli_command *command = commands; command->name != NULL; command++) {
        if (command->group == NULL
                ? strcmp(command->name, first) == 0
                : second != NULL && strcmp(command->group, first) == 0 && strcmp(command->name, second) == 0)
            return command;
    }
    return NULL;
}

static int unknown_command(const char *group, const char *word)
{
    const char *known[64];
    size_t count = 0;
    for (const cli_command *command = commands; command->name != NULL && count < COUNT(known); command++) {
        if (group == NULL)
            known[count++] = command->group == NULL ? command->name : command->group;
        else if (command->group != NULL && strcmp(command->group, group) == 0)
            known[count++] = command->name;
    }
    const char *near = mr_nearest_name(word, known, count);
    fprintf(stderr, "millrace: there is no command \"%s%s%s\"", group == NULL ? "" : group,
            group == NULL ? "" : " ", word);
    if (near != NULL)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nSee millrace --help.\n");
    return EXIT_USAGE;
}

/* --- reading the command line: options may stand anywhere, those of a command behind its words --- */

typedef struct command_line {
    const cli_command *command; /* NULL until its words were read */
    char *words[MAX_ARGUMENTS];
    int count;
    const char *values[MAX_OPTIONS]; /* of the command's options */
    const char *url, *output;
    bool help, version;
} command_line;

static int wrong_option(const char *option, const char *problem)
{
    fprintf(stderr, "millrace: option %s %s; see --help\n", option, problem);
    return EXIT_USAGE;
}

/* Where the value of a common option goes, or NULL; flags are kept as "". */
static const char **common_option(command_line *line, const char *name, bool *ret_flag)
{
    static const char *set_help, *set_version;
    *ret_flag = false;
    if (strcmp(name, "--coordinator") == 0)
        return &line->url;
    if (strcmp(name, "--output") == 0)
        return &line->output;
    *ret_flag = true;
    line->help = line->help || strcmp(name, "--help") == 0;
    line->version = line->version || strcmp(name, "--version") == 0;
    return strcmp(name, "--help") == 0 ? &set_help : strcmp(name, "--version") == 0 ? &set_version : NULL;
}

static const char **command_option(command_line *line, const char *name, bool *ret_flag)
{
    if (line->command == NULL)
        return NULL;
    for (size_t i = 0; line->command->options[i].name != NULL; i++) {
        if (strcmp(line->command->options[i].name, name) == 0) {
            *ret_flag = line->command->options[i].value == NULL;
            return &line->values[i];
        }
    }
    return NULL;
}

/* Reads the option at *at, and its value behind it. */
static int read_option(command_line *line, char **arguments, int count, int *at)
{
    char name[64];
    const char *equals = strchr(arguments[*at], '=');
    const size_t size = equals == NULL ? strlen(arguments[*at]) : (size_t)(equals - arguments[*at]);
    snprintf(name, sizeof name, "%.*s", (int)size, arguments[*at]);
    bool flag;
    const char **value = common_option(line, name, &flag);
    if (value == NULL)
        value = command_option(line, name, &flag);
    if (value == NULL)
        return wrong_option(name, "is not known");
    if (flag && equals != NULL)
        return wrong_option(name, "takes no value");
    if (!flag && equals == NULL && *at + 1 == count)
        return wrong_option(name, "needs a value");
    *value = flag ? "" : equals != NULL ? equals + 1 : arguments[++*at];
    return EXIT_DONE;
}

static int read_line(command_line *line, char **arguments, int count)
{
    bool only_words = false;
    for (int i = 0; i < count; i++) {
        if (!only_words && strcmp(arguments[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && arguments[i][0] == '-' && arguments[i][1] == '-') {
            const int code = read_option(line, arguments, count, &i);
            if (code != EXIT_DONE)
                return code;
        } else if (line->count == MAX_ARGUMENTS) {
            fprintf(stderr, "millrace: more than %d arguments\n", MAX_ARGUMENTS);
            return EXIT_USAGE;
        } else {
            line->words[line->count++] = arguments[i];
            if (line->command == NULL && line->count <= 2)
                line->command = find_command(line->words[0], line->count == 2 ? line->words[1] : NULL);
        }
    }
    return EXIT_DONE;
}

/* --- running it --- */

static int run_command(const command_line *line)
{
    const cli_command *command = line->command;
    const int words = command->group == NULL ? 1 : 2, count = line->count - words;
    if (count < command->least || (command->most >= 0 && count > command->most)) {
        fprintf(stderr, "millrace: %s arguments; usage: millrace %s%s%s %s\n",
                count < command->least ? "missing" : "too many", command->group == NULL ? "" : command->group,
                command->group == NULL ? "" : " ", command->name, command->arguments);
        return EXIT_USAGE;
    }
    if (line->output != NULL && strcmp(line->output, "json") != 0 && strcmp(line->output, "table") != 0)
        return wrong_option("--output", "is table or json");
    const char *url = line->url != NULL ? line->url : getenv("MILLRACE_COORDINATOR");
    cli_call call = {.client = client_open(url == NULL || *url == '\0' ? default_url : url),
                     .json = line->output != NULL && strcmp(line->output, "json") == 0,
                     .arguments = line->words + words,
                     .count = count,
                     .options = command->options};
    memcpy(call.values, line->values, sizeof call.values);
    if (call.client == NULL) {
        fprintf(stderr, "millrace: out of memory\n");
        return EXIT_FAILED;
    }
    int code = command->run(&call);
    client_close(&call.client);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = EXIT_FAILED;
    return code;
}

static int run_line(const command_line *line)
{
    const char *group = line->count > 0 && is_group(line->words[0]) ? line->words[0] : NULL;
    if (line->version) {
        printf("millrace %s\n", MR_VERSION);
        return EXIT_DONE;
    }
    if (line->command != NULL)
        return line->help ? help_command(line->command) : run_command(line);
    if (line->count == 0 || (group != NULL && line->count == 1)) {
        (void)help_all(group);
        return line->help ? EXIT_DONE : EXIT_USAGE;
    }
    return unknown_command(group, line->words[group == NULL ? 0 : 1]);
}

int main(int argc, char **argv)
{
    static command_line line;
    const int code = read_line(&line, argv + 1, argc - 1);
    return code == EXIT_DONE ? run_line(&line) : code;
}
