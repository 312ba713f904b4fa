#include "coordinator/agreement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static mr_error error;
static mr_warnings warnings;

static mr_agreement *parse(const char *text, bool strict)
{
    const mr_agreement_rules rules = {
        .document = "agreement.json", .default_store = "sqlite", .strict = strict};
    mr_agreement *agreement = NULL;
    mr_warnings_fini(&warnings);
    error = (mr_error){.code = MR_OK};
    (void)mr_agreement_parse(mr_slice_of(text), &rules, &warnings, &agreement, &error);
    return agreement;
}

static void expect_error(const char *text, const char *message)
{
    mr_agreement *agreement = parse(text, false);
    assert_null(agreement);
    assert_string_equal(error.text, message);
    mr_warnings_fini(&warnings);
}

#define HEAD "{\"client\":\"client_a\",\"schedule\":\"0 * * * *\""

static void an_agreement_of_two_fields_gets_defaults(void **state)
{
    (void)state;
    mr_agreement *agreement = parse(HEAD "}", true);
    assert_non_null(agreement);
    assert_string_equal(agreement->text, HEAD "}");
    assert_string_equal(agreement->client, "client_a");
    assert_int_equal(agreement->data_retention_period_days, 7);
    assert_int_equal(agreement->requests.memory_bytes, 64 << 20);
    assert_int_equal(agreement->limits.cpu_millis, 500);
    assert_int_equal(agreement->attempts, 3);
    assert_int_equal(agreement->program_deadline_seconds, 3600);
    assert_int_equal(agreement->program_command_count, 0);
    assert_int_equal(agreement->sink_count, 1);
    assert_string_equal(agreement->sinks[0].name, "store");
    assert_string_equal(agreement->sinks[0].class_name, "sqlite");
    assert_true(agreement->max_rejected_percent < 0);
    assert_true(agreement->max_rejected_rows < 0);
    mr_agreement_close(&agreement);
}

static const char tenant_b[] =
    "{ \"client\": \"client_b\", \"data_retention_period_days\": \"3\", \"schedule\": \"*/1 * * * *\","
    "  \"resources\": { \"requests\": { \"memory\": \"128Mi\", \"cpu\": \"500m\" },"
    "                   \"limits\": { \"memory\": \"256Mi\", \"cpu\": \"1Gi\" } } }";

static void oddities_load_with_a_warning_that_names_the_field(void **state)
{
    (void)state;
    mr_agreement *agreement = parse(tenant_b, false);
    assert_non_null(agreement);
    assert_int_equal(agreement->data_retention_period_days, 3);
    assert_int_equal(agreement->limits.cpu_millis, 1000);
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.texts[0],
                        "agreement.json: field \"data_retention_period_days\": is a string; taken "
                        "as the number 3");
    assert_string_equal(warnings.texts[1],
                        "agreement.json: field \"resources.limits.cpu\": \"1Gi\" has a unit of "
                        "memory; taken as 1000m");
    mr_agreement_close(&agreement);
    mr_warnings_fini(&warnings);
}

static void strict_refuses_oddities(void **state)
{
    (void)state;
    assert_null(parse(tenant_b, true));
    assert_string_equal(error.text,
                        "agreement.json: field \"data_retention_period_days\": is a string; taken as the "
                        "number 3 (strict)");
}

static void an_unknown_field_is_refused_with_the_nearest_name(void **state)
{
    (void)state;
    expect_error(HEAD ",\"resource\":{}}",
                 "agreement.json: field \"resource\": unknown field; did you mean \"resources\"?");
    expect_error(HEAD ",\"zzzzzzzzzzzz\":1}", "agreement.json: field \"zzzzzzzzzzzz\": unknown field");
    expect_error(
        HEAD ",\"resources\":{\"limits\":{\"memroy\":\"1Gi\"}}}",
        "agreement.json: field \"resources.limits.memroy\": unknown field; did you mean \"memory\"?");
}

static void missing_fields_are_named(void **state)
{
    (void)state;
    expect_error("{\"schedule\":\"0 * * * *\"}", "agreement.json: field \"client\": is missing");
    expect_error("{\"client\":\"a\"}", "agreement.json: field \"schedule\": is missing");
}

static void a_client_must_be_a_tenant_id(void **state)
{
    (void)state;
    assert_null(parse("{\"client\":\"../etc\",\"schedule\":\"0 * * * *\"}", false));
    assert_non_null(strstr(error.text, "field \"client\": \"../etc\" is not a tenant id"));
}

static void a_bad_schedule_is_refused_with_the_position(void **state)
{
    (void)state;
    assert_null(parse("{\"client\":\"a\",\"schedule\":\"0 25 * * *\"}", false));
    assert_non_null(strstr(error.text, "agreement.json: field \"schedule\": "));
    assert_non_null(strstr(error.text, "column 3"));
    expect_error("{\"client\":\"a\",\"schedule\":\"0 0 30 2 *\"}",
                 "agreement.json: field \"schedule\": \"0 0 30 2 *\" never comes");
}

