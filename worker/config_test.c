#include "worker/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 20 };

/* The usual arguments, and `more`, which win. */
static mr_err open_with(const char *const *more, worker_config **ret_config, mr_error *error)
{
    const char *arguments[ARGUMENTS_MAX] = {
        "millrace-worker",
        "--coordinator",
        "ipc:///run/rpc.sock",
        "--staging.dir",
        "/s",
        "--state.dir",
        "/w",
        "--task.binary",
        "/t",
    };
    int count = 9;
    bool help;
    while (*more != NULL)
        arguments[count++] = *more++;
    return config_open(count, (char **)arguments, ret_config, &help, error);
}

#define WITH(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void expect_refused(const char *const *more, const char *words)
{
    worker_config *config = NULL;
    mr_error error;
    assert_int_equal(open_with(more, &config, &error), MR_EINVALID);
    assert_null(config);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
}

static void capacity_is_by_default_that_of_the_machine(void **state)
{
    (void)state;
    worker_config *config;
    mr_error error;
    assert_int_equal(open_with(WITH(), &config, &error), MR_OK);
    assert_true(config->cpu_millis >= 1000);
    assert_true(config->memory_bytes > 0);
    assert_true(strlen(config->name) > 0);
    config_close(&config);
}

static void options_of_the_command_line_win_over_the_file(void **state)
{
    (void)state;
    worker_config *config;
    mr_error error;
    bool help;
    char path[] = "/tmp/config-test-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    fprintf(file, "name=from-file\ncoordinator=tcp://127.0.0.1:7000\nstaging.dir=/s\nstate.dir=/w\n"
                  "task.binary=/t\ncapacity.cpu=1500\n");
    fclose(file);
    char *arguments[] = {"millrace-worker", "--name=from-command", "--config", path};
    assert_int_equal(config_open(4, arguments, &config, &help, &error), MR_OK);
    assert_string_equal(config->name, "from-command");
    assert_int_equal(config->cpu_millis, 1500);
    config_close(&config);
    unlink(path);
}

static void coordinator_elsewhere_needs_insecure(void **state)
{
    (void)state;
    worker_config *config;
    mr_error error;
    expect_refused(WITH("--coordinator", "tcp://10.0.0.1:7000"), "insecure=true");
    expect_refused(WITH("--coordinator", "tcp://0.0.0.0:7000"), "insecure=true");
    expect_refused(WITH("--coordinator", "ipc://relative"), "insecure=true");
    expect_refused(WITH("--coordinator", "tcp://127.example.org:7000"), "insecure=true");
    expect_refused(WITH("--coordinator", "http://127.0.0.1:7000"), "must be ipc");
    assert_int_equal(open_with(WITH("--insecure", "--coordinator", "tcp://10.0.0.1:7000"), &config, &error),
                     MR_OK);
    config_close(&config);
}

static void an_account_for_programs_is_checked(void **state)
{
    (void)state;
    expect_refused(WITH("--program.user", "no-such-account"),
                   geteuid() == 0 ? "there is no such account" : "only a worker that runs as root");
    if (geteuid() == 0)
        expect_refused(WITH("--program.user", "root"), "is root");
}

static void wrong_options_are_named(void **state)
{
    (void)state;
    expect_refused(WITH("--nmae", "w"), "--nmae");
    expect_refused(WITH("w1"), "\"w1\" is not an option");
    expect_refused(WITH("--name"), "--name needs a value");
    expect_refused(WITH("--config"), "--config needs");
    expect_refused(WITH("--capacity.cpu", "two"), "capacity.cpu");
    expect_refused(WITH("--name", "two words"), "blanks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_is_by_default_that_of_the_machine),
        cmocka_unit_test(options_of_the_command_line_win_over_the_file),
        cmocka_unit_test(coordinator_elsewhere_needs_insecure),
        cmocka_unit_test(an_account_for_programs_is_checked),
        cmocka_unit_test(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
