#include "core/command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const mr_option table[] = {
    {.name = "name", .type = MR_OPTION_TEXT, .help = "Name."},
    {.name = "size",
     .type = MR_OPTION_INTEGER,
     .default_value = "1",
     .minimum = 1,
     .maximum = 9,
     .help = "Size."},
    {.name = "open", .type = MR_OPTION_BOOLEAN, .default_value = "false", .help = "Open."},
    {.name = NULL},
};

static mr_err load(mr_props **ret_props, mr_error *error, int argc, char *const *argv)
{
    assert_int_equal(mr_props_open(ret_props), MR_OK);
    return mr_command_line_load(table, "test", argc, argv, *ret_props, error);
}

static void arguments_win_over_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/millrace-command-line-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "name=file\nsize=3\n") > 0);
    close(fd);
    mr_props *props;
    mr_error error;
    char *const argv[] = {"test", "--size=4", "--open", "--config", path};
    assert_int_equal(load(&props, &error, 5, argv), MR_OK);
    assert_string_equal(mr_props_get(props, "name"), "file");
    assert_int_equal(mr_option_integer(table, props, "size"), 4);
    assert_true(mr_option_boolean(table, props, "open"));
    mr_props_close(&props);
    unlink(path);
}

static void wrong_usage_is_told(char *const *argv, int argc, const char *expected)
{
    mr_props *props;
    mr_error error;
    assert_int_equal(load(&props, &error, argc, argv), MR_EINVALID);
    assert_non_null(strstr(error.text, expected));
    mr_props_close(&props);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    wrong_usage_is_told((char *const[]){"test", "--nmae", "x"}, 3, "unknown option --nmae");
    wrong_usage_is_told((char *const[]){"test", "stray"}, 2, "\"stray\" is not an option");
    wrong_usage_is_told((char *const[]){"test", "--name"}, 2, "--name needs a value");
    wrong_usage_is_told((char *const[]){"test", "--config"}, 2, "--config needs");
    wrong_usage_is_told((char *const[]){"test", "--size", "10"}, 3, "size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_win_over_the_file),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
