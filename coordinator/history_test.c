/* history_test.c - what a run costs does not grow with what was before it, and with who else is there. */
#include "coordinator/service_fixture.h"
#include "coordinator/service_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SHORT = 4, LONG = 40, OTHERS = 40 };

static int open_fixture(void **state)
{
    static service_fixture fixture;
    fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void say_uid(service_fixture *fixture, char out[64])
{
    json_t *runs = NULL;
    assert_int_equal(mr_service_list_runs(fixture->service, "a", 1, &runs, NULL), MR_OK);
    snprintf(out, 64, "%s", json_string_value(json_object_get(json_array_get(runs, 0), "run_uid")));
    json_decref(runs);
}

/* The run of that number, from its file to its end. */
static void complete_run(service_fixture *fixture, int64_t seq)
{
    fixture_status status;
    json_t *answer = NULL;
    char uid[64];
    fixture_upload(fixture, "a", "rows.csv", NULL);
    assert_int_equal(mr_service_run_now(fixture->service, NULL, "a", &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    assert_true(fixture_say(fixture, &status));
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 2 * seq, 2, 0);
    assert_true(fixture_say(fixture, &status));
    say_uid(fixture, uid);
    fixture_delivered(&status, fixture_assignment(fixture, "rows-store"), uid, seq, 2 * seq + 2, 2);
    fixture_say(fixture, &status);
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED");
}

static int64_t rows_read_by_run(service_fixture *fixture, int64_t seq)
{
    int64_t before = mr_db_scanned(fixture->service->db);
    complete_run(fixture, seq);
    return mr_db_scanned(fixture->service->db) - before;
}

static void a_run_reads_nothing_of_the_history(void **state)
{
    service_fixture *fixture = *state;
    fixture_apply(fixture, "a", "0 0 1 1 *", "");
    fixture_report(fixture, NULL, 0);
    int64_t seq = 1;
    while (seq < SHORT)
        complete_run(fixture, seq++);
    int64_t first = rows_read_by_run(fixture, seq++);
    while (seq < LONG)
        complete_run(fixture, seq++);
    assert_in_range(rows_read_by_run(fixture, seq), 0, first);
}

static void a_run_reads_nothing_of_other_tenants(void **state)
{
    service_fixture *fixture = *state;
    char name[16];
    fixture_apply(fixture, "a", "0 0 1 1 *", "");
    fixture_report(fixture, NULL, 0);
    complete_run(fixture, 1);
    int64_t alone = rows_read_by_run(fixture, 2);
    for (int i = 0; i < OTHERS; i++) {
        snprintf(name, sizeof name, "other%d", i);
        fixture_apply(fixture, name, "0 0 1 1 *", "");
    }
    fixture_pass(fixture, 1);
    assert_in_range(rows_read_by_run(fixture, 3), 0, alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_reads_nothing_of_the_history, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_run_reads_nothing_of_other_tenants, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
