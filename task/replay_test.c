/* replay_test.c - a replay over a real bus: what it reads, what retention leaves it, what is read once. */
#include "task/replay.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REJECTED "acme.rows.rejected"

typedef struct fixture {
    char folder[40];
    mr_props *config;
    assignment *work;
    mr_bus *bus;
    mr_bus_writer *writer;
    mr_buf position, replayed;
} fixture;

static void must(mr_err err, const mr_error *error)
{
    if (err != MR_OK)
        fail_msg("%s: %s", mr_err_name(err), error->text);
}

static void set(fixture *f, const char *key, const char *value)
{
    assert_int_equal(mr_props_set(f->config, key, value), MR_OK);
}

/* The assignment of a replay of that run (NULL: of all). */
static void assign(fixture *f, const char *run, bool force)
{
    static const char schema[] =
        "{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"id\",\"type\":\"int\"}]}";
    static const char *const keys[][2] = {{"kind", "source"},     {"name", "rows-source"},
                                          {"epoch", "1"},         {"tenant", "acme"},
                                          {"tenant.uid", "uid"},  {"dataset", "rows"},
                                          {"topic", "acme.rows"}, {"run.uid", "again"},
                                          {"run.seq", "9"},       {"connector.class", REPLAY_CLASS},
                                          {"schema", schema},     {"schema.id", "1"},
                                          {"key.schema.id", "2"}, {"primary.key", "[\"id\"]"}};
    mr_error error;
    assignment_close(&f->work);
    mr_props_close(&f->config);
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    set(f, "bus.dir", f->folder);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        set(f, keys[i][0], keys[i][1]);
    if (run != NULL)
        set(f, "replay.run", run);
    set(f, "replay.force", force ? "true" : "false");
    must(assignment_open(f->config, &f->work, &error), &error);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    int64_t epoch;
    mr_error error;
    assert_non_null(f);
    strcpy(f->folder, "/tmp/replay-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assign(f, NULL, false);
    must(assignment_open_bus(f->work, &f->bus, &f->writer, &epoch, &error), &error);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    DIR *dir = opendir(f->folder);
    mr_bus_writer_close(&f->writer);
    mr_bus_close(&f->bus);
    assignment_close(&f->work);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(f->folder);
    mr_props_close(&f->config);
    mr_buf_fini(&f->position);
    mr_buf_fini(&f->replayed);
    free(f);
    return 0;
}

/* A batch of the bus for each row. */
static void reject(fixture *f, const char *run, const char *const *rows)
{
    mr_error error;
    for (; *rows != NULL; rows++) {
        const dead_letter letter = {.connector = "rows-source",
                                    .stage = "convert",
                                    .reason = "for some reason",
                                    .run_seq = 1,
                                    .run_uid = run,
                                    .file = "f.csv",
                                    .line = 2,
                                    .csv_dialect = MR_SLICE_LITERAL(",\""),
                                    .csv_header = MR_SLICE_LITERAL("id"),
                                    .value = mr_slice_of(*rows)};
        must(dead_letter_send(f->writer, REJECTED, &letter, &error), &error);
        must(mr_bus_commit(f->writer, &error), &error);
    }
}

static replay *open_replay(fixture *f)
{
    mr_error error;
    replay *it = NULL;
    must(replay_open(f->work, f->bus, mr_buf_slice(&f->position), mr_buf_slice(&f->replayed), &it, &error),
         &error);
    return it;
}

/* One poll, committed. The values that were read, "x" for one that was rejected again. */
static void expect_batch(fixture *f, replay *it, const char *expected, bool end, const char *reason)
{
    mr_error error;
    mr_arena arena = {0};
    char text[200] = "";
    mr_source_batch batch = {.arena = &arena};
    must(replay_poll(it, &batch, &error), &error);
    for (size_t i = 0; i < batch.count; i++) {
        const mr_source_record *record = &batch.records[i];
        size_t at = strlen(text);
        assert_string_equal(replay_letter(it, record)->file, "f.csv");
        snprintf(text + at, sizeof text - at, record->values != NULL ? "%lld " : "x ",
                 record->values != NULL ? (long long)record->values[0].integer : 0);
    }
    assert_string_equal(text, expected);
    assert_int_equal(batch.end, end);
    if (reason == NULL)
        assert_null(batch.rejected_file_reason);
    else
        assert_non_null(strstr(batch.rejected_file_reason, reason));
    f->position.size = 0;
    assert_int_equal(mr_buf_append(&f->position, batch.position.data, batch.position.size), MR_OK);
    must(replay_keep(it, f->writer, batch.end, &error), &error);
    must(mr_bus_commit(f->writer, &error), &error);
    mr_arena_fini(&arena);
}

/* As a restart does, or the next replay: with what the bus has kept. */
static void on_position(void *arg, mr_slice key, mr_slice value)
{
    fixture *f = arg;
    mr_buf ours = {0};
    assert_int_equal(replay_key("rows", &ours, NULL), MR_OK);
    if (mr_slice_equal(key, mr_buf_slice(&ours)))
        assert_int_equal(mr_buf_append(&f->replayed, value.data, value.size), MR_OK);
    mr_buf_fini(&ours);
}

static void load_replayed(fixture *f)
{
    mr_error error;
    f->replayed.size = f->position.size = 0;
    must(mr_bus_load_positions(f->writer, on_position, f, &error), &error);
}

static int64_t first_kept(fixture *f)
{
    int64_t first, end;
    mr_error error;
    bool more = true;
    while (more)
        must(mr_bus_retain(f->bus, REJECTED, INT64_MAX, &more, &error), &error);
    must(mr_bus_offsets(f->bus, REJECTED, 0, &first, &end, &error), &error);
    return first;
}

static void rows_are_replayed_once(void **state)
{
    fixture *f = *state;
    reject(f, "a", (const char *const[]){"1", "two", NULL});
    reject(f, "b", (const char *const[]){"3", NULL});
    assign(f, "b", false);
    replay *it = open_replay(f);
    reject(f, "b", (const char *const[]){"4", NULL}); /* after it began */
    expect_batch(f, it, "3 ", true, NULL);
    replay_close(&it);

    load_replayed(f);
    assign(f, NULL, false);
    it = open_replay(f);
    expect_batch(f, it, "1 x 4 ", true, NULL);
    replay_close(&it);

    load_replayed(f);
    it = open_replay(f);
    expect_batch(f, it, "", true, NULL);
    replay_close(&it);

    load_replayed(f);
    assign(f, NULL, true);
    it = open_replay(f);
    expect_batch(f, it, "1 x 3 4 ", true, NULL);
    replay_close(&it);
}

static void retention_waits_for_an_open_replay(void **state)
{
    fixture *f = *state;
    mr_error error;
    char large[100 * 1024];
    memset(large, '7', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    reject(f, "a", (const char *const[]){large, large, large, large, NULL}); /* more than one poll gives */
    reject(f, "a", (const char *const[]){"5", NULL});
    replay *it = open_replay(f);
    expect_batch(f, it, "x x ", false, NULL);
    replay_close(&it);
    int64_t kept = first_kept(f); /* what was read may go, the rest stays */
    it = open_replay(f);
    expect_batch(f, it, "x x 5 ", true, NULL);
    replay_close(&it);
    assert_true(first_kept(f) > kept); /* its end gave the rest free */

    reject(f, "a", (const char *const[]){"6", NULL});
    f->position.size = 0;
    must(replay_release(f->work, f->writer, &error), &error); /* there is nothing to take back */
}

static void what_retention_took_before_is_told(void **state)
{
    fixture *f = *state;
    mr_error error;
    reject(f, "a", (const char *const[]){"1", "2", NULL});
    assert_int_equal(mr_buf_printf(&f->position, "{\"next\": 0, \"end\": 1000}"), MR_OK);
    first_kept(f);
    reject(f, "a", (const char *const[]){"3", NULL});
    replay *it = open_replay(f);
    expect_batch(f, it, "3 ", false, "were removed by retention before the replay read them");
    replay_close(&it);
    must(replay_release(f->work, f->writer, &error), &error);
    must(mr_bus_commit(f->writer, &error), &error);
    int64_t before = first_kept(f);
    reject(f, "a", (const char *const[]){"4", NULL});
    assert_true(first_kept(f) > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_replayed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_waits_for_an_open_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(what_retention_took_before_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
