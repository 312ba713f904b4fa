/* embedded_test.c - what is particular to the SQLite files: owner, mode, locks, damage, size, a full disk. */
#include "bus/bus.h"

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TOPIC "acme.rows"

typedef struct fixture {
    char folder[64];
    char path[128];
    mr_props *config;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/bus-embedded-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/acme.db", f->folder);
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    assert_int_equal(mr_props_set(f->config, "bus.dir", f->folder), MR_OK);
    assert_int_equal(mr_props_set(f->config, "bus.lock.timeout.ms", "300"), MR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    DIR *dir = opendir(f->folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(f->folder);
    mr_props_close(&f->config);
    free(f);
    return 0;
}

static void must(mr_err err, const mr_error *error)
{
    if (err != MR_OK)
        fail_msg("%s: %s", mr_err_name(err), error->text);
}

static mr_bus *open_bus(const fixture *f)
{
    mr_error error = {0};
    mr_bus *bus = NULL;
    must(mr_bus_open(f->config, "acme", "uid-1", &bus, &error), &error);
    must(mr_bus_create_topic(bus, TOPIC, 1, &error), &error);
    return bus;
}

static mr_err open_writer(mr_bus *bus, int64_t epoch, mr_bus_writer **ret_writer, mr_error *ret_error)
{
    mr_bus_identity who = {.tenant = "acme", .tenant_uid = "uid-1", .connector = "source", .epoch = epoch};
    return mr_bus_writer_open(bus, &who, ret_writer, NULL, ret_error);
}

static void send_rows(mr_bus_writer *writer, int count, size_t size)
{
    mr_error error = {0};
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7);
    mr_record record = {.value = {bytes, size}, .timestamp_ms = 1700000000000};
    for (int i = 0; i < count; i++)
        must(mr_bus_send(writer, TOPIC, 0, &record, &error), &error);
    free(bytes);
}

static void execute(const fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static long long size_of(const fixture *f, const char *suffix)
{
    struct stat stat_of;
    char path[160];
    snprintf(path, sizeof path, "%s%s", f->path, suffix);
    return stat(path, &stat_of) == 0 ? (long long)stat_of.st_size : 0;
}

static void test_a_former_tenant_of_the_same_name_is_refused(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus *bus = open_bus(f), *other = NULL;
    assert_int_equal(mr_bus_open(f->config, "acme", "uid-2", &other, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, f->path));
    assert_null(other);
    mr_bus_close(&bus);
}

static void test_files_are_for_their_owner_only(void **state)
{
    fixture *f = *state;
    struct stat stat_of;
    mr_bus *bus = open_bus(f);
    DIR *dir = opendir(f->folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        assert_int_equal(fstatat(dirfd(dir), entry->d_name, &stat_of, 0), 0);
        if (S_ISREG(stat_of.st_mode))
            assert_int_equal(stat_of.st_mode & 0777, 0600);
    }
    closedir(dir);
    mr_bus_close(&bus);
}

static void test_a_tenant_id_cannot_leave_the_folder(void **state)
{
    static const char *const names[] = {"", "..", "../x", "a/b", "-a", "_a", "A", "a.b"};
    fixture *f = *state;
    mr_bus *bus = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(mr_bus_open(f->config, names[i], "uid-1", &bus, NULL), MR_EINVALID);
}

static void test_what_is_no_database_is_refused_by_name(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus *bus = NULL;
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", file);
    fclose(file);
    assert_int_equal(mr_bus_open(f->config, "acme", "uid-1", &bus, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, f->path));
}

static void test_a_newer_format_is_refused(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus *bus = open_bus(f);
    mr_bus_close(&bus);
    execute(f, "UPDATE meta SET value=99 WHERE name='format'");
    assert_int_equal(mr_bus_open(f->config, "acme", "uid-1", &bus, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "99"));
}

static void test_who_only_reads_makes_and_writes_nothing(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus *bus = NULL, *reading = NULL;
    mr_bus_writer *writer = NULL;
    bool more;
    int32_t partitions;
    assert_int_equal(mr_bus_open(f->config, "acme", NULL, &reading, &error), MR_ENOTFOUND);
    assert_int_equal(access(f->path, F_OK), -1);
    bus = open_bus(f);
    must(mr_bus_open(f->config, "acme", NULL, &reading, &error), &error);
    must(mr_bus_partitions(reading, TOPIC, &partitions, &error), &error);
    assert_int_equal(mr_bus_create_topic(reading, "acme.more", 1, &error), MR_EREFUSED);
    assert_int_equal(mr_bus_retain(reading, TOPIC, 0, &more, &error), MR_EREFUSED);
    assert_int_equal(open_writer(reading, 1, &writer, &error), MR_EREFUSED);
    mr_bus_close(&reading);
    mr_bus_close(&bus);
}

static void test_a_held_lock_is_named_after_the_bound(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    const mr_bus_range *ranges;
    size_t count;
    mr_bus_writer *holder = NULL, *writer = NULL;
    mr_bus_identity who = {.tenant = "acme", .tenant_uid = "uid-1", .connector = "sink", .epoch = 1};
    mr_bus *bus = open_bus(f);
    must(open_writer(bus, 1, &holder, &error), &error);
    must(mr_bus_prepare(holder, &ranges, &count, &error), &error);
    assert_int_equal(mr_bus_writer_open(bus, &who, &writer, NULL, &error), MR_EUNAVAILABLE);
    assert_non_null(strstr(error.text, f->path));
    assert_non_null(strstr(error.text, "acme/source/0, epoch 1"));
    mr_bus_abort(holder);
    must(mr_bus_writer_open(bus, &who, &writer, NULL, &error), &error);
    mr_bus_writer_close(&writer);
    mr_bus_writer_close(&holder);
    mr_bus_close(&bus);
}

static void test_a_damaged_batch_is_named_and_not_passed_over(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_writer *writer = NULL;
    mr_bus_reader *reader = NULL;
    mr_arena arena = {0};
    const mr_record *records;
    size_t count;
    mr_bus *bus = open_bus(f);
    must(open_writer(bus, 1, &writer, &error), &error);
    send_rows(writer, 10, 100);
    must(mr_bus_commit(writer, &error), &error);
    execute(f, "UPDATE batches SET data=substr(data, 1, length(data) - 50)");
    must(mr_bus_reader_open(bus, &reader, &error), &error);
    must(mr_bus_assign(reader, TOPIC, 0, 0, &error), &error);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mr_bus_poll(reader, 1000, 0, &arena, &records, &count, &error), MR_EINVALID);
        assert_non_null(strstr(error.text, TOPIC));
        assert_int_equal(error.class, MR_CONFIG);
        mr_arena_reset(&arena);
    }
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
    mr_bus_close(&bus);
}

