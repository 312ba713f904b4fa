#include "core/command_line.h"

static const mr_option *find_option(const mr_option *table, const char *name, size_t size)
{
    for (const mr_option *option = table; option->name != NULL; option++)
        if (strlen(option->name) == size && memcmp(option->name, name, size) == 0)
            return option;
    return NULL;
}

/* Moves *index past what it took. */
static mr_err take_argument(const mr_option *table, mr_props *props, int argc, char *const *argv, int *index,
                            mr_error *ret_error)
{
    const char *argument = argv[*index];
    if (strncmp(argument, "--", 2) != 0)
        return mr_fail(ret_error, MR_EINVALID, "\"%s\" is not an option; see --help", argument);
    const char *name = argument + 2, *value = strchr(name, '=');
    const mr_option *option = find_option(table, name, value != NULL ? (size_t)(value - name) : strlen(name));
    if (option == NULL)
        return mr_fail(ret_error, MR_EINVALID, "unknown option %s; see --help", argument);
    if (value != NULL)
        value++;
    else if (option->type == MR_OPTION_BOOLEAN)
        value = "true";
    else if (*index + 1 < argc)
        value = argv[++*index];
    else
        return mr_fail(ret_error, MR_EINVALID, "%s needs a value", argument);
    ++*index;
    return mr_props_set(props, option->name, value) == MR_OK ? MR_OK
                                                             : mr_fail(ret_error, MR_ENOMEM, "out of memory");
}

static mr_err load_files(mr_props *props, int argc, char *const *argv, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (int i = 1; i < argc && err == MR_OK; i++) {
        if (strcmp(argv[i], "--config") != 0)
            continue;
        if (i + 1 == argc)
            return mr_fail(ret_error, MR_EINVALID, "--config needs the path of a file");
        err = mr_props_load(props, argv[++i], ret_error);
    }
    return err;
}

mr_err mr_command_line_load(const mr_option *table, const char *who, int argc, char *const *argv,
                            mr_props *props, mr_error *ret_error)
{
    const mr_option *const tables[] = {table, NULL};
    mr_err err = load_files(props, argc, argv, ret_error);
    for (int i = 1; err == MR_OK && i < argc;) {
        if (strcmp(argv[i], "--config") == 0)
            i += 2;
        else
            err = take_argument(table, props, argc, argv, &i, ret_error);
    }
    return err == MR_OK ? mr_options_check(tables, props, who, ret_error) : err;
}

bool mr_command_line_has(int argc, char *const *argv, const char *argument)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], argument) == 0)
            return true;
    return false;
}
