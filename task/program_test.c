/* program_test.c - attempt folder, program, process tree and seal on real folders and processes. */
#include "task/attempt_folder.h"
#include "task/folder.h"
#include "task/folder_bound.h"
#include "task/process_tree.h"
#include "task/program_process.h"
#include "task/seal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char dir[64];
    int fd;
    int log;
} fixture;

static void put(int at, const char *name, const char *text)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/millrace-program-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(folder_open(f->dir, &f->fd, NULL), MR_OK);
    assert_int_equal(mkdirat(f->fd, "claimed", 0755), 0);
    put(f->fd, "claimed/a.csv", "x,y\n1,2\n");
    f->log = openat(f->fd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    close(f->log);
    close(f->fd);
    folder_remove(AT_FDCWD, f->dir);
    assert_int_not_equal(access(f->dir, F_OK), 0);
    test_free(f);
    return 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static mr_err run_shell(fixture *f, const char *script, int64_t deadline_ms, program_result *result,
                        mr_error *error)
{
    char *arguments[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
    char *environment[] = {(char *)"PATH=/usr/bin:/bin", NULL};
    program_spec spec = {.arguments = arguments,
                         .environment = environment,
                         .folder = f->dir,
                         .deadline_ms = deadline_ms,
                         .grace_ms = 100,
                         .log_fd = f->log,
                         .log_max_bytes = 100,
                         .data_max_bytes = 64 << 20,
                         .file_max_bytes = 8 << 20,
                         .processes_max = 30,
                         .stopping = never};
    assert_int_equal(process_tree_adopt(NULL), MR_OK);
    return program_run(&spec, result, error);
}

static void test_a_program_gets_copies_of_its_own(void **state)
{
    fixture *f = *state;
    attempt_folder folder;
    struct stat info;
    mr_error error;
    assert_int_equal(attempt_folder_open(f->dir, f->fd, 3, "client_a", NULL, &folder, &error), MR_OK);
    assert_int_equal(folder.files, 1);
    assert_int_equal(folder.bytes, 8);
    assert_int_equal(fstatat(folder.fd, "client_a/in/a.csv", &info, 0), 0);
    assert_int_equal(info.st_nlink, 1);
    put(folder.fd, "client_a/in/a.csv", "changed");
    assert_int_equal(fstatat(f->fd, "claimed/a.csv", &info, 0), 0);
    assert_int_equal(info.st_size, 8);
    assert_int_equal(fstatat(folder.fd, "client_a/out", &info, 0), 0);
    attempt_folder_close(&folder);
}

static void test_exit_code_and_last_output_are_told(void **state)
{
    program_result result;
    mr_error error;
    assert_int_equal(run_shell(*state, "echo first; echo it broke >&2; exit 3", 10000, &result, &error),
                     MR_OK);
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(result.tail, "first it broke");
}

static void test_a_program_that_grows_at_once_is_stopped(void **state)
{
    program_result result;
    mr_error error;
    assert_int_equal(run_shell(*state, "exec python3 -c 'len(bytearray(1 << 30))'", 20000, &result, &error),
                     MR_OK);
    assert_int_equal(result.exit_code, 1);
    assert_non_null(strstr(result.tail, "MemoryError"));
}

static void test_output_is_cut_with_a_note(void **state)
{
    fixture *f = *state;
    program_result result;
    char text[500] = "";
    assert_int_equal(run_shell(f, "for i in 1 2 3 4 5 6 7 8; do echo 0123456789012345678901234567890; done",
                               10000, &result, NULL),
                     MR_OK);
    assert_int_equal(result.exit_code, 0);
    ssize_t size = pread(f->log, text, sizeof text - 1, 0);
    assert_in_range(size, 100, 200);
    assert_non_null(strstr(text, "left out"));
}

static void test_detached_processes_end_with_the_program(void **state)
{
    program_result result;
    fixture *f = *state;
    char text[32] = "";
    assert_int_equal(
        run_shell(f,
                  "(setsid sh -c 'echo $$ > detached; exec sleep 1000' &) ; while [ ! -s detached ]; do "
                  "sleep 0.01; done",
                  10000, &result, NULL),
        MR_OK);
    int fd = openat(f->fd, "detached", O_RDONLY);
    assert_in_range(read(fd, text, sizeof text - 1), 2, 20);
    close(fd);
    assert_int_equal(kill((pid_t)atoi(text), 0), -1);
    assert_int_equal(process_tree_kill(), 0);
}

static void test_the_deadline_ends_a_program_that_ignores_it(void **state)
{
    program_result result;
    assert_int_equal(run_shell(*state, "trap '' TERM; while :; do sleep 0.02; done", 100, &result, NULL),
                     MR_OK);
    assert_int_equal(result.end, PROGRAM_LATE);
    assert_in_range(result.processes, 1, 2);
    assert_int_equal(result.exit_code, -SIGKILL);
}

static void test_a_program_computes_with_what_tasks_leave(void **state)
{
    program_result result;
    assert_int_equal(run_shell(*state, "nice; sed 's/.* nice/session/' /proc/self/autogroup 2>/dev/null || :",
                               10000, &result, NULL),
                     MR_OK);
    if (strchr(result.tail, ' ') != NULL) /* the kernel shares out between sessions */
        assert_string_equal(result.tail, "10 session 10");
    else
        assert_string_equal(result.tail, "10");
}

static void test_too_many_processes_end_a_program(void **state)
{
    program_result result;
    assert_int_equal(run_shell(*state, "trap '' TERM; while :; do sleep 1000 & done", 20000, &result, NULL),
                     MR_OK);
    assert_int_equal(result.end, PROGRAM_CROWDED);
    assert_true(result.processes > 30);
    assert_int_equal(process_tree_count(), 0);
}

static void test_what_it_left_behind_is_counted(void **state)
{
    program_result result;
    assert_int_equal(run_shell(*state, "sleep 1000 & sleep 1000 &", 10000, &result, NULL), MR_OK);
    assert_int_equal(result.end, PROGRAM_EXITED);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.processes, 2);
}

static void test_a_file_grows_to_its_bound_only(void **state)
{
    program_result result;
    assert_int_equal(run_shell(*state, "exec dd if=/dev/zero of=large bs=1M count=100", 10000, &result, NULL),
                     MR_OK);
    assert_int_equal(result.exit_code, -SIGXFSZ);
}

static void wait_passed(const folder_bound *bound, bool wanted)
{
    for (int i = 0; wanted && !folder_bound_passed(bound) && i < 10000; i++)
        usleep(1000);
    assert_int_equal(folder_bound_passed(bound), wanted);
}

static void test_a_folder_that_is_too_full_is_noticed(void **state)
{
    fixture *f = *state;
    folder_bound *bound = NULL;
    char block[4096] = {0};
    assert_int_equal(mkdirat(f->fd, "deep", 0755), 0);
    assert_int_equal(mkdirat(f->fd, "deep/er", 0755), 0);
    assert_int_equal(folder_bound_open(f->fd, 256 * 1024, &bound, NULL), MR_OK);
    wait_passed(bound, false);
    int fd = openat(f->fd, "deep/er/full", O_WRONLY | O_CREAT, 0644);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    close(fd);
    wait_passed(bound, true);
    folder_bound_close(&bound);
    assert_null(bound);
}

static void test_folders_that_are_nested_without_end_are_too_full(void **state)
{
    fixture *f = *state;
    folder_bound *bound = NULL;
    int at = dup(f->fd);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(folder_bound_open(f->fd, 1 << 30, &bound, NULL), MR_OK);
    wait_passed(bound, true);
    folder_bound_close(&bound);
}

static void test_a_program_that_is_not_there_is_told(void **state)
{
    fixture *f = *state;
    program_result result;
    mr_error error;
    char *arguments[] = {(char *)"/nowhere/run", NULL}, *environment[] = {NULL};
    program_spec spec = {.arguments = arguments,
                         .environment = environment,
                         .folder = f->dir,
                         .deadline_ms = 1000,
                         .log_fd = f->log,
                         .stopping = never};
    assert_int_equal(program_run(&spec, &result, &error), MR_ENOTFOUND);
    assert_int_equal(error.class, MR_DATA);
    assert_non_null(strstr(error.text, "/nowhere/run"));
}

/* --- seal
 * ---------------------------------------------------------------------------------------------------------
 */

static seal_spec spec_of(const fixture *f, const char *datasets)
{
    return (seal_spec){.run_fd = f->fd,
                       .epoch = 5,
                       .run_uid = "uid",
                       .datasets = datasets,
                       .files_max = 3,
                       .manifest_max_bytes = 4096};
}

static const char one[] = "[{\"name\":\"rows\"}]";
static const char two[] = "[{\"name\":\"a\",\"pattern\":\"a*.csv\"},{\"name\":\"b\",\"pattern\":\"*b.csv\"}]";

static void make_out(fixture *f)
{
    assert_int_equal(mkdirat(f->fd, "out", 0755), 0);
}

static void test_sealed_files_are_listed_with_their_hashes(void **state)
{
    fixture *f = *state;
    seal_result result, again;
    seal_spec spec = spec_of(f, one);
    char text[1000] = "";
    make_out(f);
    put(f->fd, "out/z.csv", "abc");
    put(f->fd, "out/a.csv", "");
    assert_int_equal(seal_read(&spec, &again, NULL), MR_ENOTFOUND);
    assert_int_equal(seal_folder(&spec, "out", &result, NULL), MR_OK);
    assert_int_equal(result.files, 2);
    assert_int_equal(result.bytes, 3);
    int fd = openat(f->fd, "manifest-5.json", O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    for (char *at; (at = strstr(text, ",\"changed_ns\":17")) != NULL ||
                   (at = strstr(text, ",\"changed_ns\":18")) != NULL;)
        memmove(at, strchr(at, '}'), strlen(strchr(at, '}')) + 1); /* now */
    assert_string_equal(
        text, "{\"run_uid\":\"uid\",\"files\":[{\"dataset\":\"rows\",\"name\":\"a.csv\",\"path\":\"sealed-5/"
              "a.csv\","
              "\"size\":0,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
              "{\"dataset\":\"rows\",\"name\":\"z.csv\",\"path\":\"sealed-5/z.csv\",\"size\":3,"
              "\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]}");
    assert_int_equal(seal_read(&spec, &again, NULL), MR_OK);
    assert_string_equal(again.manifest_sha256, result.manifest_sha256);
    assert_int_equal(again.files, 2);
    assert_int_equal(again.bytes, 3);
}

/* What was moved before the disk refused is not lost by the next try. */
static void test_a_seal_that_was_cut_short_goes_on(void **state)
{
    fixture *f = *state;
    seal_result result;
    seal_spec spec = spec_of(f, one);
    make_out(f);
    put(f->fd, "out/second.csv", "2");
    assert_int_equal(mkdirat(f->fd, "sealed-5", 0755), 0);
    put(f->fd, "sealed-5/first.csv", "1");
    assert_int_equal(seal_folder(&spec, "out", &result, NULL), MR_OK);
    assert_int_equal(result.files, 2);
}

static void test_claimed_files_are_listed_in_place(void **state)
{
    fixture *f = *state;
    seal_result result;
    seal_spec spec = spec_of(f, one);
    assert_int_equal(seal_claimed(&spec, &result, NULL), MR_OK);
    assert_int_equal(result.files, 1);
    assert_int_equal(faccessat(f->fd, "claimed/a.csv", F_OK, 0), 0);
}

static void test_files_find_their_dataset_by_pattern(void **state)
{
    fixture *f = *state;
    seal_result result;
    mr_error error;
    seal_spec spec = spec_of(f, two);
    make_out(f);
    put(f->fd, "out/a1.csv", "1");
    put(f->fd, "out/1b.csv", "2");
    assert_int_equal(seal_folder(&spec, "out", &result, &error), MR_OK);
    put(f->fd, "out/ab.csv", "3");
    assert_int_equal(seal_folder(&spec, "out", &result, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "ab.csv fits the file_pattern of two"));
    unlinkat(f->fd, "out/ab.csv", 0);
    put(f->fd, "out/c.csv", "4");
    assert_int_equal(seal_folder(&spec, "out", &result, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "c.csv fits the file_pattern of no"));
    assert_int_equal(error.class, MR_DATA);
}

static void test_only_plain_files_are_sealed(void **state)
{
    fixture *f = *state;
    make_out(f);
    assert_int_equal(symlinkat("/etc/passwd", f->fd, "out/odd"), 0);
    for (int kind = 0; kind < 4; kind++) {
        seal_result result;
        mr_error error;
        seal_spec spec = spec_of(f, one);
        assert_int_equal(seal_folder(&spec, "out", &result, &error), MR_EREFUSED);
        assert_non_null(strstr(error.text, "out/odd"));
        assert_int_equal(error.class, MR_DATA);
        folder_remove(f->fd, "out/odd");
        if (kind == 0)
            assert_int_equal(mkfifoat(f->fd, "out/odd", 0644), 0);
        if (kind == 1)
            assert_int_equal(mkdirat(f->fd, "out/odd", 0755), 0);
        if (kind == 2)
            assert_int_equal(linkat(f->fd, "claimed/a.csv", f->fd, "out/odd", 0), 0);
    }
}

static void assert_refused(fixture *f, const char *out, const char *text)
{
    seal_result result;
    mr_error error;
    seal_spec spec = spec_of(f, one);
    assert_int_not_equal(seal_folder(&spec, out, &result, &error), MR_OK);
    if (error.class != MR_DATA || strstr(error.text, text) == NULL)
        fail_msg("%s: %s", mr_err_class_name(error.class), error.text);
    assert_int_equal(seal_read(&spec, &result, NULL), MR_ENOTFOUND);
    assert_int_not_equal(faccessat(f->fd, "sealed-5", F_OK, 0), 0);
}

static void test_names_that_are_no_text_are_refused(void **state)
{
    static const char *const names[][2] = {{"out/a\xff"
                                            "b.csv",
                                            "out/a\\xffb.csv has a name that is not UTF-8"},
                                           {"out/a\nb.csv", "out/a\\x0ab.csv has a control character"},
                                           {"out/\x1b[2J", "out/\\x1b[2J has a control character"}};
    fixture *f = *state;
    make_out(f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put(f->fd, names[i][0], "1");
        assert_refused(f, "out", names[i][1]);
        unlinkat(f->fd, names[i][0], 0);
    }
}

/* A terabyte that was never written is not read. */
static void test_a_file_with_holes_is_refused(void **state)
{
    fixture *f = *state;
    make_out(f);
    put(f->fd, "out/good.csv", "1");
    put(f->fd, "out/sparse.csv", "2");
    int fd = openat(f->fd, "out/sparse.csv", O_WRONLY);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    assert_refused(f, "out", "sparse.csv has holes");
}

static void test_files_without_permissions_are_sealed(void **state)
{
    fixture *f = *state;
    seal_result result;
    seal_spec spec = spec_of(f, one);
    make_out(f);
    put(f->fd, "out/locked.csv", "1");
    assert_int_equal(fchmodat(f->fd, "out/locked.csv", 0, 0), 0);
    assert_int_equal(seal_folder(&spec, "out", &result, NULL), MR_OK);
    assert_int_equal(result.bytes, 1);
}

static void test_an_out_folder_that_is_gone_or_a_file_is_refused(void **state)
{
    fixture *f = *state;
    assert_refused(f, "out", "the program's out folder: out: No such file");
    put(f->fd, "out", "");
    assert_refused(f, "out", "not a folder");
}

static void test_too_many_files_are_refused_before_they_are_read(void **state)
{
    fixture *f = *state;
    make_out(f);
    put(f->fd, "out/a", "");
    put(f->fd, "out/b", "");
    put(f->fd, "out/c", "");
    put(f->fd, "out/d", "");
    assert_refused(f, "out", "more than 3 files");
}

static void test_an_out_folder_that_is_a_link_is_refused(void **state)
{
    fixture *f = *state;
    seal_result result;
    mr_error error;
    seal_spec spec = spec_of(f, one);
    assert_int_equal(symlinkat("/etc", f->fd, "out"), 0);
    assert_int_not_equal(seal_folder(&spec, "out", &result, &error), MR_OK);
    assert_int_equal(error.class, MR_DATA);
}

static void test_more_files_than_a_manifest_can_list_are_refused(void **state)
{
    fixture *f = *state;
    seal_spec spec = spec_of(f, one);
    seal_result result;
    mr_error error;
    char name[30];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "claimed/%d.csv", i);
        put(f->fd, name, "");
    }
    assert_int_equal(seal_claimed(&spec, &result, &error), MR_ETOOLARGE);
    assert_int_equal(error.class, MR_DATA);
    assert_int_equal(seal_read(&spec, &result, &error), MR_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_program_gets_copies_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exit_code_and_last_output_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_program_that_grows_at_once_is_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_cut_with_a_note, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detached_processes_end_with_the_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_deadline_ends_a_program_that_ignores_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_program_computes_with_what_tasks_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_processes_end_a_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_it_left_behind_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_grows_to_its_bound_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_that_is_too_full_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders_that_are_nested_without_end_are_too_full, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_program_that_is_not_there_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sealed_files_are_listed_with_their_hashes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_seal_that_was_cut_short_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claimed_files_are_listed_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_find_their_dataset_by_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_no_text_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_with_holes_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_without_permissions_are_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_out_folder_that_is_gone_or_a_file_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_too_many_files_are_refused_before_they_are_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_only_plain_files_are_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_out_folder_that_is_a_link_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_files_than_a_manifest_can_list_are_refused, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
