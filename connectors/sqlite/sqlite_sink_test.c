#include "connectors/sqlite/sqlite_sink.h"

#include "core/avro.h"
#include "core/json_row.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char schema_text[] = "{\"type\":\"record\",\"name\":\"people\",\"fields\":["
                                  "{\"name\":\"id\",\"type\":\"int\"},"
                                  "{\"name\":\"name\",\"type\":\"string\"},"
                                  "{\"name\":\"speed\",\"type\":\"double\"},"
                                  "{\"name\":\"note\",\"type\":[\"null\",\"string\"]}]}";

enum { MAX_SEQ = 64, FIELDS = 4, DEADLINE_MS = 20000 };

struct mr_verdicts {
    int last[MAX_SEQ]; /* verdict + 1, 0: none */
    char reason[300];
};

void mr_verdict_give(mr_verdicts *verdicts, uint64_t first_seq, uint64_t last_seq, mr_verdict verdict,
                     uint32_t after_ms, const char *reason)
{
    (void)after_ms;
    for (uint64_t seq = first_seq; seq <= last_seq; seq++)
        verdicts->last[seq] = (int)verdict + 1;
    if (reason != NULL)
        snprintf(verdicts->reason, sizeof verdicts->reason, "%s", reason);
}

typedef struct fixture {
    char dir[64];
    mr_schema *schema;
    mr_props *config;
    mr_env env;
    mr_verdicts verdicts;
    int64_t stored_epoch;
    uint64_t next_seq;
    void *self;
    mr_error error;
} fixture;

static const int key_columns[] = {0, 1};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sqlite_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, &f->schema, NULL), MR_OK);
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    mr_props_set(f->config, "store.dir", f->dir);
    mr_props_set(f->config, "key.space", "ks");
    f->env = (mr_env){.tenant = "t",
                      .tenant_uid = "uid",
                      .dataset = "d",
                      .connector = "c",
                      .epoch = 5,
                      .topic = "t.d",
                      .config = f->config,
                      .schema = f->schema,
                      .key_columns = key_columns,
                      .key_column_count = 2};
    *state = f;
    return 0;
}

