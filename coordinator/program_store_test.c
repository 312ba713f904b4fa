#include "coordinator/program_store.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char staging[64];
static char folder[MR_PROGRAM_FOLDER_BYTES];
static char sha256[65];
static bool is_new;
static mr_error error;

typedef struct member {
    const char *path;
    const char *content; /* NULL: a folder */
    int mode;
    const char *symlink, *hardlink;
    mode_t type; /* 0: by content */
} member;

/* A tar of the members in an unlinked temporary file, read from its start. */
static int tar_of(const member *members, size_t count, time_t time)
{
    char path[] = "/tmp/millrace-tar-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    struct archive *archive = archive_write_new();
    archive_write_set_format_pax_restricted(archive);
    assert_int_equal(archive_write_open_fd(archive, fd), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        const member *m = &members[i];
        struct archive_entry *header = archive_entry_new();
        archive_entry_set_pathname(header, m->path);
        archive_entry_set_filetype(header, m->type != 0 ? m->type : m->content == NULL ? AE_IFDIR : AE_IFREG);
        archive_entry_set_perm(header, (mode_t)m->mode);
        archive_entry_set_mtime(header, time, 0);
        archive_entry_set_uid(header, time % 1000);
        if (m->symlink != NULL)
            archive_entry_set_symlink(header, m->symlink);
        if (m->hardlink != NULL)
            archive_entry_set_hardlink(header, m->hardlink);
        archive_entry_set_size(header, m->content == NULL ? 0 : (la_int64_t)strlen(m->content));
        assert_int_equal(archive_write_header(archive, header), ARCHIVE_OK);
        if (m->content != NULL)
            archive_write_data(archive, m->content, strlen(m->content));
        archive_entry_free(header);
    }
    archive_write_close(archive);
    archive_write_free(archive);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static mr_err put_tar(int fd, bool needs_run)
{
    mr_err err = mr_program_store_unpack(staging, fd, needs_run, folder, sha256, &error);
    if (err != MR_OK)
        return err;
    err = mr_program_store_keep(staging, folder, sha256, &is_new, &error);
    mr_program_store_discard(folder);
    return err;
}

static mr_err put(const member *members, size_t count, bool needs_run)
{
    const int fd = tar_of(members, count, 1000000);
    const mr_err err = put_tar(fd, needs_run);
    close(fd);
    return err;
}

static size_t stored(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/programs", staging);
    DIR *programs = opendir(path);
    size_t count = 0;
    for (const struct dirent *name; (name = readdir(programs)) != NULL;)
        count += strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0;
    closedir(programs);
    return count;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int make_staging(void **state)
{
    (void)state;
    strcpy(staging, "/tmp/millrace-programs-XXXXXX");
    return mkdtemp(staging) == NULL || mr_program_store_open(staging, &error) != MR_OK;
}

static int remove_staging(void **state)
{
    (void)state;
    return nftw(staging, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const member good[] = {
    {.path = "./", .mode = 0755},
    {.path = "./run", .content = "#!/bin/sh\n", .mode = 0755},
    {.path = "./lib/clean.py", .content = "pass\n", .mode = 0600},
};

static void a_program_is_stored_under_its_hash(void **state)
{
    (void)state;
    assert_int_equal(put(good, 3, true), MR_OK);
    char path[200];
    struct stat status;
    snprintf(path, sizeof path, "%s/programs/%s/run", staging, sha256);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0755);
    snprintf(path, sizeof path, "%s/programs/%s/lib/clean.py", staging, sha256);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
    assert_int_equal(status.st_size, 5);
    assert_int_equal(stored(), 1);
}

static void times_owners_and_order_do_not_change_the_hash(void **state)
{
    (void)state;
    assert_int_equal(put(good, 3, true), MR_OK);
    char first[65];
    memcpy(first, sha256, sizeof first);
    const member turned[] = {good[2], good[1]};
    const int fd = tar_of(turned, 2, 1700000001);
    assert_int_equal(put_tar(fd, true), MR_OK);
    assert_false(is_new);
    close(fd);
    assert_string_equal(first, sha256);
    assert_int_equal(stored(), 1);
}

static void content_and_executable_bit_change_the_hash(void **state)
{
    (void)state;
    assert_int_equal(put(good, 3, false), MR_OK);
    char first[65];
    memcpy(first, sha256, sizeof first);
    member changed[] = {good[1], good[2]};
    changed[1].mode = 0755;
    assert_int_equal(put(changed, 2, false), MR_OK);
    assert_string_not_equal(first, sha256);
    changed[1].mode = 0600;
    changed[1].content = "else\n";
    assert_int_equal(put(changed, 2, false), MR_OK);
    assert_string_not_equal(first, sha256);
}

static void what_is_unpacked_and_discarded_is_not_stored(void **state)
{
    (void)state;
    const int fd = tar_of(good, 3, 0);
    assert_int_equal(mr_program_store_unpack(staging, fd, true, folder, sha256, &error), MR_OK);
    close(fd);
    mr_program_store_discard(folder);
    assert_int_equal(stored(), 0);
}

static void only_what_was_new_is_taken_back(void **state)
{
    (void)state;
    assert_int_equal(put(good, 3, true), MR_OK);
    assert_true(is_new);
    mr_program_store_take_back(staging, folder, sha256);
    assert_int_equal(stored(), 0);
    assert_int_equal(put(good, 3, true), MR_OK);
    assert_int_equal(put(good, 3, true), MR_OK);
    assert_false(is_new);
    assert_int_equal(stored(), 1);
}

static void a_program_without_an_executable_run_is_refused(void **state)
{
    (void)state;
    const member plain[] = {{.path = "run", .content = "x", .mode = 0644}};
    assert_int_equal(put(plain, 1, true), MR_EINVALID);
    assert_string_equal(error.text, "program: it has no executable file \"run\", and the agreement names no "
                                    "program.command");
    assert_int_equal(put(plain, 1, false), MR_OK);
}

static void hostile_entries_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    static const struct {
        member member;
        const char *message;
    } cases[] = {
        {{.path = "/etc/passwd", .content = "x"}, "program: the path /etc/passwd is absolute"},
        {{.path = "../x", .content = "x"}, "program: the path ../x leads out of the program folder"},
        {{.path = "a/../../x", .content = "x"},
         "program: the path a/../../x leads out of the program folder"},
        {{.path = "a//x", .content = "x"}, "program: the path a//x has an empty part"},
        {{.path = "a\nb", .content = "x"}, "program: the path a\nb holds a control character"},
        {{.path = "l", .symlink = "/etc", .type = AE_IFLNK},
         "program: l is not a regular file or folder; links are not taken"},
        {{.path = "l", .hardlink = "run", .type = AE_IFREG},
         "program: l is not a regular file or folder; links are not taken"},
        {{.path = "f", .type = AE_IFIFO}, "program: f is not a regular file or folder"},
        {{.path = "d", .type = AE_IFCHR}, "program: d is not a regular file or folder"},
        {{.path = "run", .content = "again", .mode = 0755}, "program: run is in the archive twice"},
        {{.path = "run", .mode = 0755}, "program: run is in the archive twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const member members[] = {good[1], cases[i].member};
        assert_int_equal(put(members, 2, true), MR_EINVALID);
        assert_string_equal(error.text, cases[i].message);
        assert_int_equal(stored(), 0);
    }
}

static void a_file_cannot_lie_below_a_file(void **state)
{
    (void)state;
    const member members[] = {good[1], {.path = "run/x", .content = "x"}};
    assert_int_not_equal(put(members, 2, true), MR_OK);
    assert_int_equal(stored(), 0);
}

static void what_is_no_tar_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/millrace-tar-XXXXXX";
    const int fd = mkstemp(path);
    unlink(path);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "this is not a tar archive", 25), 25);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(put_tar(fd, false), MR_EINVALID);
    assert_non_null(strstr(error.text, "program: not a tar archive"));
    close(fd);
}

