#include "connectors/files/files_source.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_FILES = 8 };

static const char schema_text[] = "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
                                  "{\"name\":\"id\",\"type\":\"int\"},"
                                  "{\"name\":\"name\",\"type\":\"string\"},"
                                  "{\"name\":\"speed\",\"type\":[\"null\",\"double\"],\"default\":null},"
                                  "{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"
                                  "{\"name\":\"kind\",\"type\":\"string\",\"default\":\"plain\"}]}";

typedef struct fixture {
    char dir[64];
    mr_buf entries; /* of the manifest */
    char sha256[65];
    mr_schema *schema;
    mr_props *config;
    mr_env env;
    void *self;
    mr_arena arena;
    mr_source_batch batch;
    mr_error error;
} fixture;

static void write_text(const fixture *f, const char *name, const char *text, size_t size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void list_file(fixture *f, const char *dataset, const char *name, size_t size)
{
    assert_int_equal(
        mr_buf_printf(&f->entries,
                      "%s{\"dataset\":\"%s\",\"name\":\"%s\",\"path\":\"%s\",\"size\":%zu,\"sha256\":\"\"}",
                      f->entries.size > 0 ? "," : "", dataset, name, name, size),
        MR_OK);
}

static void add_file(fixture *f, const char *name, const char *text)
{
    write_text(f, name, text, strlen(text));
    list_file(f, "d", name, strlen(text));
}

static void set(fixture *f, const char *key, const char *value)
{
    assert_int_equal(mr_props_set(f->config, key, value), MR_OK);
}

static void write_manifest(fixture *f)
{
    unsigned char digest[32];
    char path[200];
    mr_buf text = {0};
    assert_int_equal(mr_buf_printf(&text, "{\"run_uid\":\"u\",\"files\":[%.*s]}", (int)f->entries.size,
                                   f->entries.size > 0 ? f->entries.data : ""),
                     MR_OK);
    write_text(f, "manifest.json", text.data, text.size);
    assert_int_equal(EVP_Digest(text.data, text.size, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 32; i++)
        snprintf(f->sha256 + 2 * i, 3, "%02x", digest[i]);
    mr_buf_fini(&text);
    snprintf(path, sizeof path, "%s/manifest.json", f->dir);
    set(f, "files.root", f->dir);
    set(f, "files.manifest", path);
    set(f, "files.manifest.sha256", f->sha256);
}

static void close_source(fixture *f)
{
    if (f->self != NULL)
        mr_files_source.close(f->self);
    free(f->self);
    f->self = NULL;
}

static mr_err open_at(fixture *f, const char *position)
{
    close_source(f);
    f->self = calloc(1, mr_files_source.state_size);
    assert_non_null(f->self);
    mr_slice at = position == NULL ? (mr_slice){0} : mr_slice_of(position);
    return mr_files_source.open(f->self, &f->env, at, &f->error);
}

static mr_err open_new(fixture *f)
{
    write_manifest(f);
    return open_at(f, NULL);
}

static mr_err poll_once(fixture *f)
{
    mr_arena_reset(&f->arena);
    f->batch = (mr_source_batch){.arena = &f->arena};
    return mr_files_source.poll(f->self, 0, &f->batch, &f->error);
}

static void expect_text(const mr_value *value, const char *expected)
{
    assert_int_equal(value->type, MR_TYPE_STRING);
    assert_int_equal(value->size, strlen(expected));
    assert_memory_equal(value->data, expected, value->size);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/files_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(mr_schema_parse(mr_slice_of(schema_text), NULL, NULL, &f->schema, &f->error), MR_OK);
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    f->env =
        (mr_env){.tenant = "t", .dataset = "d", .connector = "c", .config = f->config, .schema = f->schema};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[100];
    close_source(f);
    mr_arena_fini(&f->arena);
    mr_buf_fini(&f->entries);
    mr_schema_close(&f->schema);
    mr_props_close(&f->config);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void columns_are_found_by_name_in_any_order(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "extra,NAME,id,speed\nx,anna,7,1.5\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 1);
    const mr_value *row = f->batch.records[0].values;
    assert_int_equal(row[0].integer, 7);
    expect_text(&row[1], "anna");
    assert_true(row[2].real == 1.5);
    assert_int_equal(row[3].type, MR_TYPE_NULL);
    expect_text(&row[4], "plain");
    assert_true(f->batch.end);
    assert_int_equal(f->batch.records[0].line, 2);
    assert_string_equal(f->batch.records[0].file, "a.csv");
}

static void an_exact_name_wins_over_one_in_other_case(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "ID,id,name\n1,2,x\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.records[0].values[0].integer, 2);
}

static void nulls_are_unquoted_cells_of_nullable_fields(void **state)
{
    fixture *f = *state;
    set(f, "csv.null.values", "[\"NA\"]");
    add_file(f, "a.csv", "id,name,speed,note\n1,NA,NA,NA\n2,,,\n3,\"NA\",,\"NA\"\n4,,,\"\"\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    const mr_source_record *rows = f->batch.records;
    assert_int_equal(f->batch.count, 4);
    expect_text(&rows[0].values[1], "NA"); /* not nullable */
    assert_int_equal(rows[0].values[2].type, MR_TYPE_NULL);
    assert_int_equal(rows[0].values[3].type, MR_TYPE_NULL);
    expect_text(&rows[1].values[1], "");
    assert_int_equal(rows[1].values[3].type, MR_TYPE_NULL);
    expect_text(&rows[2].values[3], "NA"); /* quoted */
    expect_text(&rows[3].values[3], "");
}

static void a_wrong_row_is_rejected_and_the_next_one_read(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "id,name\n1,a,more\nx,b\n3,c\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 3);
    assert_null(f->batch.records[0].values);
    assert_string_equal(f->batch.records[0].reason, "3 cells, the header has 2");
    assert_memory_equal(f->batch.records[0].raw.data, "1,a,more", 8);
    assert_int_equal(f->batch.records[0].byte_first, 8);
    assert_int_equal(f->batch.records[0].byte_end, 17);
    assert_non_null(strstr(f->batch.records[1].reason, "id"));
    assert_int_equal(f->batch.records[2].values[0].integer, 3);
}

static void a_file_without_a_required_column_is_rejected_once(void **state)
{
    fixture *f = *state;
    add_file(f, "bad.csv", "id,nam\n1,a\n");
    add_file(f, "good.csv", "id,name\n2,b\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.rejected_files, 1);
    assert_non_null(strstr(f->batch.rejected_file_reason, "bad.csv"));
    assert_non_null(strstr(f->batch.rejected_file_reason, "name"));
    assert_false(f->batch.end);
    char position[300];
    snprintf(position, sizeof position, "%s", f->batch.position.data);
    assert_int_equal(open_at(f, position), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.rejected_files, 0);
    assert_int_equal(f->batch.count, 1);
    assert_true(f->batch.end);
}

static void without_a_header_the_columns_are_the_schemas(void **state)
{
    fixture *f = *state;
    set(f, "csv.first.row.as.header", "false");
    add_file(f, "a.csv", "1,a,2.5,n,k\n2,b\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 2);
    expect_text(&f->batch.records[0].values[4], "k");
    assert_string_equal(f->batch.records[1].reason, "2 cells, the schema has 5");
}

static void empty_files_and_headers_alone_give_no_rows(void **state)
{
    fixture *f = *state;
    add_file(f, "empty.csv", "");
    add_file(f, "header.csv", "id,name\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 0);
    assert_int_equal(f->batch.rejected_files, 0);
    assert_true(f->batch.end);
}

static void files_of_other_datasets_are_passed_over(void **state)
{
    fixture *f = *state;
    list_file(f, "other", "not-there.csv", 5);
    add_file(f, "mine.csv", "id,name\n1,a\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 1);
    assert_true(f->batch.end);
    assert_non_null(strstr(f->batch.position.data, "\"file\": 2, \"byte\": 0"));
}

static void reading_goes_on_behind_every_position(void **state)
{
    enum { ROWS = 5000 };
    fixture *f = *state;
    mr_buf text = {0};
    int64_t next = 0;
    assert_int_equal(mr_buf_printf(&text, "id,name\n"), MR_OK);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(mr_buf_printf(&text, "%d,\"name\n%d\"\n", i, i), MR_OK);
    write_text(f, "a.csv", text.data, text.size);
    list_file(f, "d", "a.csv", text.size);
    mr_buf_fini(&text);
    assert_int_equal(open_new(f), MR_OK);
    for (bool end = false; !end;) { /* opened again after each batch */
        char position[300];
        assert_int_equal(poll_once(f), MR_OK);
        for (size_t i = 0; i < f->batch.count; i++, next++) {
            assert_int_equal(f->batch.records[i].values[0].integer, next);
            assert_int_equal(f->batch.records[i].line, 2 + 2 * next);
        }
        end = f->batch.end;
        snprintf(position, sizeof position, "%s", f->batch.position.data);
        assert_int_equal(open_at(f, position), MR_OK);
    }
    assert_int_equal(next, ROWS);
}

static void a_position_of_another_manifest_is_refused(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "id,name\n1,a\n");
    write_manifest(f);
    assert_int_equal(open_at(f, "{\"manifest\":\"abc\",\"file\":0,\"byte\":0,\"line\":1}"), MR_EREFUSED);
}

static void a_position_behind_the_file_is_an_error(void **state)
{
    fixture *f = *state;
    char position[300];
    add_file(f, "a.csv", "id,name\n1,a\n");
    write_manifest(f);
    snprintf(position, sizeof position, "{\"manifest\":\"%s\",\"file\":0,\"byte\":900,\"line\":1}",
             f->sha256);
    assert_int_equal(open_at(f, position), MR_EINVALID);
}

static void a_changed_manifest_is_refused(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "id,name\n1,a\n");
    write_manifest(f);
    write_text(f, "manifest.json", "{\"files\":[]}", 12);
    assert_int_equal(open_at(f, NULL), MR_EREFUSED);
}

static mr_err poll_error(fixture *f)
{
    assert_int_equal(open_new(f), MR_OK);
    return poll_once(f);
}

/* Of the same size, and without the time that it was sealed at: the hash decides. */
static void a_file_that_was_changed_after_it_was_sealed_stops_the_source(void **state)
{
    fixture *f = *state;
    char path[200];
    struct stat info;
    write_text(f, "a.csv", "id,name\n1,a\n", 12);
    snprintf(path, sizeof path, "%s/a.csv", f->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(
        mr_buf_printf(&f->entries,
                      "{\"dataset\":\"d\",\"name\":\"a.csv\",\"path\":\"a.csv\",\"size\":12,"
                      "\"sha256\":\"b7773700b1468b27c88d7122034e23bc5af7703c70bc13fd545d8e08534dcf41\","
                      "\"changed_ns\":%" PRId64 "}",
                      (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec),
        MR_OK);
    assert_int_equal(poll_error(f), MR_OK); /* sealed then */
    close_source(f);
    write_text(f, "a.csv", "id,name\n1,a\n", 12);
    assert_int_equal(poll_error(f), MR_OK); /* written again with the same bytes */
    close_source(f);
    write_text(f, "a.csv", "id,name\n2,a\n", 12);
    assert_int_equal(poll_error(f), MR_EDATALOSS);
}

static void a_file_of_another_size_stops_the_source(void **state)
{
    fixture *f = *state;
    write_text(f, "a.csv", "id,name\n1,a\n", 12);
    list_file(f, "d", "a.csv", 11);
    assert_int_equal(poll_error(f), MR_EDATALOSS);
    assert_non_null(strstr(f->error.text, "a.csv"));
    assert_int_equal(f->error.class, MR_CONFIG);
}

static void links_fifos_and_ways_out_are_not_followed(void **state)
{
    static const char *const names[] = {"link.csv", "hard.csv", "fifo.csv", "../outside.csv",
                                        "sub/link/a.csv"};
    fixture *f = *state;
    char from[200], to[200];
    add_file(f, "a.csv", "id,name\n1,a\n");
    snprintf(from, sizeof from, "%s/a.csv", f->dir);
    snprintf(to, sizeof to, "%s/link.csv", f->dir);
    assert_int_equal(symlink(from, to), 0);
    snprintf(to, sizeof to, "%s/fifo.csv", f->dir);
    assert_int_equal(mkfifo(to, 0600), 0);
    snprintf(to, sizeof to, "%s/sub", f->dir);
    assert_int_equal(mkdir(to, 0700), 0);
    snprintf(to, sizeof to, "%s/sub/link", f->dir);
    assert_int_equal(symlink(f->dir, to), 0);
    snprintf(to, sizeof to, "%s/hard.csv", f->dir);
    assert_int_equal(link(from, to), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        f->entries.size = 0;
        list_file(f, "d", names[i], 12);
        assert_int_not_equal(poll_error(f), MR_OK);
        assert_non_null(strstr(f->error.text, names[i]));
    }
}

static void a_file_that_grows_while_it_is_read_is_noticed(void **state)
{
    fixture *f = *state;
    mr_buf text = {0};
    char path[200];
    assert_int_equal(mr_buf_printf(&text, "id,name\n"), MR_OK);
    for (int i = 0; i < 1500; i++)
        assert_int_equal(mr_buf_printf(&text, "%d,x\n", i), MR_OK);
    write_text(f, "a.csv", text.data, text.size);
    list_file(f, "d", "a.csv", text.size);
    mr_buf_fini(&text);
    assert_int_equal(poll_error(f), MR_OK);
    snprintf(path, sizeof path, "%s/a.csv", f->dir);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs("9999,late\n", file);
    fclose(file);
    assert_int_equal(poll_once(f), MR_EDATALOSS);
}

static void a_column_that_stands_twice_rejects_the_file(void **state)
{
    fixture *f = *state;
    add_file(f, "a.csv", "id,name,name\n1,a,b\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.rejected_files, 1);
    assert_non_null(strstr(f->batch.rejected_file_reason, "2 times"));
}

static void cells_of_other_types_are_read(void **state)
{
    static const char types[] =
        "{\"type\":\"record\",\"name\":\"t\",\"fields\":["
        "{\"name\":\"day\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]},"
        "{\"name\":\"price\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,"
        "\"scale\":2}},"
        "{\"name\":\"name\",\"type\":\"string\"},"
        "{\"name\":\"tags\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"string\"}]}]}";
    fixture *f = *state;
    mr_schema_close(&f->schema);
    assert_int_equal(mr_schema_parse(MR_SLICE_LITERAL(types), NULL, NULL, &f->schema, &f->error), MR_OK);
    f->env.schema = f->schema;
    add_file(f, "a.csv",
             "tags,name,price,day\n\"[\"\"x\"\",\"\"y\"\"]\",n,1.28,1970-01-02\n,m,-0.01,\nnull,o,1,\n"
             "[1],n,1,\n[,n,1,\n\"[\"\"x\"\"]\",n,1.234,\n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 6);
    const mr_value *v = f->batch.records[0].values;
    assert_int_equal(v[0].integer, 1);
    assert_int_equal(v[1].size, 2);
    assert_memory_equal(v[1].data, "\0\x80", 2);
    expect_text(&v[2], "n");
    assert_int_equal(v[3].type, MR_TYPE_ARRAY);
    assert_memory_equal(v[3].data, "\4\2x\2y\0", 6);
    v = f->batch.records[1].values;
    assert_int_equal(v[0].type, MR_TYPE_NULL);
    assert_memory_equal(v[1].data, "\xff", 1);
    expect_text(&v[2], "m");
    assert_int_equal(v[3].type, MR_TYPE_NULL);
    assert_int_equal(f->batch.records[2].values[3].type, MR_TYPE_NULL);
    assert_string_equal(f->batch.records[3].reason, "column tags[0]: a number is not a string, at byte 2");
    assert_string_equal(f->batch.records[4].reason, "column tags: not JSON: byte 2: it ends too early");
    assert_string_equal(f->batch.records[5].reason,
                        "column price: \"1.234\" has more digits behind the point than decimal(4, 2)");
}

static const char objects[] =
    "\xEF\xBB\xBF{\"id\":1,\"name\":\"a\"}\r\n\n \t\r\n{\"id\":2,\"speed\":0.5,\"name\":\"b\"}\n"
    "not an object\n{\"id\":3,\"name\":\"c\",\"more\":[]}\r\n\n{\"id\":4,\"name\":\"d\"}";

static void lines_of_objects_are_rows(void **state)
{
    fixture *f = *state;
    set(f, "files.type", "ndjson");
    add_file(f, "a.ndjson", objects);
    add_file(f, "empty.ndjson", "");
    add_file(f, "blank.ndjson", "\n  \n");
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    assert_int_equal(f->batch.count, 5);
    assert_true(f->batch.end);
    static const int64_t lines[] = {1, 4, 5, 6, 8};
    for (int i = 0; i < 5; i++) {
        const mr_source_record *record = &f->batch.records[i];
        assert_int_equal(record->line, lines[i]);
        if (i == 2)
            continue;
        assert_non_null(record->values);
        assert_int_equal(record->values[0].integer, i < 2 ? i + 1 : i);
        assert_memory_equal(objects + record->byte_first, "{\"id\":", 6);
    }
    assert_true(f->batch.records[1].values[2].real == 0.5);
    expect_text(&f->batch.records[3].values[1], "c");
    const mr_source_record *wrong = &f->batch.records[2];
    assert_null(wrong->values);
    assert_string_equal(wrong->reason, "not JSON: byte 1: a value is expected");
    assert_int_equal(wrong->raw.size, 13);
    assert_memory_equal(wrong->raw.data, "not an object", 13);
    assert_memory_equal(objects + wrong->byte_first, "not an object\n",
                        (size_t)(wrong->byte_end - wrong->byte_first));
}

static void a_file_of_objects_is_resumed_behind_any_row(void **state)
{
    fixture *f = *state;
    char position[300];
    set(f, "files.type", "ndjson");
    add_file(f, "a.ndjson", objects);
    assert_int_equal(open_new(f), MR_OK);
    assert_int_equal(poll_once(f), MR_OK);
    int64_t ends[5];
    for (size_t i = 0; i < 5; i++)
        ends[i] = f->batch.records[i].byte_end;
    static const int64_t lines[] = {2, 5, 6, 7, 9};
    for (size_t i = 0; i < 4; i++) {
        snprintf(position, sizeof position,
                 "{\"manifest\":\"%s\",\"file\":0,\"byte\":%" PRId64 ",\"line\":%" PRId64 "}", f->sha256,
                 ends[i], lines[i]);
        assert_int_equal(open_at(f, position), MR_OK);
        assert_int_equal(poll_once(f), MR_OK);
        assert_int_equal(f->batch.count, 4 - i);
        for (size_t j = 0; j < f->batch.count; j++)
            assert_int_equal(f->batch.records[j].byte_end, ends[i + 1 + j]);
        assert_int_equal(f->batch.records[f->batch.count - 1].line, 8);
    }
}

static void options_of_the_other_file_type_are_refused(void **state)
{
    fixture *f = *state;
    add_file(f, "a", "");
    set(f, "ndjson.max.row.bytes", "2000");
    assert_int_equal(open_new(f), MR_EINVALID);
    assert_string_equal(f->error.text, "ndjson.max.row.bytes: is no option of files.type csv");
    set(f, "files.type", "ndjson");
    assert_int_equal(open_new(f), MR_OK);
    set(f, "csv.quote", "'");
    assert_int_equal(open_new(f), MR_EINVALID);
    assert_string_equal(f->error.text, "csv.quote: is no option of files.type ndjson");
    set(f, "files.type", "xml");
    assert_int_equal(open_new(f), MR_EINVALID);
    assert_string_equal(f->error.text, "files.type: \"xml\" is neither csv nor ndjson");
}

/* SHA-256 by libcrypto alone. */
static void expect_sha256(const char *found, const char *data, size_t size)
{
    unsigned char digest[32];
    char hex[65];
    assert_int_equal(EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_non_null(found);
    assert_string_equal(found, hex);
}

/* Rows of `size` bytes that are rejected, the first by its bound, the second by its cells, with `line_end`.
 */
static void rows_are_cut(fixture *f, size_t size, const char *line_end)
{
    mr_buf text = {0};
    size_t first = strlen("id,name\n");
    assert_int_equal(mr_buf_printf(&text, "id,name\n"), MR_OK);
    char *row = malloc(size);
    assert_non_null(row);
    memset(row, 'x', size);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mr_buf_append(&text, row, size), MR_OK);
        assert_int_equal(mr_buf_printf(&text, "%s", i == 0 ? line_end : ""), MR_OK);
    }
    f->entries.size = 0;
    write_text(f, "a.csv", text.data, text.size);
    list_file(f, "d", "a.csv", text.size);
    assert_int_equal(open_new(f), MR_OK);
    for (int i = 0; i < 2; i++) {
        if (i == 0 || f->batch.count == 1)
            assert_int_equal(poll_once(f), MR_OK);
        const mr_source_record *record = &f->batch.records[f->batch.count == 1 ? 0 : i];
        assert_null(record->values);
        bool cut = size > 64 * 1024;
        assert_int_equal(record->raw.size, cut ? 64 * 1024 : size);
        assert_memory_equal(record->raw.data, row, record->raw.size);
        assert_int_equal(record->raw_length, cut ? size : 0);
        if (cut)
            expect_sha256(record->raw_sha256, row, size);
        else
            assert_null(record->raw_sha256);
        assert_int_equal(record->byte_first, first + (size_t)i * (size + strlen(line_end)));
        assert_int_equal(record->line, 2 + i);
    }
    free(row);
    mr_buf_fini(&text);
}

static void a_row_that_is_cut_keeps_its_length_and_hash(void **state)
{
    static const size_t sizes[] = {65535, 65536, 65537, 262144, 1048576, 1048577, 5000000};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rows_are_cut(f, sizes[i], "\n");
        rows_are_cut(f, sizes[i], "\r\n");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(columns_are_found_by_name_in_any_order),
        TEST(an_exact_name_wins_over_one_in_other_case),
        TEST(nulls_are_unquoted_cells_of_nullable_fields),
        TEST(a_wrong_row_is_rejected_and_the_next_one_read),
        TEST(a_file_without_a_required_column_is_rejected_once),
        TEST(without_a_header_the_columns_are_the_schemas),
        TEST(empty_files_and_headers_alone_give_no_rows),
        TEST(files_of_other_datasets_are_passed_over),
        TEST(reading_goes_on_behind_every_position),
        TEST(a_position_of_another_manifest_is_refused),
        TEST(a_position_behind_the_file_is_an_error),
        TEST(a_changed_manifest_is_refused),
        TEST(a_file_that_was_changed_after_it_was_sealed_stops_the_source),
        TEST(a_file_of_another_size_stops_the_source),
        TEST(links_fifos_and_ways_out_are_not_followed),
        TEST(a_file_that_grows_while_it_is_read_is_noticed),
        TEST(a_column_that_stands_twice_rejects_the_file),
        TEST(cells_of_other_types_are_read),
        TEST(lines_of_objects_are_rows),
        TEST(a_file_of_objects_is_resumed_behind_any_row),
        TEST(options_of_the_other_file_type_are_refused),
        TEST(a_row_that_is_cut_keeps_its_length_and_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