static void close_sink(fixture *f)
{
    if (f->self != NULL)
        mr_sqlite_sink.close(f->self);
    free(f->self);
    f->self = NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[100];
    close_sink(f);
    mr_schema_close(&f->schema);
    mr_props_close(&f->config);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static mr_err open_sink(fixture *f)
{
    close_sink(f);
    f->self = calloc(1, mr_sqlite_sink.state_size);
    assert_non_null(f->self);
    return mr_sqlite_sink.open(f->self, &f->env, &f->verdicts, &f->stored_epoch, &f->error);
}

static uint64_t give(fixture *f, const mr_value *values, mr_slice key)
{
    mr_sink_record record = {
        .seq = f->next_seq++, .offset = (int64_t)f->next_seq, .key = key, .values = values};
    assert_int_equal(mr_sqlite_sink.write(f->self, &record, 1, &f->error), MR_OK);
    return record.seq;
}

static uint64_t give_row(fixture *f, int64_t id, const char *name, double speed, const char *note)
{
    mr_value values[FIELDS] = {
        {.type = MR_TYPE_INT, .integer = id},
        {.type = MR_TYPE_STRING, .size = (uint32_t)strlen(name), .data = name},
        {.type = MR_TYPE_DOUBLE, .real = speed},
        {.type = MR_TYPE_NULL},
    };
    if (note != NULL)
        values[3] = (mr_value){.type = MR_TYPE_STRING, .size = (uint32_t)strlen(note), .data = note};
    return give(f, values, (mr_slice){0});
}

static uint64_t give_tombstone(fixture *f, int64_t id, const char *name)
{
    mr_avro_encoder *encoder = NULL;
    mr_buf key = {0};
    mr_value values[FIELDS] = {
        {.type = MR_TYPE_INT, .integer = id},
        {.type = MR_TYPE_STRING, .size = (uint32_t)strlen(name), .data = name},
    };
    assert_int_equal(mr_avro_encoder_open(f->schema, key_columns, 2, 9, &encoder, NULL), MR_OK);
    assert_int_equal(mr_avro_encode(encoder, values, &key, NULL), MR_OK);
    uint64_t seq = give(f, NULL, mr_buf_slice(&key));
    mr_avro_encoder_close(&encoder);
    mr_buf_fini(&key);
    return seq;
}

static mr_err flush(fixture *f)
{
    return mr_sqlite_sink.flush(f->self, 5000, &f->error);
}

static mr_err commit(fixture *f, int64_t offset)
{
    mr_sink_position position = {0, offset, MR_SLICE_LITERAL("{\"runs\":[]}")};
    return mr_sqlite_sink.commit(f->self, &position, 1, &f->error);
}

static void store_all(fixture *f, int64_t offset)
{
    assert_int_equal(flush(f), MR_OK);
    assert_int_equal(commit(f, offset), MR_OK);
}

static void expect_verdict(const fixture *f, uint64_t seq, mr_verdict verdict)
{
    assert_int_equal(f->verdicts.last[seq], (int)verdict + 1);
}

static sqlite3 *open_db(const fixture *f)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/t/ks.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void run_sql(const fixture *f, const char *sql)
{
    sqlite3 *db = open_db(f);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* All that the query gives, cells joined by | and rows by ;. */
static void expect_rows(const fixture *f, const char *sql, const char *expected)
{
    sqlite3 *db = open_db(f);
    sqlite3_stmt *statement;
    char rows[1000] = "";
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            size_t used = strlen(rows);
            snprintf(rows + used, sizeof rows - used, "%s%s", i > 0 ? "|" : "", text == NULL ? "null" : text);
        }
        strcat(rows, ";");
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    assert_string_equal(rows, expected);
}

static const char all_people[] = "SELECT * FROM people ORDER BY id, name";

static void the_last_record_of_a_key_wins(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 2, "b", 1, NULL);
    give_row(f, 1, "a", 1, "old");
    give_row(f, 1, "a", 2.5, "new");
    store_all(f, 3);
    give_row(f, 2, "b", 9, "later");
    store_all(f, 4);
    for (uint64_t seq = 0; seq < 4; seq++)
        expect_verdict(f, seq, MR_SINK_DONE);
    expect_rows(f, all_people, "1|a|2.5|new;2|b|9.0|later;");
}

static void a_tombstone_deletes_and_a_later_row_comes_back(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    give_row(f, 2, "b", 1, NULL);
    store_all(f, 2);
    give_tombstone(f, 1, "a");
    give_tombstone(f, 2, "b");
    give_row(f, 2, "b", 3, NULL);
    uint64_t broken = give(f, NULL, MR_SLICE_LITERAL("no key"));
    store_all(f, 6);
    expect_verdict(f, broken, MR_SINK_REJECTED);
    expect_rows(f, all_people, "2|b|3.0|null;");
}

static void what_was_flushed_is_gone_without_commit(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    uint64_t seq = give_row(f, 1, "a", 1, NULL);
    expect_verdict(f, seq, MR_SINK_QUEUED);
    assert_int_equal(flush(f), MR_OK);
    expect_verdict(f, seq, MR_SINK_DONE);
    close_sink(f);
    expect_rows(f, all_people, "");
}

static void a_refused_record_does_not_spoil_the_others(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    close_sink(f);
    run_sql(
        f,
        "DROP TABLE people; CREATE TABLE people(id INTEGER NOT NULL, name TEXT NOT NULL, speed REAL NOT NULL"
        " CHECK(speed >= 0), note TEXT, PRIMARY KEY(id, name))");
    assert_int_equal(open_sink(f), MR_OK);
    uint64_t first = give_row(f, 1, "a", 1, NULL);
    uint64_t refused = give_row(f, 2, "b", -1, NULL);
    uint64_t after = give_row(f, 3, "c", 3, NULL);
    give_row(f, 4, "d", 4, "kept");
    uint64_t worse = give_row(f, 4, "d", -4, "refused");
    uint64_t not_a_number = give_row(f, 5, "e", NAN, NULL);
    store_all(f, 6);
    expect_verdict(f, first, MR_SINK_DONE);
    expect_verdict(f, refused, MR_SINK_REJECTED);
    expect_verdict(f, after, MR_SINK_DONE);
    expect_verdict(f, worse, MR_SINK_REJECTED);
    expect_verdict(f, not_a_number, MR_SINK_REJECTED);
    assert_non_null(strstr(f->verdicts.reason, "column speed: NaN"));
    expect_rows(f, all_people, "1|a|1.0|null;3|c|3.0|null;4|d|4.0|kept;");
}

