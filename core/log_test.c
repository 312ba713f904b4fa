#include "core/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int pipe_out;
static int stderr_kept;

/* From here to captured(), stderr goes into a pipe. */
static void capture(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pipe_out = ends[0];
    stderr_kept = dup(STDERR_FILENO);
    assert_true(stderr_kept >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
}

static const char *captured(void)
{
    static char text[16384];
    assert_int_equal(dup2(stderr_kept, STDERR_FILENO), STDERR_FILENO);
    close(stderr_kept);
    ssize_t size = read(pipe_out, text, sizeof text - 1);
    close(pipe_out);
    text[size < 0 ? 0 : size] = '\0';
    return text;
}

static void configure(const char *format, const char *level)
{
    assert_int_equal(mr_log_configure(format, level, NULL), MR_OK);
}

static void test_a_logfmt_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    configure("logfmt", "info");
    capture();
    mr_log(MR_INFO, "run claimed", MR_STR("tenant", "client_a"), MR_INT("files", -2), MR_REAL("ratio", 0.5));
    const char *line = captured();
    assert_ptr_equal(strstr(line, "time=20"), line);
    assert_string_equal(strstr(line, "Z level="),
                        "Z level=info event=\"run claimed\" tenant=client_a files=-2 ratio=0.5\n");
}

static void test_an_event_needs_no_fields(void **state)
{
    (void)state;
    configure("logfmt", "info");
    capture();
    mr_log(MR_WARN, "started");
    assert_non_null(strstr(captured(), " level=warn event=started\n"));
}

static void test_values_are_quoted_where_a_reader_needs_it(void **state)
{
    (void)state;
    configure("logfmt", "info");
    capture();
    mr_log(MR_INFO, "x", MR_STR("a", ""), MR_STR("b", NULL), MR_STR("c", "say \"hi\"\n\x01\\"),
           MR_STR("d", "k=v"));
    assert_non_null(strstr(captured(), " a=\"\" b=\"\" c=\"say \\\"hi\\\"\\n\\u0001\\\\\" d=\"k=v\"\n"));
}

static void test_a_json_line_is_one_object(void **state)
{
    (void)state;
    configure("json", "info");
    capture();
    mr_log(MR_ERROR, "upload cut", MR_STR("file", "a\tb\"\xc3\xa9"), MR_INT("size_bytes", 12));
    json_t *line = json_loads(captured(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "upload cut");
    assert_string_equal(json_string_value(json_object_get(line, "file")), "a\tb\"\xc3\xa9");
    assert_int_equal(json_integer_value(json_object_get(line, "size_bytes")), 12);
    json_decref(line);
}

static void test_a_level_below_the_wanted_one_is_silent(void **state)
{
    (void)state;
    configure("logfmt", "warn");
    capture();
    mr_log(MR_INFO, "hidden");
    mr_log(MR_WARN, "shown");
    const char *text = captured();
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "shown"));
}

static void test_a_failure_carries_text_code_and_class(void **state)
{
    (void)state;
    mr_error error;
    (void)mr_fail(&error, MR_EINVALID, "it is wrong");
    configure("logfmt", "info");
    capture();
    mr_log_failure(MR_ERROR, "apply refused", &error, MR_STR("tenant", "t"));
    assert_non_null(strstr(captured(), " tenant=t error=\"it is wrong\" code=MR_EINVALID class=config\n"));
}

static void test_a_line_that_is_too_long_is_cut_and_still_ends(void **state)
{
    (void)state;
    static char large[10000];
    memset(large, 'x', sizeof large - 1);
    configure("logfmt", "info");
    capture();
    mr_log(MR_INFO, "long", MR_STR("text", large));
    const char *line = captured();
    assert_true(strlen(line) < 5000);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_what_is_no_format_or_level_is_refused(void **state)
{
    (void)state;
    mr_error error;
    assert_int_equal(mr_log_configure("xml", "info", &error), MR_EINVALID);
    assert_string_equal(error.text, "log.format: \"xml\" is neither logfmt nor json");
    assert_int_equal(mr_log_configure("json", "loud", &error), MR_EINVALID);
}

/* Last: what it adds stays for the process. */
static void test_context_is_on_every_later_line(void **state)
{
    (void)state;
    configure("logfmt", "info");
    mr_log_context("worker", "w1");
    capture();
    mr_log(MR_INFO, "started", MR_INT("tasks", 0));
    assert_non_null(strstr(captured(), " event=started worker=w1 tasks=0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_logfmt_line_has_time_level_event_and_fields),
        cmocka_unit_test(test_an_event_needs_no_fields),
        cmocka_unit_test(test_values_are_quoted_where_a_reader_needs_it),
        cmocka_unit_test(test_a_json_line_is_one_object),
        cmocka_unit_test(test_a_level_below_the_wanted_one_is_silent),
        cmocka_unit_test(test_a_failure_carries_text_code_and_class),
        cmocka_unit_test(test_a_line_that_is_too_long_is_cut_and_still_ends),
        cmocka_unit_test(test_what_is_no_format_or_level_is_refused),
        cmocka_unit_test(test_context_is_on_every_later_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
