#include "coordinator/config.h"

#include "core/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
const mr_option mr_coordinator_options[] = {
    { .name = "data.dir", .type = MR_OPTION_TEXT, .default_value = "run/coordinator",
      .help = "Folder of coordinator.db, and of all below that is not configured elsewhere." },
    { .name = "listen", .type = MR_OPTION_TEXT, .default_value = "127.0.0.1:8083",
      .help = "Address and port of the REST API." },
    { .name = "rest.connections.max", .type = MR_OPTION_INTEGER, .default_value = "1000", .minimum = 10, .maximum = 100000,
      .help = "Connections to the REST API at a time; when there are more, those that wait or are slow are closed first." },
    { .name = "rest.head.ms", .type = MR_OPTION_INTEGER, .default_value = "10000", .minimum = 100, .maximum = 3600000,
      .help = "Milliseconds in which the head of a request must have come after connecting." },
    { .name = "rest.idle.ms", .type = MR_OPTION_INTEGER, .default_value = "60000", .minimum = 100, .maximum = 3600000,
      .help = "Milliseconds after which a connection is closed on which no other request comes." },
    { .name = "rest.slow.ms", .type = MR_OPTION_INTEGER, .default_value = "30000", .minimum = 100, .maximum = 3600000,
      .help = "Milliseconds after which a body that is sent, or an answer that is read, at less than 500 bytes a second is cut off." },
    { .name = "rpc", .type = MR_OPTION_TEXT,
      .help = "Where workers connect: ipc:///PATH or tcp://127.0.0.1:PORT (default: ipc://{data.dir}/rpc.sock)." },
    { .name = "staging.dir", .type = MR_OPTION_TEXT,
      .help = "Folder of files, programs and runs, shared with the workers (default: {data.dir}/staging)." },
    { .name = "bus", .type = MR_OPTION_TEXT, .default_value = "embedded", .help = "The bus: embedded." },
    { .name = "bus.dir", .type = MR_OPTION_TEXT, .help = "Folder of the embedded bus (default: {data.dir}/bus)." },
    { .name = "store", .type = MR_OPTION_TEXT, .default_value = "sqlite",
      .help = "Class of the sink of agreements that name none." },
    { .name = "store.dir", .type = MR_OPTION_TEXT, .help = "Folder of the embedded stores (default: {data.dir}/store)." },
    { .name = "worker_grace_ms", .type = MR_OPTION_INTEGER, .default_value = "3000", .minimum = 0, .maximum = 600000,
      .help = "Milliseconds after the start in which no task is moved, so that workers can report first." },
    { .name = "source.cpu.millis", .type = MR_OPTION_INTEGER, .default_value = "100", .minimum = 0, .maximum = 1000000,
      .help = "Thousandths of a processor that placement reckons for a source task." },
    { .name = "source.memory.bytes", .type = MR_OPTION_INTEGER, .default_value = "67108864", .minimum = 0, .maximum = INT64_MAX,
      .help = "Memory in bytes that placement reckons for a source task." },
    { .name = "sink.cpu.millis", .type = MR_OPTION_INTEGER, .default_value = "100", .minimum = 0, .maximum = 1000000,
      .help = "Thousandths of a processor that placement reckons for a sink task." },
    { .name = "sink.memory.bytes", .type = MR_OPTION_INTEGER, .default_value = "67108864", .minimum = 0, .maximum = INT64_MAX,
      .help = "Memory in bytes that placement reckons for a sink task." },
    { .name = "undelivered.max.bytes", .type = MR_OPTION_INTEGER, .default_value = "4294967296", .minimum = 0, .maximum = INT64_MAX,
      .help = "Bytes of a tenant's files read but not delivered, above which its next run waits to read." },
    { .name = "audit.retention.days", .type = MR_OPTION_INTEGER, .default_value = "365", .minimum = 1, .maximum = 36500,
      .help = "Days for which entries of the audit trail are kept." },
    { .name = "task.binary", .type = MR_OPTION_TEXT,
      .help = "The program that inspects bus and stores (default: millrace-task beside this program or in ../task)." },
    { .name = "insecure", .type = MR_OPTION_BOOLEAN, .default_value = "false",
      .help = "Allow addresses that are not loopback: nothing is encrypted, nobody is authenticated." },
    { .name = "log.format", .type = MR_OPTION_TEXT, .default_value = "logfmt",
      .help = "Format of the log on standard error: logfmt or json." },
    { .name = "log.level", .type = MR_OPTION_TEXT, .default_value = "info",
      .help = "Least important level that is logged: debug, info, warn, error." },
    { .name = NULL },
};
/* clang-format on */