static void text_that_is_not_json_is_refused_with_line_and_column(void **state)
{
    (void)state;
    assert_null(parse("{\"client\":\n \"a\",,}", false));
    assert_non_null(strstr(error.text, "agreement.json: line 2, column 6: "));
    assert_null(parse("{\"client\":\"a\",\"client\":\"b\"}", false));
    assert_non_null(strstr(error.text, "duplicate object key"));
    assert_null(parse("[]", false));
    assert_string_equal(error.text, "agreement.json: a JSON object is expected");
    assert_null(parse("{\"client\":\"\xff\"}", false));
    assert_null(parse("", false));
}

static void a_text_beyond_the_bound_is_too_large(void **state)
{
    (void)state;
    const size_t size = 1024 * 1024 + 1;
    char *text = malloc(size);
    memset(text, ' ', size);
    const mr_agreement_rules rules = {.document = "agreement.json", .default_store = "sqlite"};
    mr_agreement *agreement = NULL;
    assert_int_equal(mr_agreement_parse((mr_slice){text, size}, &rules, NULL, &agreement, &error),
                     MR_ETOOLARGE);
    free(text);
}

static void what_becomes_of_due_times_is_checked(void **state)
{
    (void)state;
    expect_error(HEAD ",\"catchup\":\"last\"}",
                 "agreement.json: field \"catchup\": must be \"latest\", \"none\" or \"all\"");
    expect_error(
        HEAD ",\"starting_deadline_seconds\":0}",
        "agreement.json: field \"starting_deadline_seconds\": 0 is out of range: from 1 to 31536000");
    expect_error(
        HEAD ",\"concurrency_policy\":\"Forbid\"}",
        "agreement.json: field \"concurrency_policy\": must be \"forbid\", \"allow\" or \"replace\"");
    expect_error(
        HEAD ",\"concurrency_policy\":\"replace\",\"catchup\":\"all\"}",
        "agreement.json: field \"catchup\": \"all\" and concurrency_policy \"replace\" contradict each "
        "other: each missed run would end the one before");
    expect_error(HEAD ",\"suspend\":1}", "agreement.json: field \"suspend\": true or false is expected");
    expect_error(HEAD ",\"timezone\":\"UTC\"}",
                 "agreement.json: field \"timezone\": unknown field; did you mean \"time_zone\"?");
    expect_error(HEAD ",\"program\":{\"env\":{\"DUE_TIME\":\"x\"}}}",
                 "agreement.json: field \"program.env.DUE_TIME\": is set by Millrace; choose another name");
}

static void streaming_is_refused_by_name(void **state)
{
    (void)state;
    expect_error(
        HEAD ",\"mode\":\"streaming\"}",
        "agreement.json: field \"mode\": \"streaming\" is not offered by this version; use \"batch\"");
    expect_error(HEAD ",\"mode\":\"cron\"}", "agreement.json: field \"mode\": must be \"batch\"");
}

static void disk_and_processes_have_limits(void **state)
{
    (void)state;
    mr_agreement *agreement =
        parse(HEAD ",\"resources\":{\"limits\":{\"disk\":\"1Gi\",\"processes\":20}}}", false);
    assert_int_equal(agreement->limit_disk_bytes, 1ull << 30);
    assert_int_equal(agreement->limit_processes, 20);
    mr_agreement_close(&agreement);
    agreement = parse(HEAD "}", false);
    assert_int_equal(agreement->limit_disk_bytes, 4ull << 30);
    assert_int_equal(agreement->limit_processes, 256);
    mr_agreement_close(&agreement);
    expect_error(HEAD ",\"resources\":{\"requests\":{\"disk\":\"1Gi\"}}}",
                 "agreement.json: field \"resources.requests.disk\": unknown field");
    expect_error(HEAD ",\"resources\":{\"limits\":{\"processes\":0}}}",
                 "agreement.json: field \"resources.limits.processes\": 0 is out of range: from 1 to 10000");
}

static void limits_below_requests_are_refused(void **state)
{
    (void)state;
    expect_error(HEAD ",\"resources\":{\"requests\":{\"memory\":\"2Gi\"},\"limits\":{\"memory\":\"1Gi\"}}}",
                 "agreement.json: field \"resources.limits.memory\": is less than resources.requests.memory");
    mr_agreement *agreement = parse(HEAD ",\"resources\":{\"requests\":{\"memory\":\"2Gi\"}}}", true);
    assert_non_null(agreement);
    assert_int_equal(agreement->limits.memory_bytes, 2ull << 30);
    mr_agreement_close(&agreement);
}

static void a_program_has_command_deadline_and_environment(void **state)
{
    (void)state;
    mr_agreement *agreement =
        parse(HEAD ",\"attempts\":5,\"program\":{\"command\":[\"python3\",\"clean.py\",\"\"],"
                   "\"deadline_seconds\":60,\"env\":{\"LEVEL\":\"2\"}}}",
              true);
    assert_non_null(agreement);
    assert_int_equal(agreement->attempts, 5);
    assert_int_equal(agreement->program_command_count, 3);
    assert_string_equal(agreement->program_command[1], "clean.py");
    assert_null(agreement->program_command[3]);
    assert_int_equal(agreement->program_deadline_seconds, 60);
    assert_int_equal(agreement->program_env_count, 1);
    assert_string_equal(agreement->program_env[0].name, "LEVEL");
    assert_string_equal(agreement->program_env[0].value, "2");
    mr_agreement_close(&agreement);
}

