#include "connectors/sqlite/row_queue.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char schema_text[] = "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
                                  "{\"name\":\"b\",\"type\":\"bytes\"},{\"name\":\"s\",\"type\":\"string\"},"
                                  "{\"name\":\"n\",\"type\":\"long\"},{\"name\":\"r\",\"type\":\"double\"},"
                                  "{\"name\":\"i\",\"type\":[\"null\",\"int\"]}]}";

enum { FIELDS = 5, ROWS = 3000 };

static uint64_t seed = 42;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static mr_value text_value(mr_type type, const char *data, size_t size)
{
    return (mr_value){.type = type, .size = (uint32_t)size, .data = data};
}

static row_queue *open_queue(mr_schema **ret_schema, const int *key, size_t key_count)
{
    row_queue *queue;
    assert_int_equal(mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, ret_schema, NULL), MR_OK);
    assert_int_equal(row_queue_open(*ret_schema, key, key_count, &queue, NULL), MR_OK);
    return queue;
}

/* Few different values, so that all columns of the key decide somewhere; long common beginnings and zero
 * bytes. */
static void random_row(mr_value *values, char texts[2][400])
{
    static const double reals[] = {-1e300, -1.5, -0.0, 0.0, 1e-300, 2.5, 1e300};
    static const int64_t numbers[] = {INT64_MIN, -256, -1, 0, 1, 255, INT64_MAX};
    size_t sizes[2];
    for (int t = 0; t < 2; t++) {
        size_t common = next_random() % 3 == 0 ? 300 : next_random() % 9;
        memset(texts[t], t == 0 ? 0 : 'x', common);
        sizes[t] = common;
        for (uint64_t i = next_random() % 3; i > 0; i--)
            texts[t][sizes[t]++] = (char)(t == 0 ? next_random() % 3 - 1 : 'w' + next_random() % 4);
    }
    values[0] = text_value(MR_TYPE_BYTES, texts[0], sizes[0]);
    values[1] = text_value(MR_TYPE_STRING, texts[1], sizes[1]);
    values[2] = (mr_value){.type = MR_TYPE_LONG, .integer = numbers[next_random() % 7]};
    values[3] = (mr_value){.type = MR_TYPE_DOUBLE, .real = reals[next_random() % 7]};
    values[4] = (mr_value){.type = MR_TYPE_NULL};
}

static void bind(sqlite3_stmt *insert, const mr_value *values, int seq)
{
    sqlite3_bind_blob(insert, 1, values[0].size == 0 ? "" : values[0].data, (int)values[0].size,
                      SQLITE_TRANSIENT);
    sqlite3_bind_text(insert, 2, values[1].data, (int)values[1].size, SQLITE_TRANSIENT);
    sqlite3_bind_int64(insert, 3, values[2].integer);
    sqlite3_bind_double(insert, 4, values[3].real);
    sqlite3_bind_int(insert, 5, seq);
    assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
    sqlite3_reset(insert);
}

static void the_order_is_that_of_sqlite_and_stable(void **state)
{
    (void)state;
    const int key[] = {1, 0, 3, 2};
    mr_schema *schema = NULL;
    row_queue *queue = open_queue(&schema, key, 4);
    sqlite3 *db;
    sqlite3_stmt *insert, *list;
    static char texts[ROWS][2][400];
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "CREATE TABLE t(b BLOB, s TEXT, n INTEGER, r REAL, seq INTEGER)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?1, ?2, ?3, ?4, ?5)", -1, &insert, NULL);
    for (int i = 0; i < ROWS; i++) {
        mr_value values[FIELDS];
        random_row(values, texts[i]);
        assert_int_equal(row_queue_add(queue, (uint64_t)i, values, false, NULL), MR_OK);
        bind(insert, values, i);
    }
    size_t count;
    const queued_entry *sorted = row_queue_sort(queue, &count);
    assert_int_equal(count, ROWS);
    sqlite3_prepare_v2(db, "SELECT seq FROM t ORDER BY s, b, r, n, seq", -1, &list, NULL);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(sqlite3_step(list), SQLITE_ROW);
        assert_int_equal(sorted[i].row->seq, sqlite3_column_int(list, 0));
    }
    sqlite3_finalize(insert);
    sqlite3_finalize(list);
    sqlite3_close(db);
    row_queue_close(&queue);
    mr_schema_close(&schema);
}

static void values_come_back_as_they_were(void **state)
{
    (void)state;
    const int key[] = {2};
    mr_schema *schema = NULL;
    row_queue *queue = open_queue(&schema, key, 1);
    char longer[100];
    memset(longer, 'y', sizeof longer);
    mr_value values[FIELDS] = {
        text_value(MR_TYPE_BYTES, "\0\1", 2),         text_value(MR_TYPE_STRING, longer, sizeof longer),
        {.type = MR_TYPE_LONG, .integer = INT64_MIN}, {.type = MR_TYPE_DOUBLE, .real = -2.25},
        {.type = MR_TYPE_INT, .integer = -7},
    };
    mr_value back[FIELDS];
    size_t count;
    assert_int_equal(row_queue_add(queue, 5, values, false, NULL), MR_OK);
    row_queue_values(queue, row_queue_sort(queue, &count)[0].row, back);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(back[i].size, values[i].size);
        assert_memory_equal(back[i].data, values[i].data, values[i].size);
    }
    assert_true(back[2].integer == INT64_MIN);
    assert_true(back[3].real == -2.25);
    assert_int_equal(back[4].integer, -7);
    row_queue_close(&queue);
    mr_schema_close(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_that_of_sqlite_and_stable),
        cmocka_unit_test(values_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