static void print_help(void)
{
    printf("Usage: millrace-coordinator [--config FILE] [--OPTION VALUE]...\n\n"
           "Keeps tenants, schedules and runs, and gives tasks to workers.\n"
           "FILE holds OPTION=VALUE lines; options of the command line win.\n\n"
           "  millrace-coordinator --config /etc/millrace/coordinator.properties\n"
           "  millrace-coordinator --data.dir /var/lib/millrace --listen 127.0.0.1:8083\n\n");
    mr_options_print(mr_coordinator_options, false, stdout);
}

static bool answer_question(int argc, char **argv)
{
    if (mr_command_line_has(argc, argv, "--help"))
        print_help();
    else if (mr_command_line_has(argc, argv, "--version"))
        printf("millrace-coordinator %s\n", MR_VERSION);
    else
        return false;
    return true;
}

/* mkdir -p, and the absolute path. */
static mr_err make_folder(const char *option, const char *path, char *out, mr_error *ret_error)
{
    char parts[PATH_MAX];
    if (snprintf(parts, sizeof parts, "%s", path) >= (int)sizeof parts - 256)
        return mr_fail(ret_error, MR_EINVALID, "%s: the path is too long", option);
    for (char *slash = strchr(parts + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(parts, 0755) != 0 && errno != EEXIST)
            return mr_fail_errno(ret_error, errno, "%s: %s", option, parts);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    if (realpath(path, out) == NULL)
        return mr_fail_errno(ret_error, errno, "%s: %s", option, path);
    return MR_OK;
}

static mr_err folder_of(mr_coordinator_config *config, const char *option, const char *below, char *out,
                        mr_error *ret_error)
{
    char path[PATH_MAX + 16];
    const char *given = mr_props_get(config->props, option);
    snprintf(path, sizeof path, "%s/%s", config->data_dir, below);
    return make_folder(option, given != NULL ? given : path, out, ret_error);
}

/* Workers are not authenticated beyond the socket's mode: nobody else may reach it. */
static mr_err check_rpc(const mr_coordinator_config *config, mr_error *ret_error)
{
    const char *url = config->rpc;
    bool loopback = strncmp(url, "ipc:///", 7) == 0 || strncmp(url, "tcp://127.0.0.1:", 16) == 0 ||
                    strncmp(url, "tcp://[::1]:", 12) == 0 || strncmp(url, "tcp://localhost:", 16) == 0;
    if (strncmp(url, "ipc:///", 7) != 0 && strncmp(url, "tcp://", 6) != 0)
        return mr_fail(ret_error, MR_EINVALID, "rpc: \"%s\" must be ipc:///PATH or tcp://HOST:PORT", url);
    if (strncmp(url, "ipc:///", 7) == 0 && strlen(url) - 6 > 107)
        return mr_fail(ret_error, MR_EINVALID,
                       "rpc: the path of a socket has at most 107 bytes: set rpc to a shorter one "
                       "than %s",
                       url + 6);
    if (!loopback && !config->rest.insecure)
        return mr_fail(ret_error, MR_EREFUSED,
                       "rpc: %s is not loopback; anyone could run programs here. --insecure allows "
                       "it",
                       url);
    return MR_OK;
}

static void find_task_binary(mr_coordinator_config *config)
{
    static const char *const places[] = {"millrace-task", "../task/millrace-task"};
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    const char *given = mr_props_get(config->props, "task.binary");
    if (given != NULL) {
        snprintf(config->task_binary, sizeof config->task_binary, "%s", given);
        return;
    }
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = size > 0 ? strrchr(self, '/') : NULL;
    for (size_t i = 0; slash != NULL && i < 2; i++) {
        snprintf(path, sizeof path, "%.*s/%s", (int)(slash - self), self, places[i]);
        if (realpath(path, config->task_binary) != NULL)
            return;
    }
    snprintf(config->task_binary, sizeof config->task_binary, "millrace-task");
}

static mr_err resolve(mr_coordinator_config *config, mr_error *ret_error)
{
    const mr_option *table = mr_coordinator_options;
    const mr_props *props = config->props;
    mr_err err =
        make_folder("data.dir", mr_option_text(table, props, "data.dir"), config->data_dir, ret_error);
    if (err == MR_OK)
        err = folder_of(config, "staging.dir", "staging", config->staging_dir, ret_error);
    if (err == MR_OK)
        err = folder_of(config, "bus.dir", "bus", config->bus_dir, ret_error);
    if (err == MR_OK)
        err = folder_of(config, "store.dir", "store", config->store_dir, ret_error);
    if (err != MR_OK)
        return err;
    const char *rpc = mr_props_get(props, "rpc");
    if (rpc != NULL)
        snprintf(config->rpc, sizeof config->rpc, "%s", rpc);
    else
        snprintf(config->rpc, sizeof config->rpc, "ipc://%s/rpc.sock", config->data_dir);
    find_task_binary(config);
    config->rest = (mr_rest_config){
        .listen = mr_option_text(table, props, "listen"),
        .insecure = mr_option_boolean(table, props, "insecure"),
        .task_binary = config->task_binary,
        .connections = {.most = (size_t)mr_option_integer(table, props, "rest.connections.max"),
                        .head_ms = mr_option_integer(table, props, "rest.head.ms"),
                        .idle_ms = mr_option_integer(table, props, "rest.idle.ms"),
                        .slow_ms = mr_option_integer(table, props, "rest.slow.ms")},
    };
    config->service = (mr_service_config){
        .data_dir = config->data_dir,
        .staging_dir = config->staging_dir,
        .bus = mr_option_text(table, props, "bus"),
        .bus_dir = config->bus_dir,
        .store = mr_option_text(table, props, "store"),
        .store_dir = config->store_dir,
        .worker_grace_ms = mr_option_integer(table, props, "worker_grace_ms"),
        .source_memory_bytes = mr_option_integer(table, props, "source.memory.bytes"),
        .sink_memory_bytes = mr_option_integer(table, props, "sink.memory.bytes"),
        .source_cpu_millis = (uint32_t)mr_option_integer(table, props, "source.cpu.millis"),
        .sink_cpu_millis = (uint32_t)mr_option_integer(table, props, "sink.cpu.millis"),
        .audit_retention_days = mr_option_integer(table, props, "audit.retention.days"),
        .undelivered_max_bytes = mr_option_integer(table, props, "undelivered.max.bytes"),
    };
    config->log_format = mr_option_text(table, props, "log.format");
    config->log_level = mr_option_text(table, props, "log.level");
    if (strcmp(config->service.bus, "embedded") != 0)
        return mr_fail(ret_error, MR_EINVALID, "bus: \"%s\" is not known; there is embedded",
                       config->service.bus);
    return check_rpc(config, ret_error);
}

mr_err mr_coordinator_config_init(mr_coordinator_config *config, int argc, char **argv, bool *ret_help,
                                  mr_error *ret_error)
{
    *config = (mr_coordinator_config){0};
    *ret_help = answer_question(argc, argv);
    if (*ret_help)
        return MR_OK;
    if (mr_props_open(&config->props) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_err err = mr_command_line_load(mr_coordinator_options, "millrace-coordinator", argc, argv,
                                      config->props, ret_error);
    return err == MR_OK ? resolve(config, ret_error) : err;
}

void mr_coordinator_config_fini(mr_coordinator_config *config)
{
    mr_props_close(&config->props);
}