static void program_settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    expect_error(HEAD ",\"program\":{\"command\":[]}}",
                 "agreement.json: field \"program.command\": its first element must name the program");
    expect_error(HEAD ",\"program\":{\"command\":[\"a\",1]}}",
                 "agreement.json: field \"program.command[1]\": a string is expected");
    expect_error(HEAD ",\"program\":{\"deadline_seconds\":0}}",
                 "agreement.json: field \"program.deadline_seconds\": 0 is out of range: from 1 to 604800");
    expect_error(
        HEAD ",\"program\":{\"env\":{\"SOURCE_PATH\":\"x\"}}}",
        "agreement.json: field \"program.env.SOURCE_PATH\": is set by Millrace; choose another name");
    expect_error(HEAD ",\"program\":{\"env\":{\"A=B\":\"x\"}}}",
                 "agreement.json: field \"program.env.A=B\": is not a name of an environment variable");
    expect_error(HEAD ",\"program\":\"run\"}", "agreement.json: field \"program\": an object is expected");
}

static void sinks_are_checked_against_their_class(void **state)
{
    (void)state;
    expect_error(HEAD ",\"sinks\":[]}",
                 "agreement.json: field \"sinks\": an array of 1 to 20 objects is expected");
    expect_error(HEAD ",\"sinks\":[{\"name\":\"x\"}]}",
                 "agreement.json: field \"sinks[0].class\": is missing");
    expect_error(HEAD ",\"sinks\":[{\"name\":\"x\",\"class\":\"oracle\"}]}",
                 "agreement.json: field \"sinks[0].class\": no sink class \"oracle\"");
    expect_error(HEAD ",\"sinks\":[1]}", "agreement.json: field \"sinks[0]\": an object is expected");
    expect_error(HEAD
                 ",\"sinks\":[{\"name\":\"x\",\"class\":\"sqlite\"},{\"name\":\"x\",\"class\":\"sqlite\"}]}",
                 "agreement.json: field \"sinks[1].name\": two sinks are named \"x\"");
    expect_error(HEAD ",\"sinks\":[{\"name\":\"x\",\"class\":\"sqlite\",\"store.dir\":\"/etc\"}]}",
                 "agreement.json: field \"sinks[0].store.dir\": is set by Millrace; remove it");
    assert_null(parse(HEAD ",\"sinks\":[{\"name\":\"x\",\"class\":\"sqlite\",\"nonsense\":1}]}", false));
    assert_non_null(strstr(error.text, "agreement.json: sink x"));
    assert_non_null(strstr(error.text, "nonsense"));
}

static void a_percentage_is_within_its_range(void **state)
{
    (void)state;
    mr_agreement *agreement = parse(HEAD ",\"max_rejected_percent\":2.5}", true);
    assert_non_null(agreement);
    assert_float_equal(agreement->max_rejected_percent, 2.5, 1e-9);
    mr_agreement_close(&agreement);
    expect_error(HEAD ",\"max_rejected_rows\":-1}",
                 "agreement.json: field \"max_rejected_rows\": -1 is out of range:"
                 " from 0 to 1000000000000");
    expect_error(HEAD ",\"max_rejected_rows\":1.5}",
                 "agreement.json: field \"max_rejected_rows\": an integer is expected");
    expect_error(HEAD ",\"max_rejected_percent\":101}",
                 "agreement.json: field \"max_rejected_percent\": 101 is out of range: from 0 to 100");
    expect_error(HEAD ",\"max_rejected_percent\":\"nan\"}",
                 "agreement.json: field \"max_rejected_percent\": nan is out of range: from 0 to 100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agreement_of_two_fields_gets_defaults),
        cmocka_unit_test(oddities_load_with_a_warning_that_names_the_field),
        cmocka_unit_test(strict_refuses_oddities),
        cmocka_unit_test(an_unknown_field_is_refused_with_the_nearest_name),
        cmocka_unit_test(missing_fields_are_named),
        cmocka_unit_test(a_client_must_be_a_tenant_id),
        cmocka_unit_test(a_bad_schedule_is_refused_with_the_position),
        cmocka_unit_test(text_that_is_not_json_is_refused_with_line_and_column),
        cmocka_unit_test(a_text_beyond_the_bound_is_too_large),
        cmocka_unit_test(what_becomes_of_due_times_is_checked),
        cmocka_unit_test(streaming_is_refused_by_name),
        cmocka_unit_test(disk_and_processes_have_limits),
        cmocka_unit_test(limits_below_requests_are_refused),
        cmocka_unit_test(a_program_has_command_deadline_and_environment),
        cmocka_unit_test(program_settings_that_cannot_work_are_refused),
        cmocka_unit_test(sinks_are_checked_against_their_class),
        cmocka_unit_test(a_percentage_is_within_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