static void too_many_entries_are_refused(void **state)
{
    (void)state;
    const size_t count = 10001;
    member *members = calloc(count, sizeof *members);
    char *names = calloc(count, 16);
    for (size_t i = 0; i < count; i++) {
        snprintf(names + 16 * i, 16, "f%zu", i);
        members[i] = (member){.path = names + 16 * i};
    }
    assert_int_equal(put(members, count, false), MR_ETOOLARGE);
    assert_string_equal(error.text, "program: more than 10,000 entries");
    assert_int_equal(stored(), 0);
    free(members);
    free(names);
}

static void too_many_bytes_are_refused(void **state)
{
    (void)state;
    const size_t size = 33 * 1024 * 1024;
    char *content = malloc(size + 1);
    memset(content, 'x', size);
    content[size] = '\0';
    const member members[] = {{.path = "a", .content = content}, {.path = "b", .content = content}};
    assert_int_equal(put(members, 2, false), MR_ETOOLARGE);
    assert_string_equal(error.text, "program: more than 64 MiB");
    assert_int_equal(stored(), 0);
    free(content);
}

static void what_a_cut_off_unpacking_left_is_removed_at_the_start(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/programs/.unpack-abc", staging);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mr_program_store_open(staging, &error), MR_OK);
    assert_int_equal(stored(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_staging, remove_staging)
    const struct CMUnitTest tests[] = {
        TEST(a_program_is_stored_under_its_hash),
        TEST(times_owners_and_order_do_not_change_the_hash),
        TEST(content_and_executable_bit_change_the_hash),
        TEST(what_is_unpacked_and_discarded_is_not_stored),
        TEST(only_what_was_new_is_taken_back),
        TEST(a_program_without_an_executable_run_is_refused),
        TEST(hostile_entries_are_refused_and_leave_nothing),
        TEST(a_file_cannot_lie_below_a_file),
        TEST(what_is_no_tar_is_refused),
        TEST(too_many_entries_are_refused),
        TEST(too_many_bytes_are_refused),
        TEST(what_a_cut_off_unpacking_left_is_removed_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
