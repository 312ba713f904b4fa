#include "cli/client.h"
#include "cli/program_tar.h"
#include "core/slice.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

static char folder[64];
static mr_error error;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void put(const char *name, const char *text, mode_t mode)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static int begin(void **state)
{
    (void)state;
    char path[200];
    strcpy(folder, "/tmp/millrace-tar-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/lib", folder);
    mkdir(path, 0700);
    put("run", "#!/bin/sh\n", 0700);
    put("lib/x.py", "pass\n", 0600);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static mr_buf read_tar(void)
{
    FILE *tar = NULL;
    mr_buf bytes = {0};
    char chunk[4096];
    size_t size;
    assert_int_equal(program_tar(folder, &tar, &error), MR_OK);
    while ((size = fread(chunk, 1, sizeof chunk, tar)) > 0)
        assert_int_equal(mr_buf_append(&bytes, chunk, size), MR_OK);
    fclose(tar);
    return bytes;
}

static void the_same_content_gives_the_same_bytes(void **state)
{
    (void)state;
    char path[200];
    mr_buf first = read_tar();
    snprintf(path, sizeof path, "%s/run", folder);
    const struct utimbuf long_ago = {1000, 1000};
    utime(path, &long_ago);
    chmod(path, 0755);
    mr_buf second = read_tar();
    assert_true(mr_slice_equal(mr_buf_slice(&first), mr_buf_slice(&second)));
    put("lib/x.py", "else\n", 0600);
    mr_buf third = read_tar();
    assert_false(mr_slice_equal(mr_buf_slice(&first), mr_buf_slice(&third)));
    mr_buf_fini(&first);
    mr_buf_fini(&second);
    mr_buf_fini(&third);
}

static void a_link_is_refused_by_name(void **state)
{
    (void)state;
    char path[200];
    FILE *tar = NULL;
    snprintf(path, sizeof path, "%s/lib/link", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(program_tar(folder, &tar, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, "lib/link: a program holds files and folders only"));
}

static void paths_and_queries_are_escaped(void **state)
{
    (void)state;
    char *path = client_path("/tenants/%s/runs/%s", "a/b", "x y");
    path = client_query(path, "state", NULL);
    path = client_query(path, "dataset", "a&b");
    path = client_query(path, "limit", "5");
    assert_string_equal(path, "/tenants/a%2Fb/runs/x%20y?dataset=a%26b&limit=5");
    free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_same_content_gives_the_same_bytes),
        TEST(a_link_is_refused_by_name),
        cmocka_unit_test(paths_and_queries_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
