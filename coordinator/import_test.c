/* import_test.c - what lies in staging and cannot be understood holds nothing up; what can be is taken in
 * once. Restoring whole copies is tests/scenarios/restored_copy.py. */
#include "coordinator/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define RUN_UID "0123456789abcdef0123456789abcdef"

static int open_fixture(void **state)
{
    service_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture_open(fixture);
    fixture_apply(fixture, "a", "0 0 1 1 *", "");
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void put(const service_fixture *fixture, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", fixture->staging, path);
    for (char *slash = full + strlen(fixture->staging) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t ready_files(const service_fixture *fixture)
{
    json_t *files = NULL;
    assert_int_equal(mr_service_list_uploads(fixture->service, "a", "ready", 10, &files, NULL), MR_OK);
    size_t count = json_array_size(files);
    json_decref(files);
    return count;
}

static void a_damaged_record_is_left_alone(void **state)
{
    service_fixture *fixture = *state;
    json_t *view = NULL;
    put(fixture, "tenants/a/tenant.json", "{\"tenant_uid\": ");
    put(fixture, "tenants/b/tenant.json", "{\"tenant_uid\": \"x\", \"version\": \"y\"}");
    put(fixture, "runs/" RUN_UID "/run.json", "not JSON");
    put(fixture, "runs/" RUN_UID "/claimed/rows.csv", "1\n");
    fixture_restart(fixture);
    assert_int_equal(mr_service_show_tenant(fixture->service, "a", &view, NULL), MR_OK);
    json_decref(view);
    assert_int_equal(mr_service_show_tenant(fixture->service, "b", &view, NULL), MR_ENOTFOUND);
    assert_true(fixture_exists(fixture, "runs/" RUN_UID "/claimed/rows.csv"));
    assert_int_equal(fixture_run_count(fixture, "a", "CLAIMING"), 0);
}

static void a_run_of_nobody_is_left_alone(void **state)
{
    service_fixture *fixture = *state;
    put(fixture, "runs/" RUN_UID "/run.json", "{\"tenant\": \"z\", \"tenant_uid\": \"z\", \"seq\": 1}");
    put(fixture, "runs/" RUN_UID "/claimed/rows.csv", "1\n");
    fixture_restart(fixture);
    assert_true(fixture_exists(fixture, "runs/" RUN_UID "/claimed/rows.csv"));
}

static void a_folder_without_anything_is_removed(void **state)
{
    service_fixture *fixture = *state;
    put(fixture, "runs/" RUN_UID "/claimed/x", "");
    char path[512];
    snprintf(path, sizeof path, "%s/runs/" RUN_UID "/claimed/x", fixture->staging);
    remove(path);
    fixture_restart(fixture);
    assert_false(fixture_exists(fixture, "runs/" RUN_UID));
}

static void a_file_that_nobody_knows_is_ready_once(void **state)
{
    service_fixture *fixture = *state;
    put(fixture, "tenants/a/in/found.csv", "serial\n1\n");
    fixture_restart(fixture);
    assert_int_equal(ready_files(fixture), 1);
    fixture_restart(fixture);
    assert_int_equal(ready_files(fixture), 1);
}

static void an_upload_is_taken_in_under_its_key(void **state)
{
    service_fixture *fixture = *state;
    char command[400];
    fixture_pass(fixture, 1);
    snprintf(command, sizeof command, "cp %s/coordinator.db %s/copy", fixture->data, fixture->dir);
    mr_service_close(&fixture->service);
    assert_int_equal(system(command), 0);
    assert_int_equal(mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL), MR_OK);
    int64_t id = fixture_upload(fixture, "a", "rows.csv", "monday");
    mr_service_close(&fixture->service);
    snprintf(command, sizeof command, "cp %s/copy %s/coordinator.db", fixture->dir, fixture->data);
    assert_int_equal(system(command), 0);
    assert_int_equal(mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, NULL), MR_OK);
    assert_int_equal(ready_files(fixture), 1);
    assert_int_equal(fixture_upload(fixture, "a", "rows.csv", "monday"), id);
    assert_int_equal(ready_files(fixture), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_record_is_left_alone),       TEST(a_run_of_nobody_is_left_alone),
        TEST(a_folder_without_anything_is_removed), TEST(a_file_that_nobody_knows_is_ready_once),
        TEST(an_upload_is_taken_in_under_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
