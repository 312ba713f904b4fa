#include "coordinator/service_fixture.h"
#include "coordinator/service_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static service_fixture fixture;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&fixture);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static json_t *audit_of(const char *tenant, const char *what, int64_t before, int64_t limit)
{
    json_t *view = NULL;
    mr_error error;
    if (mr_service_list_audit(fixture.service, tenant, what, before, limit, &view, &error) != MR_OK)
        fail_msg("%s", error.text);
    return view;
}

/* The newest entry of that kind, as text without its id. */
static char *newest(const char *tenant, const char *what)
{
    json_t *view = audit_of(tenant, what, INT64_MAX, 1);
    json_t *entry = json_array_get(view, 0);
    if (entry == NULL)
        fail_msg("no %s entry", what);
    json_object_del(entry, "id");
    char *text = json_dumps(entry, JSON_COMPACT);
    json_decref(view);
    return text;
}

static void expect_newest(const char *tenant, const char *what, const char *expected)
{
    char *text = newest(tenant, what);
    assert_string_equal(text, expected);
    free(text);
}

static void a_request_leaves_who_what_before_and_after(void **state)
{
    (void)state;
    mr_service_set_client(fixture.service, "ann@desk", "127.0.0.1");
    fixture_apply(&fixture, "acme", "0 * * * *", "");
    fixture_apply(&fixture, "acme", "5 * * * *", "\"attempts\": 2,");
    expect_newest("acme", "apply_tenant",
                  "{\"at\":\"2026-03-01T12:00:30.000Z\",\"who\":\"ann@desk\",\"from\":\"127.0.0.1\","
                  "\"tenant\":\"acme\",\"what\":\"apply_tenant\",\"subject\":null,"
                  "\"before\":{\"agreement\":{\"schedule\":\"0 * * * *\"},\"version\":1},"
                  "\"after\":{\"agreement\":{\"schedule\":\"5 * * * *\",\"attempts\":2},\"version\":2}}");
}

static void an_upload_and_a_run_are_told_once(void **state)
{
    (void)state;
    json_t *answer = NULL;
    fixture_apply(&fixture, "acme", "0 * * * *", "");
    mr_service_set_client(fixture.service, NULL, "127.0.0.1");
    fixture_upload(&fixture, "acme", "a.csv", "k1");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mr_service_run_now(fixture.service, "k2", "acme", &answer, NULL), MR_OK);
        json_decref(answer);
    }
    assert_int_equal(mr_service_run_now(fixture.service, "k3", "acme", &answer, NULL), MR_OK);
    json_decref(answer);
    mr_service_set_client(fixture.service, NULL, NULL);
    json_t *view = audit_of("acme", "run_now", INT64_MAX, 10);
    assert_int_equal(json_array_size(view), 1); /* the second is the same run, and the third as well */
    assert_string_equal(json_string_value(json_object_get(json_array_get(view, 0), "subject")), "manual-1");
    assert_true(json_is_null(json_object_get(json_array_get(view, 0), "who")));
    json_decref(view);
    view = audit_of("acme", "upload", INT64_MAX, 10);
    assert_int_equal(json_array_size(view), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(view, 0), "subject")), "a.csv");
    json_decref(view);
}

static mr_err do_something(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    if (arg != NULL)
        return mr_fail(ret_error, MR_EREFUSED, "no");
    mr_db_run(db, "INSERT INTO alarms(tenant, run_uid, text, at_ms) VALUES('t', 'r', 'x', 1)", "");
    *ret_answer = json_pack("{s:i}", "n", 1);
    return MR_OK;
}

static void a_command_that_tells_nothing_leaves_its_answer(void **state)
{
    (void)state;
    mr_service_set_client(fixture.service, "bob@x", "::1");
    assert_int_equal(mr_apply(fixture.service, "shake", "acme", NULL, do_something, NULL, NULL, NULL), MR_OK);
    expect_newest(
        "acme", "shake",
        "{\"at\":\"2026-03-01T12:00:30.000Z\",\"who\":\"bob@x\",\"from\":\"::1\",\"tenant\":\"acme\","
        "\"what\":\"shake\",\"subject\":null,\"before\":null,\"after\":{\"n\":1}}");
    /* what was refused leaves nothing */
    assert_int_equal(mr_apply(fixture.service, "refuse", "acme", NULL, do_something, &fixture, NULL, NULL),
                     MR_EREFUSED);
    json_t *view = audit_of("acme", "refuse", INT64_MAX, 10);
    assert_int_equal(json_array_size(view), 0);
    json_decref(view);
}

static void the_trail_outlives_its_tenant_until_its_days_are_over(void **state)
{
    (void)state;
    json_t *answer = NULL;
    fixture_apply(&fixture, "acme", "0 * * * *", "");
    mr_service_set_client(fixture.service, "ann@desk", "127.0.0.1");
    assert_int_equal(mr_service_delete_tenant(fixture.service, NULL, "acme", false, &answer, NULL), MR_OK);
    json_decref(answer);
    mr_service_set_client(fixture.service, NULL, NULL);
    fixture_pass(&fixture, 1000);
    char *text = newest("acme", "tenant_deleted");
    assert_non_null(strstr(text, "\"who\":\"coordinator\",\"from\":null"));
    free(text);
    json_t *view = audit_of("acme", NULL, INT64_MAX, 10);
    assert_int_equal(json_array_size(view), 3);
    int64_t second = json_integer_value(json_object_get(json_array_get(view, 1), "id"));
    json_decref(view);
    view = audit_of(NULL, NULL, second, 10); /* the page after */
    assert_int_equal(json_array_size(view), 1);
    json_decref(view);
    fixture_pass(&fixture, (int64_t)366 * 86400000);
    mr_error error;
    assert_int_equal(mr_service_list_audit(fixture.service, "acme", NULL, INT64_MAX, 10, &view, &error),
                     MR_ENOTFOUND);
}

static void a_long_value_is_told_by_its_size(void **state)
{
    (void)state;
    char long_text[5001];
    memset(long_text, 'x', 5000);
    long_text[5000] = '\0';
    json_t *old = json_pack("{s:{s:s, s:i}}", "a", "text", "short", "same", 1), *to_old, *to_new;
    json_t *new = json_pack("{s:{s:s, s:i}, s:{s:i}}", "a", "text", long_text, "same", 1, "b", "c", 2);
    mr_audit_difference(old, new, &to_old, &to_new);
    char *before = json_dumps(to_old, JSON_COMPACT), *after = json_dumps(to_new, JSON_COMPACT);
    assert_string_equal(before, "{\"a\":{\"text\":\"short\"}}");
    assert_string_equal(after, "{\"a\":{\"text\":\"(5002 bytes, not shown)\"},\"b\":{\"c\":2}}");
    free(before);
    free(after);
    json_decref(to_old);
    json_decref(to_new);
    json_decref(old);
    json_decref(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_leaves_who_what_before_and_after, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(an_upload_and_a_run_are_told_once, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_command_that_tells_nothing_leaves_its_answer, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(the_trail_outlives_its_tenant_until_its_days_are_over, open_fixture,
                                        close_fixture),
        cmocka_unit_test(a_long_value_is_told_by_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
