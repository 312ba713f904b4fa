#include "worker/config.h"

#include "core/command_line.h"
#include "proto/ids.h"
#include "worker/host.h"
#include "worker/program_user.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* clang-format off */
const mr_option worker_options[] = {
    { .name = "name", .type = MR_OPTION_TEXT,
      .help = "Name of this worker, unique in the cluster (default: the host's name)." },
    { .name = "coordinator", .type = MR_OPTION_TEXT, .required = true,
      .help = "Where the coordinator listens: ipc:///PATH/rpc.sock, or tcp://127.0.0.1:PORT." },
    { .name = "staging.dir", .type = MR_OPTION_TEXT, .required = true,
      .help = "Staging folder that coordinator and workers share." },
    { .name = "state.dir", .type = MR_OPTION_TEXT, .required = true,
      .help = "Folder of this worker alone; it remembers its tasks there." },
    { .name = "task.binary", .type = MR_OPTION_TEXT,
      .help = "The program that runs a task (default: millrace-task beside this program or in ../task)." },
    { .name = "program.user", .type = MR_OPTION_TEXT,
      .help = "Account that tenants' programs run as, where this worker runs as root (default: the worker's user)." },
    { .name = "capacity.cpu", .type = MR_OPTION_INTEGER, .default_value = "0", .minimum = 0, .maximum = 1000000,
      .help = "Processor time to give to tasks, in thousandths of a processor (0: all of this machine)." },
    { .name = "capacity.memory", .type = MR_OPTION_INTEGER, .default_value = "0", .minimum = 0, .maximum = INT64_MAX,
      .help = "Memory to give to tasks, in bytes (0: all of this machine)." },
    { .name = "insecure", .type = MR_OPTION_BOOLEAN, .default_value = "false",
      .help = "Allow a coordinator that is not on this machine: nothing is encrypted, nobody is authenticated." },
    { .name = "log.format", .type = MR_OPTION_TEXT, .default_value = "logfmt",
      .help = "Format of the log on standard error: logfmt or json." },
    { .name = "log.level", .type = MR_OPTION_TEXT, .default_value = "info",
      .help = "Least important level that is logged: debug, info, warn, error." },
    { .name = NULL },
};
/* clang-format on */

static void print_help(void)
{
    printf("Usage: millrace-worker --config FILE [--OPTION VALUE]...\n\n"
           "Runs the tasks that the coordinator gives to this machine, one process each.\n"
           "FILE holds OPTION=VALUE lines; options of the command line win.\n\n"
           "  millrace-worker --config /etc/millrace/worker.properties\n"
           "  millrace-worker --coordinator ipc:///var/lib/millrace/rpc.sock \\\n"
           "      --staging.dir /var/lib/millrace/staging --state.dir /var/lib/millrace/worker\n\n");
    mr_options_print(worker_options, false, stdout);
}

static bool is_local(const char *url)
{
    static const char *const local[] = {"ipc:///", "tcp://localhost:", "tcp://[::1]:"};
    static const char loopback[] = "tcp://127.";
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (strncmp(url, local[i], strlen(local[i])) == 0)
            return true;
    if (strncmp(url, loopback, sizeof loopback - 1) != 0)
        return false;
    const char *rest = url + sizeof loopback - 1; /* an address, not a name that begins like one */
    return rest[strspn(rest, "0123456789.")] == ':';
}

static mr_err check_coordinator(const char *url, bool insecure, mr_error *ret_error)
{
    if (strncmp(url, "ipc://", 6) != 0 && strncmp(url, "tcp://", 6) != 0)
        return mr_fail(ret_error, MR_EINVALID, "coordinator=%s: must be ipc:///PATH or tcp://127.0.0.1:PORT",
                       url);
    if (insecure || is_local(url))
        return MR_OK;
    return mr_fail(
        ret_error, MR_EINVALID,
        "coordinator=%s is not on this machine, and nothing protects the connection yet; insecure=true "
        "allows it",
        url);
}

static mr_err set_default(mr_props *props, const char *key, const char *value, mr_error *ret_error)
{
    return mr_props_set(props, key, value) == MR_OK ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory");
}

