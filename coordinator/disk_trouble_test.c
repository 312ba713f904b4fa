/* disk_trouble_test.c - folders that cannot be looked at, and uploads that were neither stored nor taken
 * back: nothing is taken for missing, nothing is lost, and it goes on once the trouble is over. Full and
 * failing disks as such: tests/scenarios/full_disks.py. */
#include "coordinator/service_fixture.h"
#include "coordinator/state.h"
#include "core/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NEVER "0 0 1 1 *"

static int open_fixture(void **state)
{
    static service_fixture fixture;
    fixture_open(&fixture);
    fixture_apply(&fixture, "a", NEVER, "\"attempts\": 1,");
    fixture_report(&fixture, NULL, 0);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void run_now(service_fixture *fixture)
{
    json_t *answer = NULL;
    assert_int_equal(mr_service_run_now(fixture->service, NULL, "a", &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
}

static bool status_tells(service_fixture *fixture, const char *text)
{
    json_t *view = NULL;
    assert_int_equal(mr_service_status(fixture->service, &view, NULL), MR_OK);
    char *all = json_dumps(view, 0);
    bool told = strstr(all, text) != NULL;
    free(all);
    json_decref(view);
    return told;
}

/* A link that leads to itself: nobody can tell what is there. */
static void replace_by_loop(const char *path, const char *aside)
{
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(path, path), 0);
}

static void put_back(const char *path, const char *aside)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(aside, path), 0);
}

static void files_that_cannot_be_looked_at_are_not_discarded(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char folder[300], aside[300], kept[200];
    fixture_upload(fixture, "a", "rows.csv", NULL);
    run_now(fixture);
    fixture_report(fixture, NULL, 0);
    fixture_failed(&status, fixture_assignment(fixture, "program"), "data", "exit code 1");
    snprintf(folder, sizeof folder, "%s/runs/%s", fixture->staging, status.run_uid);
    snprintf(aside, sizeof aside, "%s/aside", fixture->dir);
    replace_by_loop(folder, aside);
    fixture_say(fixture, &status);
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETING");
    assert_true(status_tells(fixture, "Too many levels of symbolic links"));
    put_back(folder, aside);
    fixture_pass(fixture, MR_BACKOFF_CAP_MS);
    assert_string_equal(fixture_run_state(fixture, "a"), "FAILED");
    snprintf(kept, sizeof kept, "tenants/a/failed/%s/claimed/rows.csv", status.run_uid);
    assert_true(fixture_exists(fixture, kept));
    assert_false(status_tells(fixture, "symbolic links"));
}

static void a_file_that_cannot_be_looked_at_is_not_lost(void **state)
{
    service_fixture *fixture = *state;
    char in[300], aside[300];
    fixture_upload(fixture, "a", "rows.csv", NULL);
    snprintf(in, sizeof in, "%s/tenants/a/in", fixture->staging);
    snprintf(aside, sizeof aside, "%s/aside", fixture->dir);
    replace_by_loop(in, aside);
    run_now(fixture);
    assert_string_equal(fixture_run_state(fixture, "a"), "CLAIMING");
    put_back(in, aside);
    fixture_pass(fixture, MR_BACKOFF_CAP_MS);
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
}

/* The sender was told that it failed, and sent it again under its key: the first one is dropped, once. */
static void an_upload_that_came_again_is_not_stored_twice(void **state)
{
    service_fixture *fixture = *state;
    mr_state *database = NULL;
    json_t *files = NULL;
    fixture_upload(fixture, "a", "rows.csv", "monday");
    mr_service_close(&fixture->service);
    assert_int_equal(mr_state_open(fixture->data, &database, NULL), MR_OK);
    mr_db *db = mr_state_db(database);
    mr_db_run(
        db,
        "INSERT INTO uploads(tenant, uid, dataset, name, incoming, size_bytes, sha256, state, key, "
        "uploaded_ms)"
        " SELECT tenant, uid, dataset, 'rows-2.csv', 'upload-x', 7, sha256, 'receiving', 'monday', 1 FROM"
        " uploads",
        "");
    assert_int_equal(mr_db_take_error(db, NULL), MR_OK);
    mr_state_close(&database);
    assert_int_equal(mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL), MR_OK);
    assert_int_equal(mr_service_list_uploads(fixture->service, "a", NULL, 10, &files, NULL), MR_OK);
    assert_int_equal(json_array_size(files), 1);
    json_decref(files);
}

static void an_upload_that_failed_leaves_nothing(void **state)
{
    service_fixture *fixture = *state;
    mr_upload_begin begin = {.tenant = "a", .file_name = "rows.csv"};
    mr_upload upload;
    json_t *answer = NULL, *files = NULL;
    mr_error error;
    char in[300], aside[300], incoming[300];
    snprintf(in, sizeof in, "%s/tenants/a/in", fixture->staging);
    snprintf(aside, sizeof aside, "%s/aside", fixture->dir);
    fixture_upload(fixture, "a", "first.csv", NULL);
    assert_int_equal(mr_service_begin_upload(fixture->service, NULL, &begin, &upload, &answer, &error),
                     MR_OK);
    snprintf(incoming, sizeof incoming, "%s/incoming/%s", fixture->staging, upload.incoming);
    FILE *file = fopen(incoming, "w");
    assert_non_null(file);
    fclose(file);
    replace_by_loop(in, aside);
    assert_int_equal(mr_service_finish_upload(fixture->service, NULL, &upload, 0, "00", &answer, &error),
                     MR_EIO);
    put_back(in, aside);
    fixture_pass(fixture, MR_BACKOFF_CAP_MS);
    assert_int_equal(mr_service_list_uploads(fixture->service, "a", NULL, 10, &files, NULL), MR_OK);
    assert_int_equal(json_array_size(files), 1);
    json_decref(files);
    assert_int_equal(access(incoming, F_OK), -1);
    assert_true(fixture_exists(fixture, "tenants/a/in/first.csv"));
}