static void test_retention_gives_space_back(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_writer *writer = NULL;
    bool more = true;
    int slices = 0;
    mr_bus *bus = open_bus(f);
    must(open_writer(bus, 1, &writer, &error), &error);
    for (int i = 0; i < 40; i++) {
        send_rows(writer, 500, 1000);
        must(mr_bus_commit(writer, &error), &error);
    }
    mr_bus_writer_close(&writer);
    long long before = size_of(f, "");
    for (; more; slices++)
        must(mr_bus_retain(bus, TOPIC, 1800000000000, &more, &error), &error);
    assert_true(slices > 3);
    mr_bus_close(&bus); /* its checkpoint shortens the file */
    assert_true(before > 10 * 1000 * 1000);
    assert_true(size_of(f, "") < before / 10);
}

static void test_a_reader_does_not_let_the_wal_grow(void **state)
{
    enum { WAL_BYTES = 12 * 1024 * 1024 };
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_writer *writer = NULL;
    mr_bus_reader *reader = NULL;
    mr_arena arena = {0};
    long long largest = 0;
    mr_bus *bus = open_bus(f);
    must(open_writer(bus, 1, &writer, &error), &error);
    must(mr_bus_reader_open(bus, &reader, &error), &error);
    must(mr_bus_assign(reader, TOPIC, 0, 0, &error), &error);
    for (int i = 0; i < 60; i++) {
        const mr_record *records;
        size_t count;
        send_rows(writer, 1000, 1000);
        must(mr_bus_commit(writer, &error), &error);
        must(mr_bus_poll(reader, 100000, 0, &arena, &records, &count, &error), &error); /* falls behind */
        mr_arena_reset(&arena);
        largest = size_of(f, "-wal") > largest ? size_of(f, "-wal") : largest;
    }
    assert_true(largest < WAL_BYTES);
    mr_arena_fini(&arena);
    mr_bus_reader_close(&reader);
    mr_bus_writer_close(&writer);
    mr_bus_close(&bus);
}

/* In a child, since it has a mount namespace of its own. 77: not allowed here. */
static int fill_the_disk(const fixture *f)
{
    mr_error error = {0};
    mr_bus_writer *writer = NULL;
    char filler[128];
    static char zeros[64 * 1024];
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->folder, "tmpfs", 0, "size=4m") != 0)
        return 77;
    mr_bus *bus = open_bus(f);
    must(open_writer(bus, 1, &writer, &error), &error);
    snprintf(filler, sizeof filler, "%s/filler", f->folder);
    FILE *file = fopen(filler, "w");
    while (file != NULL && fwrite(zeros, 1, sizeof zeros, file) == sizeof zeros)
        ;
    if (file == NULL)
        return 1;
    (void)fclose(file);
    send_rows(writer, 1000, 1000);
    size_t buffered = mr_bus_buffered_bytes(writer);
    if (mr_bus_commit(writer, &error) != MR_ENOSPC || strstr(error.text, f->path) == NULL) {
        fprintf(stderr, "%s: %s\n", mr_err_name(error.code), error.text);
        return 2;
    }
    if (mr_bus_buffered_bytes(writer) != buffered || unlink(filler) != 0)
        return 3;
    must(mr_bus_commit(writer, &error), &error); /* the same records, once */
    int64_t first, end;
    must(mr_bus_offsets(bus, TOPIC, 0, &first, &end, &error), &error);
    if (end - first < 1000)
        return 4;
    mr_bus_writer_close(&writer);
    mr_bus_close(&bus);
    return 0;
}

static void test_a_full_disk_keeps_what_is_buffered(void **state)
{
    fixture *f = *state;
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(fill_the_disk(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void test_processes_that_open_at_once_make_one_bus(void **state)
{
    enum { CHILDREN = 6 };
    fixture *f = *state;
    mr_error error = {0};
    pid_t children[CHILDREN];
    assert_int_equal(mr_props_set(f->config, "bus.lock.timeout.ms", "20000"), MR_OK);
    fflush(NULL);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            mr_bus *bus = NULL;
            bool made = mr_bus_open(f->config, "acme", "uid-1", &bus, &error) == MR_OK &&
                        mr_bus_create_topic(bus, TOPIC, 4, &error) == MR_OK;
            if (!made)
                fprintf(stderr, "%s\n", error.text);
            _exit(made ? 0 : 1);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_former_tenant_of_the_same_name_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_are_for_their_owner_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_tenant_id_cannot_leave_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_database_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_format_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_only_reads_makes_and_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_held_lock_is_named_after_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_batch_is_named_and_not_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention_gives_space_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_does_not_let_the_wal_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_keeps_what_is_buffered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_processes_that_open_at_once_make_one_bus, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