static mr_err set_default_name(mr_props *props, mr_error *ret_error)
{
    char host[HOST_NAME_MAX + 1];
    if (gethostname(host, sizeof host) != 0)
        return mr_fail_errno(ret_error, errno, "name of the host");
    host[sizeof host - 1] = '\0';
    return set_default(props, "name", host, ret_error);
}

/* millrace-task as it is installed, beside this program, or as it is built. */
static mr_err set_default_task_binary(mr_props *props, mr_error *ret_error)
{
    char here[PATH_MAX], path[PATH_MAX + 32];
    ssize_t size = readlink("/proc/self/exe", here, sizeof here - 1);
    if (size < 0)
        return mr_fail_errno(ret_error, errno, "/proc/self/exe");
    here[size] = '\0';
    *strrchr(here, '/') = '\0';
    snprintf(path, sizeof path, "%s/millrace-task", here);
    if (access(path, X_OK) != 0)
        snprintf(path, sizeof path, "%s/../task/millrace-task", here);
    if (access(path, X_OK) != 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "millrace-task is neither in %s nor in %s/../task: give task.binary", here, here);
    return set_default(props, "task.binary", path, ret_error);
}

static mr_err interpret(worker_config *c, mr_error *ret_error)
{
    const mr_option *table = worker_options;
    mr_err err = MR_OK;
    if (mr_props_get(c->props, "name") == NULL)
        err = set_default_name(c->props, ret_error);
    if (err == MR_OK && mr_props_get(c->props, "task.binary") == NULL)
        err = set_default_task_binary(c->props, ret_error);
    if (err != MR_OK)
        return err;
    int64_t cpu_millis = mr_option_integer(table, c->props, "capacity.cpu");
    int64_t memory_bytes = mr_option_integer(table, c->props, "capacity.memory");
    c->cpu_millis = cpu_millis == 0 ? host_cpu_millis() : (uint32_t)cpu_millis;
    c->memory_bytes = memory_bytes == 0 ? host_memory_bytes() : (uint64_t)memory_bytes;
    c->name = mr_option_text(table, c->props, "name");
    c->coordinator = mr_option_text(table, c->props, "coordinator");
    c->staging_dir = mr_option_text(table, c->props, "staging.dir");
    c->state_dir = mr_option_text(table, c->props, "state.dir");
    c->task_binary = mr_option_text(table, c->props, "task.binary");
    c->program_user = mr_option_text(table, c->props, "program.user");
    c->log_format = mr_option_text(table, c->props, "log.format");
    c->log_level = mr_option_text(table, c->props, "log.level");
    if (!mr_name_valid(c->name))
        return mr_fail(ret_error, MR_EINVALID,
                       "name=%s: must be printable ASCII without blanks, at most %d characters", c->name,
                       MR_NAME_MAX);
    err = check_coordinator(c->coordinator, mr_option_boolean(table, c->props, "insecure"), ret_error);
    if (err == MR_OK && c->program_user != NULL)
        err = program_user_check(c->program_user, c->staging_dir, ret_error);
    return err;
}

static bool answer_question(int argc, char **argv)
{
    if (mr_command_line_has(argc, argv, "--help"))
        print_help();
    else if (mr_command_line_has(argc, argv, "--version"))
        printf("millrace-worker %s\n", MR_VERSION);
    else
        return false;
    return true;
}

mr_err config_open(int argc, char **argv, worker_config **ret_config, bool *ret_help, mr_error *ret_error)
{
    if (answer_question(argc, argv)) {
        *ret_help = true;
        return MR_OK;
    }
    worker_config *c = calloc(1, sizeof *c);
    if (c == NULL || mr_props_open(&c->props) != MR_OK) {
        free(c);
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    }
    mr_err err = mr_command_line_load(worker_options, "millrace-worker", argc, argv, c->props, ret_error);
    if (err == MR_OK)
        err = interpret(c, ret_error);
    if (err != MR_OK) {
        config_close(&c);
        return err;
    }
    *ret_config = c;
    *ret_help = false;
    return MR_OK;
}

void config_close(worker_config **c)
{
    if (*c == NULL)
        return;
    mr_props_close(&(*c)->props);
    free(*c);
    *c = NULL;
}