static void put_file(service_fixture *fixture, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/tenants/a/in/%s", fixture->staging, name);
    (void)unlink(path);
    if (text == NULL)
        return;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *file_state(service_fixture *fixture, const char *name)
{
    static char found[20];
    json_t *files = NULL, *file;
    size_t i;
    found[0] = '\0';
    assert_int_equal(mr_service_list_uploads(fixture->service, "a", NULL, 10, &files, NULL), MR_OK);
    json_array_foreach(files, i,
                       file) if (strcmp(json_string_value(json_object_get(file, "name")), name) == 0)
        snprintf(found, sizeof found, "%s", json_string_value(json_object_get(file, "state")));
    json_decref(files);
    return found;
}

static void what_is_not_what_was_uploaded_is_left_out_and_kept(void **state)
{
    service_fixture *fixture = *state;
    fixture_status status;
    char path[200];
    fixture_upload(fixture, "a", "gone.csv", NULL);
    fixture_upload(fixture, "a", "good.csv", NULL);
    fixture_upload(fixture, "a", "grown.csv", NULL);
    put_file(fixture, "gone.csv", NULL);
    put_file(fixture, "grown.csv", "id\n1\n2\n3\n4\n");
    run_now(fixture);
    assert_string_equal(fixture_run_state(fixture, "a"), "PROGRAM");
    assert_string_equal(file_state(fixture, "gone.csv"), "failed");
    assert_string_equal(file_state(fixture, "good.csv"), "claimed");
    assert_string_equal(file_state(fixture, "grown.csv"), "failed");
    fixture_report(fixture, NULL, 0);
    fixture_sealed(&status, fixture_assignment(fixture, "program"));
    snprintf(path, sizeof path, "runs/%s/refused/grown.csv", status.run_uid);
    assert_true(fixture_exists(fixture, path));
    assert_true(fixture_say(fixture, &status));
    fixture_report(fixture, NULL, 0);
    fixture_source_ended(&status, fixture_assignment(fixture, "rows-source"), 0, 0, 0);
    assert_true(fixture_say(fixture, &status));
    assert_string_equal(fixture_run_state(fixture, "a"), "COMPLETED_WITH_REJECTS");
    snprintf(path, sizeof path, "tenants/a/done/%s/refused/grown.csv", status.run_uid);
    assert_true(fixture_exists(fixture, path));
    json_t *runs = NULL;
    assert_int_equal(mr_service_list_runs(fixture->service, "a", 1, &runs, NULL), MR_OK);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(runs, 0), "reason")),
        "2 files were removed or changed in in/ after upload, and left out: gone.csv, grown.csv");
    json_decref(runs);
}

static void a_run_whose_files_are_all_gone_fails(void **state)
{
    service_fixture *fixture = *state;
    fixture_upload(fixture, "a", "gone.csv", NULL);
    put_file(fixture, "gone.csv", NULL);
    run_now(fixture);
    assert_string_equal(fixture_run_state(fixture, "a"), "FAILED");
}

static void a_run_is_cancelled_without_the_files_that_are_gone(void **state)
{
    service_fixture *fixture = *state;
    json_t *answer = NULL;
    char folder[200], path[300];
    fixture_upload(fixture, "a", "good.csv", NULL);
    fixture_upload(fixture, "a", "grown.csv", NULL);
    fixture_upload(fixture, "a", "later.csv", NULL);
    put_file(fixture, "grown.csv", "id\n");
    run_now(fixture);
    fixture_report(fixture, NULL, 0);
    snprintf(folder, sizeof folder, "%s",
             mr_assignment_property(fixture_assignment(fixture, "program"), "run.dir"));
    snprintf(path, sizeof path, "%s/claimed/later.csv", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mr_service_cancel_run(fixture->service, NULL, "a", "manual-1", &answer, NULL), MR_OK);
    json_decref(answer);
    fixture_pass(fixture, 1);
    fixture_report(fixture, NULL, 0);
    assert_string_equal(fixture_run_state(fixture, "a"), "CANCELLED");
    assert_true(fixture_exists(fixture, "tenants/a/in/good.csv"));
    snprintf(path, sizeof path, "tenants/a/failed/%s/refused/grown.csv", strrchr(folder, '/') + 1);
    assert_true(fixture_exists(fixture, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_that_cannot_be_looked_at_are_not_discarded, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_looked_at_is_not_lost, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(an_upload_that_came_again_is_not_stored_twice, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(an_upload_that_failed_leaves_nothing, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(what_is_not_what_was_uploaded_is_left_out_and_kept, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(a_run_whose_files_are_all_gone_fails, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_run_is_cancelled_without_the_files_that_are_gone, open_fixture,
                                        close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