static void a_full_queue_is_applied_and_still_not_committed(void **state)
{
    fixture *f = *state;
    f->env.memory_budget_bytes = 1;
    assert_int_equal(open_sink(f), MR_OK);
    uint64_t seq = give_row(f, 1, "a", 1, NULL);
    expect_verdict(f, seq, MR_SINK_DONE);
    expect_rows(f, all_people, "");
    store_all(f, 1);
    expect_rows(f, all_people, "1|a|1.0|null;");
}

typedef struct found_position {
    int count;
    int64_t offset;
    char metadata[100];
} found_position;

static void note_position(void *arg, const mr_sink_position *position)
{
    found_position *found = arg;
    found->count++;
    found->offset = position->offset;
    snprintf(found->metadata, sizeof found->metadata, "%.*s", (int)position->metadata.size,
             position->metadata.data);
}

static void positions_are_those_of_the_last_commit(void **state)
{
    fixture *f = *state;
    found_position found = {0};
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(mr_sqlite_sink.positions(f->self, note_position, &found, &f->error), MR_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(commit(f, 17), MR_OK);
    assert_int_equal(commit(f, 23), MR_OK);
    f->env.epoch = 6;
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(mr_sqlite_sink.positions(f->self, note_position, &found, &f->error), MR_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.offset, 23);
    assert_string_equal(found.metadata, "{\"runs\":[]}");
}

static void a_new_tenant_of_the_same_name_has_no_positions(void **state)
{
    fixture *f = *state;
    found_position found = {0};
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(commit(f, 17), MR_OK);
    f->env.tenant_uid = "other";
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(mr_sqlite_sink.positions(f->self, note_position, &found, &f->error), MR_OK);
    assert_int_equal(found.count, 0);
}

static void an_older_epoch_cannot_open_and_is_told_the_newer(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    f->env.epoch = 4;
    assert_int_equal(open_sink(f), MR_EFENCED);
    assert_int_equal(f->stored_epoch, 5);
}

static void an_older_epoch_that_is_still_open_writes_nothing(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    fixture newer = *f;
    newer.self = NULL;
    newer.env.epoch = 6;
    assert_int_equal(open_sink(&newer), MR_OK);
    assert_int_equal(flush(f), MR_EFENCED);
    assert_int_equal(commit(f, 1), MR_EFENCED);
    close_sink(&newer);
    expect_rows(f, all_people, "");
    expect_rows(f, "SELECT * FROM millrace_positions", "");
}

static void a_position_that_someone_else_moved_is_noticed(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(commit(f, 1), MR_OK);
    run_sql(f, "UPDATE millrace_positions SET offset = 2");
    give_row(f, 1, "a", 1, NULL);
    assert_int_equal(flush(f), MR_OK);
    assert_int_equal(commit(f, 3), MR_EFENCED);
    expect_rows(f, all_people, "");
}

static void new_nullable_columns_are_added(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    store_all(f, 1);
    close_sink(f);
    run_sql(f, "ALTER TABLE people DROP COLUMN note");
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 2, "b", 2, "x");
    store_all(f, 2);
    expect_rows(f, all_people, "1|a|1.0|null;2|b|2.0|x;");
}

