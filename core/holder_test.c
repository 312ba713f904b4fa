#include "core/holder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/holder-test-XXXXXX";
static char database[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(strrchr(dir, '-'), "-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(database, sizeof database, "%s/a.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[80];
    snprintf(path, sizeof path, "%s.holder", database);
    unlink(path);
    return rmdir(dir);
}

static mr_holder *open_as(const char *identity, int64_t epoch)
{
    mr_holder *holder = NULL;
    assert_int_equal(mr_holder_open(database, identity, epoch, &holder, NULL), MR_OK);
    return holder;
}

/* A process that has entered (and left, if asked to) and then stands still until it is killed. */
static pid_t start_holder(const char *identity, int64_t epoch, bool leaves)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        mr_holder *holder = NULL;
        if (mr_holder_open(database, identity, epoch, &holder, NULL) != MR_OK)
            _exit(1);
        mr_holder_enter(holder);
        if (leaves)
            mr_holder_leave(holder);
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_evicts(const char *identity, int64_t epoch, bool leaves, bool expected)
{
    pid_t pid = start_holder(identity, epoch, leaves);
    mr_holder *holder = open_as("t/sink/0", 5);
    assert_int_equal(mr_holder_evict(holder), expected);
    int status = end_of(pid);
    assert_int_equal(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, expected);
    mr_holder_close(&holder);
    assert_null(holder);
}

static void test_a_frozen_older_epoch_is_killed(void **state)
{
    (void)state;
    assert_evicts("t/sink/0", 4, false, true);
}

static void test_the_same_and_a_newer_epoch_are_left_alone(void **state)
{
    (void)state;
    assert_evicts("t/sink/0", 5, false, false);
    assert_evicts("t/sink/0", 6, false, false);
}

static void test_another_task_is_left_alone(void **state)
{
    (void)state;
    assert_evicts("t/sink/1", 1, false, false);
    assert_evicts("t/sink/01", 1, false, false);
}

static void test_who_has_left_is_left_alone(void **state)
{
    (void)state;
    assert_evicts("t/sink/0", 4, true, false);
}

static void test_a_process_that_is_gone_is_not_killed_again(void **state)
{
    (void)state;
    pid_t pid = start_holder("t/sink/0", 4, false);
    kill(pid, SIGKILL);
    (void)end_of(pid);
    mr_holder *holder = open_as("t/sink/0", 5);
    assert_false(mr_holder_evict(holder));
    mr_holder_close(&holder);
}

static void damage(long offset, const void *bytes, size_t size)
{
    char path[80];
    snprintf(path, sizeof path, "%s.holder", database);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_half_a_record_kills_nobody(void **state)
{
    (void)state;
    pid_t pid = start_holder("t/sink/0", 4, false);
    damage(16, "\1", 1); /* within the start time */
    mr_holder *holder = open_as("t/sink/0", 5);
    assert_false(mr_holder_evict(holder));
    mr_holder_close(&holder);
    (void)end_of(pid);
}

static void test_an_empty_file_names_nobody_and_is_private(void **state)
{
    (void)state;
    char path[80];
    struct stat st;
    mr_holder *holder = open_as("t/sink/0", 5);
    assert_false(mr_holder_evict(holder));
    snprintf(path, sizeof path, "%s.holder", database);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    mr_holder_close(&holder);
}

static void test_the_own_process_is_never_killed(void **state)
{
    (void)state;
    mr_holder *old = open_as("t/sink/0", 4), *new = open_as("t/sink/0", 5);
    mr_holder_enter(old);
    assert_false(mr_holder_evict(new));
    mr_holder_close(&old);
    mr_holder_close(&new);
}

static void test_a_link_in_place_of_the_file_is_refused(void **state)
{
    (void)state;
    char path[80];
    mr_holder *holder = NULL;
    mr_error error;
    snprintf(path, sizeof path, "%s.holder", database);
    assert_int_equal(symlink("/tmp/elsewhere", path), 0);
    assert_int_not_equal(mr_holder_open(database, "t/sink/0", 1, &holder, &error), MR_OK);
    assert_non_null(strstr(error.text, path));
    assert_null(holder);
}

static void test_start_time_is_that_of_a_living_process(void **state)
{
    (void)state;
    assert_true(mr_process_start_time(getpid()) > 0);
    assert_int_equal(mr_process_start_time(0x7ffffff), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_frozen_older_epoch_is_killed),
        TEST(test_the_same_and_a_newer_epoch_are_left_alone),
        TEST(test_another_task_is_left_alone),
        TEST(test_who_has_left_is_left_alone),
        TEST(test_a_process_that_is_gone_is_not_killed_again),
        TEST(test_half_a_record_kills_nobody),
        TEST(test_an_empty_file_names_nobody_and_is_private),
        TEST(test_the_own_process_is_never_killed),
        TEST(test_a_link_in_place_of_the_file_is_refused),
        TEST(test_start_time_is_that_of_a_living_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
