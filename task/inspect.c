#include "task/inspect.h"

#include "core/log.h"
#include "task/task.h"

#include <string.h>

static const struct {
    const char *name;
    const mr_option *keys;
    mr_err (*run)(const mr_props *config, FILE *out, mr_error *ret_error);
} kinds[] = {
    {"query", inspect_query_keys, inspect_query},
    {"rejected", inspect_topic_keys, inspect_rejected},
    {"rejected-csv", inspect_csv_keys, inspect_rejected_csv},
    {"topic", inspect_topic_keys, inspect_topic},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

void inspect_help(FILE *out)
{
    for (size_t i = 0; i < KINDS; i++) {
        fprintf(out, "\nKeys of --inspect %s (others are passed over):\n", kinds[i].name);
        mr_options_print(kinds[i].keys, false, out);
    }
}

/* Only the keys that the kind knows are checked. */
static mr_err pick(const mr_props *all, const mr_option *keys, mr_props *picked, mr_error *ret_error)
{
    const mr_option *tables[] = {keys, NULL};
    for (const mr_option *row = keys; row->name != NULL; row++) {
        const char *value = mr_props_get(all, row->name);
        if (value != NULL && mr_props_set(picked, row->name, value) != MR_OK)
            return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    }
    mr_err err = mr_props_resolve(picked, ret_error);
    return err == MR_OK ? mr_options_check(tables, picked, "inspect", ret_error) : err;
}

static mr_err look(size_t kind, const char *config_path, mr_props *all, mr_props *picked, mr_error *ret_error)
{
    mr_err err = mr_props_load(all, config_path, ret_error);
    if (err == MR_OK)
        err = pick(all, kinds[kind].keys, picked, ret_error);
    if (err == MR_OK)
        err = kinds[kind].run(picked, stdout, ret_error);
    if (fflush(stdout) != 0 && err == MR_OK)
        err = mr_fail(ret_error, MR_EIO, "the output cannot be written");
    return err;
}

int inspect_run(const char *kind, const char *config_path)
{
    size_t index = 0;
    while (index < KINDS && strcmp(kinds[index].name, kind) != 0)
        index++;
    if (index == KINDS) {
        fprintf(stderr, "millrace-task: --inspect %s: KIND is query, rejected, rejected-csv or topic\n",
                kind);
        return EXIT_USAGE;
    }
    mr_error error;
    mr_props *all = NULL, *picked = NULL;
    mr_err err = mr_props_open(&all);
    if (err == MR_OK)
        err = mr_props_open(&picked);
    err =
        err == MR_OK ? look(index, config_path, all, picked, &error) : mr_fail(&error, err, "out of memory");
    if (err != MR_OK)
        mr_log_failure(MR_ERROR, "inspect", &error, MR_STR("kind", kind));
    mr_props_close(&all);
    mr_props_close(&picked);
    return err == MR_OK ? EXIT_ENDED : EXIT_FAILED;
}
