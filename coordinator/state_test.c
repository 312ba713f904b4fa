#include "coordinator/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[32];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mr-state-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static mr_state *open_state(void)
{
    mr_state *it = NULL;
    mr_error error = {0};
    if (mr_state_open(dir, &it, &error) != MR_OK)
        fail_msg("%s", error.text);
    return it;
}

static mr_err add_alarm(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    mr_db_run(db, "INSERT INTO alarms(tenant, run_uid, text, at_ms) VALUES('t', 'r', 'x', 1)", "");
    *ret_answer = json_pack("{s:I}", "id", (json_int_t)mr_db_last_id(db));
    return *(bool *)arg ? mr_fail(ret_error, MR_EREFUSED, "told to fail") : MR_OK;
}

static int64_t alarms(mr_state *it)
{
    return mr_db_int(mr_state_db(it), -1, "SELECT count(*) FROM alarms", "");
}

static void a_repeated_key_answers_again_and_does_nothing(void **state)
{
    (void)state;
    mr_state *it = open_state();
    bool fails = false, repeated = false;
    json_t *first = NULL, *second = NULL;
    mr_command command = {.name = "add", .key = "t:1", .now_ms = 1, .execute = add_alarm, .arg = &fails};
    assert_int_equal(mr_state_apply(it, &command, &first, &repeated, NULL), MR_OK);
    assert_false(repeated);
    mr_state_close(&it); /* the key outlives the process */
    it = open_state();
    assert_int_equal(mr_state_apply(it, &command, &second, &repeated, NULL), MR_OK);
    assert_true(repeated);
    assert_true(json_equal(first, second));
    assert_int_equal(alarms(it), 1);
    json_decref(first);
    json_decref(second);
    mr_state_close(&it);
}

static void a_command_that_fails_leaves_nothing(void **state)
{
    (void)state;
    mr_state *it = open_state();
    bool fails = true;
    int64_t before = alarms(it);
    mr_error error;
    mr_command command = {.name = "add", .key = "t:2", .now_ms = 1, .execute = add_alarm, .arg = &fails};
    assert_int_equal(mr_state_apply(it, &command, NULL, NULL, &error), MR_EREFUSED);
    assert_int_equal(alarms(it), before);
    fails = false; /* the key was not used up */
    assert_int_equal(mr_state_apply(it, &command, NULL, NULL, &error), MR_OK);
    assert_int_equal(alarms(it), before + 1);
    mr_state_close(&it);
}

static mr_err wrong_sql(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)arg, (void)ret_answer, (void)ret_error;
    mr_db_run(db, "INSERT INTO alarms(tenant, run_uid, text, at_ms) VALUES('t', 'r', 'x', 1)", "");
    mr_db_run(db, "INSERT INTO alarms(tenant) VALUES(NULL)", "");
    return MR_OK;
}

static void an_error_that_the_db_keeps_rolls_the_command_back(void **state)
{
    (void)state;
    mr_state *it = open_state();
    int64_t before = alarms(it);
    mr_command command = {.name = "wrong", .now_ms = 1, .execute = wrong_sql};
    assert_int_equal(mr_state_apply(it, &command, NULL, NULL, NULL), MR_EBUG);
    assert_int_equal(alarms(it), before);
    mr_state_close(&it);
}

static void a_second_coordinator_is_refused(void **state)
{
    (void)state;
    mr_state *it = open_state(), *other = NULL;
    mr_error error;
    assert_int_equal(mr_state_open(dir, &other, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "another coordinator"));
    mr_state_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_key_answers_again_and_does_nothing),
        cmocka_unit_test(a_command_that_fails_leaves_nothing),
        cmocka_unit_test(an_error_that_the_db_keeps_rolls_the_command_back),
        cmocka_unit_test(a_second_coordinator_is_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
