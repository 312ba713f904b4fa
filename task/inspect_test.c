/* inspect_test.c - what a stranger's SQL may do, and what it may not. */
#include "task/inspect.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

typedef struct fixture {
    char dir[64];
    mr_props *config;
    char *output;
    size_t size;
    mr_error error;
} fixture;

static void make_store(const fixture *f, const char *name, const char *sql)
{
    char path[200];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/tenant/%s.db", f->dir, name);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    char folder[100];
    snprintf(f->dir, sizeof f->dir, "/tmp/millrace-inspect-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(folder, sizeof folder, "%s/tenant", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    make_store(f, "space",
               "PRAGMA journal_mode=WAL; CREATE TABLE rows(k INTEGER PRIMARY KEY, v TEXT);"
               "INSERT INTO rows VALUES (1,'one'),(2,NULL),(3,x'ff')");
    make_store(f, "other-space", "CREATE TABLE more(k); INSERT INTO more VALUES (1.5)");
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    assert_int_equal(mr_props_set(f->config, "store.dir", f->dir), MR_OK);
    assert_int_equal(mr_props_set(f->config, "tenant", "tenant"), MR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    mr_props_close(&f->config);
    free(f->output);
    test_free(f);
    return 0;
}

static mr_err ask(fixture *f, const char *sql)
{
    free(f->output);
    f->output = NULL;
    FILE *out = open_memstream(&f->output, &f->size);
    assert_non_null(out);
    assert_int_equal(mr_props_set(f->config, "sql", sql), MR_OK);
    mr_err err = inspect_query(f->config, out, &f->error);
    fclose(out);
    return err;
}

static void test_rows_are_lines(void **state)
{
    fixture *f = *state;
    assert_int_equal(ask(f, "SELECT k, v FROM rows ORDER BY k; "), MR_OK);
    assert_string_equal(f->output,
                        "{\"columns\":[\"k\",\"v\"]}\n[1,\"one\"]\n[2,null]\n[3,\"0xff\"]\n{\"rows\":3}\n");
}

static void test_key_spaces_are_schemas(void **state)
{
    fixture *f = *state;
    assert_int_equal(ask(f, "SELECT m.k FROM \"other-space\".more m JOIN space.rows r ON r.k = 1"), MR_OK);
    assert_string_equal(f->output, "{\"columns\":[\"k\"]}\n[1.5]\n{\"rows\":1}\n");
}

static void test_nothing_but_reading_is_allowed(void **state)
{
    fixture *f = *state;
    static const char *const refused[] = {
        "INSERT INTO rows VALUES (9, 'x')",
        "DELETE FROM rows",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "ATTACH '/etc/passwd' AS p",
        "DETACH space",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA user_version",
        "VACUUM INTO '/tmp/copy'",
        "SELECT load_extension('x')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT 1; DELETE FROM rows",
        "BEGIN",
        "",
        "SELEC",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_not_equal(ask(f, refused[i]), MR_OK);
        assert_non_null(strstr(f->output, "{\"error\":\""));
    }
    assert_int_equal(ask(f, "SELECT count(*) FROM rows"), MR_OK);
    assert_non_null(strstr(f->output, "[3]"));
}

static void test_time_is_bounded(void **state)
{
    fixture *f = *state;
    assert_int_equal(mr_props_set(f->config, "deadline.ms", "50"), MR_OK);
    assert_int_equal(
        ask(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"),
        MR_ETIMEDOUT);
    assert_non_null(strstr(f->output, "{\"error\":\"the query took longer"));
}

static void test_memory_is_bounded(void **state)
{
    fixture *f = *state;
    assert_int_equal(mr_props_set(f->config, "memory.bytes", "4194304"), MR_OK);
    assert_int_equal(
        ask(f, "SELECT length(group_concat(hex(zeroblob(1000000)))) FROM rows a, rows b, rows c"),
        MR_ETOOLARGE);
}

static void test_a_tenant_without_stores_has_no_tables(void **state)
{
    fixture *f = *state;
    assert_int_equal(mr_props_set(f->config, "tenant", "nobody"), MR_OK);
    assert_int_equal(ask(f, "SELECT 1"), MR_OK);
    assert_int_equal(ask(f, "SELECT * FROM rows"), MR_EINVALID);
    assert_int_equal(mr_props_set(f->config, "tenant", "../tenant"), MR_OK);
    assert_int_equal(ask(f, "SELECT 1"), MR_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_are_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_spaces_are_schemas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_but_reading_is_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_tenant_without_stores_has_no_tables, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
