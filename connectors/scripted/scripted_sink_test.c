#include "connectors/scripted/scripted_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_VERDICTS = 64 };

struct mr_verdicts {
    struct {
        uint64_t seq;
        mr_verdict verdict;
        uint32_t after_ms;
    } given[MAX_VERDICTS];
    size_t count;
};

void mr_verdict_give(mr_verdicts *verdicts, uint64_t first_seq, uint64_t last_seq, mr_verdict verdict,
                     uint32_t after_ms, const char *reason)
{
    (void)reason;
    for (uint64_t seq = first_seq; seq <= last_seq; seq++, verdicts->count++) {
        assert_true(verdicts->count < MAX_VERDICTS);
        verdicts->given[verdicts->count].seq = seq;
        verdicts->given[verdicts->count].verdict = verdict;
        verdicts->given[verdicts->count].after_ms = after_ms;
    }
}

typedef struct fixture {
    char dir[64], script[100], output[100];
    mr_schema *schema;
    mr_props *config;
    mr_env env;
    mr_verdicts verdicts;
    void *self;
    mr_error error;
} fixture;

static int setup(void **state)
{
    static int tests;
    static char connector[20];
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(connector, sizeof connector, "c%d", tests++); /* attempts are counted by connector */
    snprintf(f->dir, sizeof f->dir, "/tmp/scripted_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->script, sizeof f->script, "%s/script.json", f->dir);
    snprintf(f->output, sizeof f->output, "%s/output", f->dir);
    assert_int_equal(mr_schema_parse(MR_SLICE_LITERAL("{\"type\":\"record\",\"name\":\"t\",\"fields\":["
                                                      "{\"name\":\"id\",\"type\":\"int\"}]}"),
                                     NULL, NULL, &f->schema, NULL),
                     MR_OK);
    assert_int_equal(mr_props_open(&f->config), MR_OK);
    mr_props_set(f->config, "script", f->script);
    mr_props_set(f->config, "scripted.output", f->output);
    f->env = (mr_env){.connector = connector, .config = f->config, .schema = f->schema};
    *state = f;
    return 0;
}

static void close_sink(fixture *f)
{
    if (f->self != NULL)
        mr_scripted_sink.close(f->self);
    free(f->self);
    f->self = NULL;
}

static int teardown(void **state)
{
    fixture *f = *state;
    close_sink(f);
    unlink(f->script);
    unlink(f->output);
    rmdir(f->dir);
    mr_schema_close(&f->schema);
    mr_props_close(&f->config);
    free(f);
    return 0;
}

static mr_err open_with(fixture *f, const char *script)
{
    int64_t stored_epoch;
    FILE *file = fopen(f->script, "we");
    assert_non_null(file);
    fputs(script, file);
    fclose(file);
    close_sink(f);
    f->self = calloc(1, mr_scripted_sink.state_size);
    assert_non_null(f->self);
    return mr_scripted_sink.open(f->self, &f->env, &f->verdicts, &stored_epoch, &f->error);
}

static mr_err give(fixture *f, uint64_t first, size_t count)
{
    mr_value values[8];
    mr_sink_record records[8];
    for (size_t i = 0; i < count; i++) {
        values[i] = (mr_value){.type = MR_TYPE_INT, .integer = (int64_t)(first + i)};
        records[i] = (mr_sink_record){.seq = first + i,
                                      .offset = (int64_t)(first + i),
                                      .key = MR_SLICE_LITERAL("\x0f"),
                                      .values = &values[i]};
    }
    return mr_scripted_sink.write(f->self, records, count, &f->error);
}

static void expect(const fixture *f, size_t index, uint64_t seq, mr_verdict verdict)
{
    assert_true(index < f->verdicts.count);
    assert_int_equal(f->verdicts.given[index].seq, seq);
    assert_int_equal(f->verdicts.given[index].verdict, verdict);
}

static void expect_output(const fixture *f, const char *expected)
{
    char text[2000] = "";
    FILE *file = fopen(f->output, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static void each_record_gets_the_verdict_of_the_first_rule_that_fits(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_with(f, "[{\"offset\":1,\"verdict\":\"rejected\"},"
                                  "{\"offset\":2,\"attempt\":1,\"verdict\":\"retry\",\"after_ms\":7},"
                                  "{\"offset\":3,\"attempt\":1,\"verdict\":\"disconnected\"}]"),
                     MR_OK);
    assert_int_equal(give(f, 0, 4), MR_OK);
    expect(f, 0, 0, MR_SINK_DONE);
    expect(f, 1, 1, MR_SINK_REJECTED);
    expect(f, 2, 2, MR_SINK_RETRY);
    assert_int_equal(f->verdicts.given[2].after_ms, 7);
    expect(f, 3, 3, MR_SINK_DISCONNECTED);
    expect_output(
        f,
        "{\"partition\":0,\"offset\":0,\"seq\":0,\"timestamp_ms\":0,\"key\":\"0f\",\"value\":{\"id\":0}}\n");
}

static void attempts_go_on_after_the_sink_was_opened_again(void **state)
{
    static const char script[] = "[{\"attempt\":1,\"verdict\":\"disconnected\"}]";
    fixture *f = *state;
    assert_int_equal(open_with(f, script), MR_OK);
    assert_int_equal(give(f, 0, 1), MR_OK);
    assert_int_equal(open_with(f, script), MR_OK);
    assert_int_equal(give(f, 0, 1), MR_OK);
    expect(f, 0, 0, MR_SINK_DISCONNECTED);
    expect(f, 1, 0, MR_SINK_DONE);
}

static void queued_records_get_theirs_at_flush_in_the_order_asked_for(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        open_with(f, "[{\"flush\":\"reverse\"},{\"offset\":1,\"verdict\":\"queued\",\"then\":\"rejected\"},"
                     "{\"verdict\":\"queued\"}]"),
        MR_OK);
    assert_int_equal(give(f, 0, 3), MR_OK);
    assert_int_equal(mr_scripted_sink.flush(f->self, 100, &f->error), MR_OK);
    expect(f, 0, 0, MR_SINK_QUEUED);
    expect(f, 3, 2, MR_SINK_DONE);
    expect(f, 4, 1, MR_SINK_REJECTED);
    expect(f, 5, 0, MR_SINK_DONE);
}

static void a_random_order_gives_each_record_one_verdict(void **state)
{
    fixture *f = *state;
    unsigned seen = 0;
    assert_int_equal(open_with(f, "[{\"flush\":\"random\"},{\"verdict\":\"queued\"}]"), MR_OK);
    assert_int_equal(give(f, 0, 8), MR_OK);
    assert_int_equal(mr_scripted_sink.flush(f->self, 100, &f->error), MR_OK);
    assert_int_equal(f->verdicts.count, 16);
    for (size_t i = 8; i < 16; i++)
        seen |= 1u << f->verdicts.given[i].seq;
    assert_int_equal(seen, 255);
}

static void an_error_is_about_the_sink(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_with(f, "[{\"attempt\":1,\"verdict\":\"error\",\"reason\":\"away\"}]"), MR_OK);
    assert_int_equal(give(f, 0, 1), MR_EUNAVAILABLE);
    assert_int_equal(give(f, 0, 1), MR_OK);
}

static void a_wrong_script_is_told(void **state)
{
    fixture *f = *state;
    assert_int_equal(open_with(f, "[{\"verdict\":\"maybe\"}]"), MR_EINVALID);
    assert_int_equal(open_with(f, "[{\"verdict\":\"done\",\"ofset\":1}]"), MR_EINVALID);
    assert_int_equal(open_with(f, "{}"), MR_EINVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_record_gets_the_verdict_of_the_first_rule_that_fits),
        TEST(attempts_go_on_after_the_sink_was_opened_again),
        TEST(queued_records_get_theirs_at_flush_in_the_order_asked_for),
        TEST(a_random_order_gives_each_record_one_verdict),
        TEST(an_error_is_about_the_sink),
        TEST(a_wrong_script_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
