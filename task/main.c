/* main.c - millrace-task: one process, one assignment, or one read-only look. */
#include "core/log.h"
#include "task/inspect.h"
#include "task/task.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static const char usage[] =
    "millrace-task - moves data: one process for one assignment\n"
    "\n"
    "  millrace-task --config FILE                  run the source, sink, program, fence or "
    "release that FILE describes\n"
    "  millrace-task --inspect KIND --config FILE   look only; KIND is query, rejected, rejected-csv or "
    "topic\n"
    "  millrace-task --help | --version\n"
    "\n"
    "FILE is a properties file (key=value). A worker starts the task without options and sends the same keys "
    "over\n"
    "descriptor 3 (MILLRACE_CONTROL_FD=3). By hand, raise `epoch` by one with each start; SIGTERM and Ctrl-C "
    "stop it.\n"
    "\n"
    "Examples:\n"
    "  millrace-task --config source.properties\n"
    "  millrace-task --config sink.properties        (until.end=true ends it when it has caught up)\n"
    "  millrace-task --inspect topic --config topic.properties | head\n"
    "\n"
    "Exit codes: 0 ended, 1 failed, 2 wrong usage, 4 fenced by a newer epoch.\n";

static const struct {
    task_kind kind;
    const char *title;
} kinds[] = {{TASK_SOURCE, "source"},
             {TASK_SINK, "sink"},
             {TASK_PROGRAM, "program"},
             {TASK_FENCE, "fence"},
             {TASK_RELEASE, "release"}};

static int help(void)
{
    fputs(usage, stdout);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        printf("\nKeys of kind=%s (and the options of its connector.class):\n", kinds[i].title);
        for (const mr_option *const *table = assignment_tables(kinds[i].kind); *table != NULL; table++)
            mr_options_print(*table, false, stdout);
    }
    inspect_help(stdout);
    return EXIT_ENDED;
}

static int fail(const mr_error *error, const char *event)
{
    mr_log_failure(MR_ERROR, event, error);
    return EXIT_FAILED;
}

/* The first packet is the assignment; without one there is nothing to do. */
static mr_err first_assignment(task_context *task, mr_error *ret_error)
{
    while (task->message == NULL) {
        control_wait(task->control, -1);
        if (control_stopping(task->control))
            return mr_fail(ret_error, MR_EREFUSED, "stopped before an assignment came");
        (void)task_look(task);
    }
    return MR_OK;
}

/* A program's tree can only be ended by its task, so that one outlives the worker until it has seen the
 * socket end. */
static void die_with_worker(const task_context *task)
{
    prctl(PR_SET_PDEATHSIG, task->message->kind == MR__PROTO__TASK_KIND__PROGRAM ? 0 : SIGKILL);
}

static void name_logs(const mr_props *raw)
{
    static const char *const keys[][2] = {{"tenant", "tenant"}, {"connector", "name"}, {"task", "task"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (mr_props_get(raw, keys[i][1]) != NULL)
            mr_log_context(keys[i][0], mr_props_get(raw, keys[i][1]));
}

static mr_err load_config(const char *path, mr_props **ret_props, mr_error *ret_error)
{
    mr_props *props = NULL;
    mr_err err = mr_props_open(&props);
    if (err != MR_OK)
        return mr_fail(ret_error, err, "out of memory");
    if ((err = mr_props_load(props, path, ret_error)) != MR_OK)
        mr_props_close(&props);
    else
        *ret_props = props;
    return err;
}

static int run(int control_fd, const char *config)
{
    task_context task = {0};
    mr_error error;
    if (config != NULL && load_config(config, &task.raw, &error) != MR_OK)
        return fail(&error, "configuration");
    if (config != NULL)
        name_logs(task.raw);
    mr_err err = status_open(&task.status, &error);
    if (err == MR_OK)
        err = control_open(control_fd, task.status, &task.control, &error);
    if (err == MR_OK && config == NULL)
        err = first_assignment(&task, &error);
    if (err == MR_OK && config == NULL) {
        die_with_worker(&task);
        name_logs(task.raw);
    }
    int code = err == MR_OK ? task_run(&task) : fail(&error, "start");
    control_close(&task.control);
    status_close(&task.status);
    mr_props_close(&task.raw);
    mr_assignment_close(&task.message);
    return code;
}

static int wrong_usage(const char *text)
{
    fprintf(stderr, "millrace-task: %s; see millrace-task --help\n", text);
    return EXIT_USAGE;
}

/* Descriptor 3, when the environment says that a worker is at its other end. */
static int control_descriptor(void)
{
    const char *text = getenv("MILLRACE_CONTROL_FD");
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    int fd = (int)strtol(text, NULL, 10);
    unsetenv("MILLRACE_CONTROL_FD");
    return fd;
}

int main(int argc, char **argv)
{
    umask(066); /* files are ours alone; folders may be passed by who knows the way: programs do */
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"inspect", required_argument, NULL, 'i'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    const char *config = NULL, *inspect = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'c')
            config = optarg;
        else if (c == 'i')
            inspect = optarg;
        else if (c == 'h')
            return help();
        else if (c == 'v')
            return puts("millrace-task " MR_VERSION) < 0;
        else
            return EXIT_USAGE;
    }
    if (optind < argc)
        return wrong_usage("arguments without an option");
    if (inspect != NULL && config == NULL)
        return wrong_usage("--inspect needs --config FILE");
    if (inspect != NULL)
        return inspect_run(inspect, config);
    int control_fd = control_descriptor();
    if (config == NULL && control_fd < 0)
        return wrong_usage("--config FILE is missing");
    return run(config == NULL ? control_fd : -1, config);
}