static void a_table_that_does_not_fit_is_told_in_words(void **state)
{
    static const struct {
        const char *create, *told;
    } cases[] = {
        {"CREATE TABLE people(id INTEGER, name TEXT, speed REAL, note TEXT, PRIMARY KEY(id))",
         "its primary key is (id), the dataset's is (id, name)"},
        {"CREATE TABLE people(id INTEGER, name TEXT, speed TEXT, note TEXT, PRIMARY KEY(id, name))",
         "column speed is TEXT, but the field is a double, which needs REAL"},
        {"CREATE TABLE people(id INTEGER, name TEXT, note TEXT, PRIMARY KEY(id, name))",
         "it has no column speed"},
        {"CREATE TABLE people(id INTEGER, name TEXT, speed REAL, note TEXT NOT NULL, PRIMARY KEY(id, name))",
         "column note is NOT NULL, but the field is nullable"},
        {"CREATE TABLE people(id INTEGER, name TEXT, speed REAL, note TEXT, more TEXT NOT NULL, PRIMARY "
         "KEY(id, name))",
         "column more is NOT NULL without a default"},
        {"CREATE VIEW people AS SELECT 1 AS id", "is a view"},
    };
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    close_sink(f);
    run_sql(f, "DROP TABLE people");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_sql(f, cases[i].create);
        assert_int_equal(open_sink(f), MR_EINVALID);
        assert_int_equal(f->error.class, MR_CONFIG);
        assert_non_null(strstr(f->error.text, cases[i].told));
        close_sink(f);
        run_sql(f, i == 5 ? "DROP VIEW people" : "DROP TABLE people");
    }
}

static void names_of_our_own_and_ways_out_are_refused(void **state)
{
    fixture *f = *state;
    mr_props_set(f->config, "table", "Millrace_positions");
    assert_int_equal(open_sink(f), MR_EINVALID);
    mr_props_set(f->config, "table", "sqlite_x");
    assert_int_equal(open_sink(f), MR_EINVALID);
    mr_props_set(f->config, "table", "ok");
    mr_props_set(f->config, "key.space", "../ks");
    assert_int_equal(open_sink(f), MR_EINVALID);
}

static void a_table_name_may_hold_anything(void **state)
{
    fixture *f = *state;
    mr_props_set(f->config, "table", "a \"b\"; DROP TABLE x");
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    store_all(f, 1);
    expect_rows(f, "SELECT id FROM \"a \"\"b\"\"; DROP TABLE x\"", "1;");
}

/* A child with an older epoch that writes a row, flushes and then says so and hangs with the lock in its
 * hands. */
static pid_t start_flushed_child(fixture *f)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool fine = open_sink(f) == MR_OK;
        if (fine)
            give_row(f, 1, "child", 1, NULL);
        if (!fine || flush(f) != MR_OK || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    struct pollfd told = {.fd = ready[0], .events = POLLIN};
    assert_int_equal(poll(&told, 1, DEADLINE_MS), 1);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void a_kill_between_flush_and_commit_leaves_nothing(void **state)
{
    fixture *f = *state;
    pid_t pid = start_flushed_child(f);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    expect_rows(f, all_people, "");
    f->env.epoch = 6;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 2, "parent", 2, NULL);
    store_all(f, 1);
    expect_rows(f, all_people, "2|parent|2.0|null;");
}

static void a_frozen_older_epoch_is_removed(void **state)
{
    fixture *f = *state;
    int status;
    pid_t pid = start_flushed_child(f);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    f->env.epoch = 6;
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_rows(f, all_people, "");
}

static void another_sink_that_holds_the_lock_is_waited_for(void **state)
{
    fixture *f = *state;
    pid_t pid = start_flushed_child(f);
    f->env.connector = "second";
    mr_props_set(f->config, "sqlite.lock.timeout.ms", "100");
    assert_int_equal(open_sink(f), MR_EUNAVAILABLE);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(open_sink(f), MR_OK);
}

static void records_stay_queued_while_another_writer_has_the_store(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    uint64_t seq = give_row(f, 1, "a", 1, NULL);
    sqlite3 *other = open_db(f);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(mr_sqlite_sink.flush(f->self, 20, &f->error), MR_OK);
    expect_verdict(f, seq, MR_SINK_QUEUED);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(flush(f), MR_OK);
    expect_verdict(f, seq, MR_SINK_DONE);
}

static void a_store_that_stays_locked_is_an_error_in_the_end(void **state)
{
    fixture *f = *state;
    mr_err err = MR_OK;
    mr_props_set(f->config, "sqlite.lock.timeout.ms", "100");
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    sqlite3 *other = open_db(f);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 10 && err == MR_OK; i++)
        err = mr_sqlite_sink.flush(f->self, 20, &f->error);
    sqlite3_close(other);
    assert_int_equal(err, MR_EUNAVAILABLE);
    assert_int_equal(f->error.class, MR_TRANSIENT);
}

#ifdef MR_FAULTS
static void an_unknown_outcome_is_told_and_the_position_stands(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_sink(f), MR_OK);
    give_row(f, 1, "a", 1, NULL);
    assert_int_equal(flush(f), MR_OK);
    setenv("MR_FAULT_FAIL", "sqlite_commit_unknown", 1);
    assert_int_equal(commit(f, 1), MR_EUNKNOWN);
    unsetenv("MR_FAULT_FAIL");
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(commit(f, 2), MR_OK);
    expect_rows(f, "SELECT offset FROM millrace_positions", "2;");
    expect_rows(f, all_people, "1|a|1.0|null;");
}

static void an_older_epoch_frozen_in_its_commit_is_removed(void **state)
{
    fixture *f = *state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("MR_FAULT_STOP", "sqlite_before_commit", 1);
        if (open_sink(f) == MR_OK) {
            give_row(f, 1, "child", 1, NULL);
            (void)(flush(f) == MR_OK && commit(f, 1) == MR_OK);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    f->env.epoch = 6;
    assert_int_equal(open_sink(f), MR_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_rows(f, all_people, "");
}
#endif

static const char types_text[] =
    "{\"type\":\"record\",\"name\":\"things\",\"fields\":["
    "{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
    "{\"name\":\"price\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":30,\"scale\":"
    "2}},"
    "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}]},"
    "{\"name\":\"clock\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"time-millis\"}]},"
    "{\"name\":\"uid\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}]},"
    "{\"name\":\"kind\",\"type\":[\"null\",{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[\"A\",\"B\"]}]},"
    "{\"name\":\"mac\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"M\",\"size\":3}]},"
    "{\"name\":\"inner\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"double\"}},"
    "{\"name\":\"map\",\"type\":{\"type\":\"map\",\"values\":\"K\"}}]}]}]}";

static void use_types(fixture *f)
{
    mr_schema_close(&f->schema);
    assert_int_equal(mr_schema_parse(mr_slice_of(types_text), NULL, NULL, &f->schema, &f->error), MR_OK);
    f->env.schema = f->schema;
    assert_int_equal(open_sink(f), MR_OK);
}

/* The row that the JSON says; what it points to lives until the next one. */
static uint64_t give_json(fixture *f, const char *json)
{
    static mr_arena arena;
    mr_json_rows *rows = NULL;
    const mr_value *values;
    mr_arena_fini(&arena);
    assert_int_equal(mr_json_rows_open(f->schema, &rows, &f->error), MR_OK);
    if (mr_json_row(rows, mr_slice_of(json), &arena, &values, &f->error) != MR_OK)
        fail_msg("%s", f->error.text);
    uint64_t seq = give(f, values, (mr_slice){0});
    assert_int_equal(flush(f), MR_OK);
    mr_json_rows_close(&rows);
    mr_arena_fini(&arena);
    return seq;
}

static void types_that_sqlite_lacks_are_kept_as_text(void **state)
{
    fixture *f = *state;
    use_types(f);
    give_json(
        f,
        "{\"day\":\"2026-11-24\",\"price\":\"12345678901234567890.5\",\"at\":\"2026-11-24T23:38:15+02:00\","
        "\"clock\":\"07:05\",\"uid\":\"123E4567-e89b-12d3-a456-426614174000\",\"kind\":\"B\",\"mac\":\"abc\","
        "\"inner\":{\"list\":[1,0.1],\"map\":{\"k\":\"A\"}}}");
    give_json(f, "{\"day\":\"0001-01-01\",\"price\":-1}");
    give_json(f, "{\"day\":\"2026-11-24\",\"price\":\"12345678901234567890.50\",\"kind\":\"A\"}");
    give_json(f, "{\"day\":\"2026-11-24\",\"price\":7,\"at\":\"2026-11-24T23:38:15.25Z\",\"inner\":"
                 "{\"list\":[],\"map\":{\"k\":\"A\",\"l\":\"B\"}}}");
    assert_int_equal(commit(f, 4), MR_OK);
    expect_rows(f, "SELECT group_concat(type) FROM pragma_table_info('things')",
                "TEXT,TEXT,TEXT,TEXT,TEXT,TEXT,BLOB,TEXT;");
    expect_rows(f, "SELECT day, price, kind FROM things ORDER BY 1, 2",
                "0001-01-01|-1.00|null;2026-11-24|12345678901234567890.50|A;2026-11-24|7.00|null;");
    expect_rows(
        f, "SELECT at, datetime(at), inner, json_extract(inner, '$.map.l') FROM things WHERE price = '7.00'",
        "2026-11-24T23:38:15.250000Z|2026-11-24 23:38:15|{\"list\":[],\"map\":{\"k\":\"A\",\"l\":\"B\"}}|B;");
}

static void a_tombstone_finds_a_key_of_such_types(void **state)
{
    fixture *f = *state;
    use_types(f);
    give_json(f, "{\"day\":\"2026-11-24\",\"price\":\"1\"}");
    give_json(f, "{\"day\":\"2026-11-24\",\"price\":\"2\"}");
    assert_int_equal(commit(f, 2), MR_OK);
    mr_avro_encoder *encoder = NULL;
    mr_buf key = {0};
    mr_value values[2] = {{.type = MR_TYPE_INT, .integer = 20781},
                          {.type = MR_TYPE_BYTES, .size = 2, .data = "\0\xC8"}};
    assert_int_equal(mr_avro_encoder_open(f->schema, key_columns, 2, 9, &encoder, NULL), MR_OK);
    assert_int_equal(mr_avro_encode(encoder, values, &key, NULL), MR_OK);
    give(f, NULL, mr_buf_slice(&key));
    store_all(f, 3);
    mr_avro_encoder_close(&encoder);
    mr_buf_fini(&key);
    expect_rows(f, "SELECT price FROM things", "1.00;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
#ifdef MR_FAULTS
        /* At the front: a fault happens when this process first reaches its point. */
        TEST(an_older_epoch_frozen_in_its_commit_is_removed),
        TEST(an_unknown_outcome_is_told_and_the_position_stands),
#endif
        TEST(the_last_record_of_a_key_wins),
        TEST(a_tombstone_deletes_and_a_later_row_comes_back),
        TEST(what_was_flushed_is_gone_without_commit),
        TEST(a_refused_record_does_not_spoil_the_others),
        TEST(a_full_queue_is_applied_and_still_not_committed),
        TEST(positions_are_those_of_the_last_commit),
        TEST(a_new_tenant_of_the_same_name_has_no_positions),
        TEST(an_older_epoch_cannot_open_and_is_told_the_newer),
        TEST(an_older_epoch_that_is_still_open_writes_nothing),
        TEST(a_position_that_someone_else_moved_is_noticed),
        TEST(new_nullable_columns_are_added),
        TEST(a_table_that_does_not_fit_is_told_in_words),
        TEST(names_of_our_own_and_ways_out_are_refused),
        TEST(a_table_name_may_hold_anything),
        TEST(a_kill_between_flush_and_commit_leaves_nothing),
        TEST(a_frozen_older_epoch_is_removed),
        TEST(another_sink_that_holds_the_lock_is_waited_for),
        TEST(records_stay_queued_while_another_writer_has_the_store),
        TEST(a_store_that_stays_locked_is_an_error_in_the_end),
        TEST(types_that_sqlite_lacks_are_kept_as_text),
        TEST(a_tombstone_finds_a_key_of_such_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
