/* hostile_documents_test.c - what is wrong in a document, and what its sender is told: always the document,
 * the field or the position, and what would be right. */
#include "coordinator/tenant_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define AGREEMENT(more) "{\"client\":\"a\",\"schedule\":\"0 * * * *\"" more "}"
#define SCHEDULE(text)  "{\"client\":\"a\",\"schedule\":\"" text "\"}"
#define SINKS(list)     AGREEMENT(",\"sinks\":[" list "]")
#define STORE(more)     "{\"name\":\"x\",\"class\":\"sqlite\"" more "}"
#define FIELD(name)     "{\"name\":\"" name "\",\"type\":\"int\"}"
#define RECORD(fields)  "{\"type\":\"record\",\"name\":\"t\",\"fields\":[" fields "]}"
#define NAMES           "\"name\":\"d\",\"file_type\":\"csv\",\"key_space\":\"k\",\"primary_key\":[\"id\"]"
#define DATASET(schema) "{" NAMES ",\"schema\":" schema "}"
#define WITH(more)      "{" NAMES ",\"schema\":" RECORD(FIELD("id")) more "}"
#define FIELDS(more)    DATASET(RECORD(FIELD("id") "," more))

typedef struct hostile {
    const char *text, *message; /* how the message begins */
} hostile;

static const hostile agreements[] = {
    {"", "agreement.json: line 1, column 0: '[' or '{' expected near end of file"},
    {"[]", "agreement.json: a JSON object is expected"},
    {"{\"client\":\n\"a\",,}", "agreement.json: line 2, column 5: string or '}' expected near ','"},
    {"{\"client\":\"a\",\"client\":\"a\"}",
     "agreement.json: line 1, column 22: duplicate object key near '\"client\"'"},
    {"{\"client\":\"\xc3\x28\"}", "agreement.json: line 1, column 11: unable to decode byte 0xc3"},
    {"{\"client\":\"a\\u0000\"}", "agreement.json: line 1, column 19: \\u0000 is not allowed"},
    {"{\"client\":\"a\\ud800\"}", "agreement.json: line 1, column 19: invalid Unicode"},
    {"{\"client\":\"a\",\"attempts\":1e999}", "agreement.json: line 1, column 30: real number overflow"},
    {"{\"client\":\"a\",\"attempts\":99999999999999999999}",
     "agreement.json: line 1, column 45: too big integer"},
    {AGREEMENT("") "x", "agreement.json: line 1, column 38: end of file expected"},
    {"{\"Client\":\"a\",\"schedule\":\"0 * * * *\"}",
     "agreement.json: field \"Client\": unknown field; did you mean \"client\"?"},
    {AGREEMENT(",\"data_retention_period_day\":1"),
     "agreement.json: field \"data_retention_period_day\": unknown field; did you mean "
     "\"data_retention_period_days\"?"},
    {AGREEMENT(",\"resources\":{\"limits\":{\"mem\":\"1Gi\"}}"),
     "agreement.json: field \"resources.limits.mem\": unknown field"},
    {AGREEMENT(",\"program\":{\"comand\":[]}"),
     "agreement.json: field \"program.comand\": unknown field; did you mean \"command\"?"},
    {"{\"schedule\":\"0 * * * *\"}", "agreement.json: field \"client\": is missing"},
    {"{\"client\":null,\"schedule\":\"0 * * * *\"}", "agreement.json: field \"client\": is missing"},
    {"{\"client\":{\"a\":1},\"schedule\":\"0 * * * *\"}",
     "agreement.json: field \"client\": a string is expected"},
    {"{\"client\":\"../etc\",\"schedule\":\"0 * * * *\"}",
     "agreement.json: field \"client\": \"../etc\" is not a tenant id"},
    {"{\"client\":\"a\"}", "agreement.json: field \"schedule\": is missing"},
    {SCHEDULE("0 24 * * *"),
     "agreement.json: field \"schedule\": \"0 24 * * *\", column 3, field hour: the value 24"},
    {SCHEDULE("0 * * 0 *"),
     "agreement.json: field \"schedule\": \"0 * * 0 *\", column 7, field month: the value 0"},
    {SCHEDULE("0 * * x *"), "agreement.json: field \"schedule\": \"0 * * x *\", column 7, field month: "},
    {SCHEDULE("*/0 * * * *"),
     "agreement.json: field \"schedule\": \"*/0 * * * *\", column 3, field minute: the step 0"},
    {SCHEDULE("0 5-1 * * *"),
     "agreement.json: field \"schedule\": \"0 5-1 * * *\", column 3, field hour: the range"},
    {SCHEDULE("0 1, * * *"),
     "agreement.json: field \"schedule\": \"0 1, * * *\", column 5, field hour: a number"},
    {SCHEDULE("* * * *"), "agreement.json: field \"schedule\": \"* * * *\" has fewer than five fields (4)"},
    {AGREEMENT(",\"attempts\":0"), "agreement.json: field \"attempts\": 0 is out of range: from 1 to 100"},
    {AGREEMENT(",\"attempts\":\"two\""), "agreement.json: field \"attempts\": \"two\" is not an integer"},
    {AGREEMENT(",\"resources\":{\"limits\":{\"memory\":\"12 parsecs\"}}"),
     "agreement.json: field \"resources.limits.memory\": \"12 parsecs\" is not an amount of memory"},
    {SINKS(STORE("") "," STORE("")), "agreement.json: field \"sinks[1].name\": two sinks are named \"x\""},
    {SINKS("{\"name\":\"X\",\"class\":\"sqlite\"}"),
     "agreement.json: field \"sinks[0].name\": \"X\" is not a name"},
    {SINKS(STORE(",\"table\":\"millrace_positions\"")),
     "agreement.json: field \"sinks[0].table\": \"millrace_positions\" is not a name of a table"},
    {SINKS(STORE(",\"table\":\"a;b\"")),
     "agreement.json: field \"sinks[0].table\": \"a;b\" is not a name of a table"},
    {SINKS(STORE(",\"key.space\":\"others\"")),
     "agreement.json: field \"sinks[0].key.space\": is set by Millrace"},
};

static const hostile datasets[] = {
    {"{" NAMES "}", "dataset.json: field \"schema\": is missing"},
    {WITH(",\"csv.delimeter\":\";\""), "dataset.json: field \"csv.delimeter\": unknown field; did you mean "},
    {WITH(",\"Table\":\"t\""), "dataset.json: field \"Table\": unknown field; did you mean \"table\"?"},
    {WITH(",\"table\":\"sqlite_master\""),
     "dataset.json: field \"table\": \"sqlite_master\" is not a name of a table"},
    {WITH(",\"table\":\"MILLRACE_epochs\""),
     "dataset.json: field \"table\": \"MILLRACE_epochs\" is not a name of a"},
    {WITH(",\"max_file_size_mb\":0"), "dataset.json: field \"max_file_size_mb\": 0 is out of range"},
    {WITH(",\"file_pattern\":\"../*\""), "dataset.json: field \"file_pattern\": is matched with file names"},
    {DATASET("\"text\""), "dataset.json: field \"schema\": an object is expected"},
    {DATASET("{\"type\":\"recrod\"}"),
     "dataset.json: field \"schema\": must be an object with \"type\": \"record\""},
    {DATASET("{\"type\":\"record\",\"fields\":[]}"), "dataset.json: field \"schema\": has no \"name\""},
    {DATASET(RECORD("")), "dataset.json: field \"schema\": fields: must be an array of at least one field"},
    {FIELDS("1"), "dataset.json: field \"schema\": fields[1]: must be an object"},
    {FIELDS("{\"type\":\"int\"}"), "dataset.json: field \"schema\": fields[1]: has no \"name\""},
    {FIELDS("{\"name\":\"a\"}"), "dataset.json: field \"schema\": fields[1]: field \"a\" has no type"},
    {FIELDS("{\"name\":\"a\",\"type\":\"strnig\"}"),
     "dataset.json: field \"schema\": fields[1].type: unknown type \"strnig\""},
    {FIELDS("{\"name\":\"a\",\"type\":[\"int\",\"string\"]}"),
     "dataset.json: field \"schema\": fields[1].type: "},
    {FIELDS("{\"name\":\"a\",\"type\":\"int\",\"default\":\"x\"}"),
     "dataset.json: field \"schema\": fields[1].default: is not a valid int"},
    {FIELDS("{\"name\":\"a b\",\"type\":\"int\"}"),
     "dataset.json: field \"schema\": fields[1]: name \"a b\" must be letters"},
    {FIELDS(FIELD("id")), "dataset.json: field \"schema\": fields[1]: field \"id\" stands twice"},
    {FIELDS(FIELD("ID")),
     "dataset.json: field \"schema\": fields[1]: fields \"id\" and \"ID\" differ only by case"},
    {"{\"name\":\"d\",\"file_type\":\"csv\",\"key_space\":\"k\",\"primary_key\":[\"ids\"],\"schema\":" RECORD(
         FIELD("id")) "}",
     "dataset.json: field \"primary_key[0]\": no column \"ids\" in the schema; did you mean \"id\"?"},
};

static mr_err parse(bool agreement, mr_slice text, mr_error *error)
{
    const mr_agreement_rules agreement_rules = {.document = "agreement.json", .default_store = "sqlite"};
    const mr_dataset_rules dataset_rules = {.document = "dataset.json"};
    mr_agreement *an_agreement = NULL;
    mr_dataset *dataset = NULL;
    const mr_err err = agreement ? mr_agreement_parse(text, &agreement_rules, NULL, &an_agreement, error)
                                 : mr_dataset_parse(text, &dataset_rules, NULL, &dataset, error);
    mr_agreement_close(&an_agreement);
    mr_dataset_close(&dataset);
    return err;
}

static void check_all(bool agreement, const hostile *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mr_error error = {.text = ""};
        const mr_err err = parse(agreement, mr_slice_of(cases[i].text), &error);
        if (err != MR_EINVALID || strncmp(error.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s\n  is told: %s (%s)\n  not:     %s", cases[i].text, error.text, mr_err_name(err),
                     cases[i].message);
    }
}

static void a_wrong_agreement_is_told_where_it_is_wrong(void **state)
{
    (void)state;
    check_all(true, agreements, sizeof agreements / sizeof agreements[0]);
}

static void a_wrong_dataset_is_told_where_it_is_wrong(void **state)
{
    (void)state;
    check_all(false, datasets, sizeof datasets / sizeof datasets[0]);
}

/* `before`, then `part` so many times, then `after`; to be freed. */
static mr_slice repeated(const char *before, const char *part, size_t count, const char *after)
{
    mr_buf text = {0};
    assert_int_equal(mr_buf_append(&text, before, strlen(before)), MR_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(mr_buf_append(&text, part, strlen(part)), MR_OK);
    assert_int_equal(mr_buf_append(&text, after, strlen(after)), MR_OK);
    return mr_buf_slice(&text);
}

static void what_is_too_large_or_too_deep_is_refused_with_its_bound(void **state)
{
    (void)state;
    static const struct {
        bool agreement;
        const char *before, *part;
        size_t count;
        const char *after;
        mr_err code;
        const char *message;
    } cases[] = {
        {true, AGREEMENT(""), " ", 1024 * 1024, "", MR_ETOOLARGE,
         "agreement.json: 1048613 bytes of JSON; at most"},
        {true, "{\"client\":\n", "[", 100000, "", MR_EINVALID,
         "agreement.json: line 2, column 64: more than 64 levels"},
        {true, "{\"client\":\"a\",\"schedule\":\"0 * * * *\",\"program\":{\"env\":{\"A\":\"", "x", 5000,
         "\"}}}", MR_EINVALID, "agreement.json: field \"program.env.A\": is longer than 4096 bytes"},
        {true, "{\"client\":\"a\",\"schedule\":\"0 * * * *\",\"program\":{\"command\":[\"a\"", ",\"a\"", 100,
         "]}}", MR_EINVALID, "agreement.json: field \"program.command\": 101 strings are more than 100"},
        {true, "{\"client\":\"a\",\"schedule\":\"0 * * * *\",\"program\":{\"command\":[\"a\"", ",\"a\"",
         20000, "]}}", MR_ETOOLARGE,
         "agreement.json: field \"program\": 80017 bytes without blanks are more than 65536"},
        {false, "{" NAMES ",\"schema\":{\"type\":\"record\",\"name\":\"t\",\"doc\":\"", "x", 70000,
         "\",\"fields\":[" FIELD("id") "]}}", MR_EINVALID, "dataset.json: field \"schema\": 70"},
        {false, "{" NAMES ",\"schema\":" RECORD(FIELD("id")) ",\"csv.null.values\":[\"\"", ",\"a\"", 100,
         "]}", MR_EINVALID, "dataset.json: field \"csv.null.values\": 101 strings are more than 100"},
        {false, "{" NAMES ",\"schema\":" RECORD(FIELD("id")) ",\"file_pattern\":\"", "*", 300, "\"}",
         MR_EINVALID, "dataset.json: field \"file_pattern\": is longer than 255 bytes"},
        {false, "{" NAMES ",\"schema\":" RECORD(FIELD("id")) ",\"csv.null.values\":[\"", "x", 100000, "\"]}",
         MR_ETOOLARGE, "dataset.json: 100"},
        {false, "{" NAMES ",\"schema\":", "{\"type\":", 64, "", MR_EINVALID, "dataset.json: line 1, column "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mr_error error = {.text = ""};
        mr_slice text = repeated(cases[i].before, cases[i].part, cases[i].count, cases[i].after);
        const mr_err err = parse(cases[i].agreement, text, &error);
        free((void *)text.data);
        if (err != cases[i].code || strncmp(error.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("case %zu is told: %s (%s), not: %s", i, error.text, mr_err_name(err), cases[i].message);
    }
}

static void every_cut_of_a_good_document_is_refused(void **state)
{
    (void)state;
    static const char whole[] = WITH(",\"csv.null.values\":[\"NA\"],\"max_file_size_mb\":5");
    mr_error error;
    assert_int_equal(parse(false, mr_slice_of(whole), &error), MR_OK);
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        assert_int_equal(parse(false, (mr_slice){whole, size}, &error), MR_EINVALID);
        assert_int_equal(strncmp(error.text, "dataset.json: line 1, column ", 29), 0);
    }
}

static void two_sinks_or_datasets_may_not_write_one_table(void **state)
{
    (void)state;
    static const struct {
        const char *sinks, *second, *message;
    } cases[] = {
        {"[{\"name\":\"x\",\"class\":\"sqlite\"},{\"name\":\"y\",\"class\":\"sqlite\"}]", NULL,
         "agreement.json: field \"sinks[1].table\": sinks \"x\" and \"y\" both write table \"t\" of key "
         "space \"k\""},
        {"[{\"name\":\"x\",\"class\":\"sqlite\"},{\"name\":\"y\",\"class\":\"sqlite\",\"table\":\"T\"}]",
         NULL, "agreement.json: field \"sinks[1].table\": sinks \"x\" and \"y\" both write table \"T\""},
        {"[{\"name\":\"x\",\"class\":\"sqlite\",\"table\":\"copy\"}]", "u",
         "dataset.json: field \"table\": datasets \"d\" and \"e\" both write table \"copy\" of key space "
         "\"k\""},
        {"[{\"name\":\"x\",\"class\":\"sqlite\"},{\"name\":\"y\",\"class\":\"sqlite\",\"table\":\"copy\"}]",
         NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const mr_agreement_rules rules = {.document = "agreement.json", .default_store = "sqlite"};
        const mr_dataset_rules dataset_rules = {.document = "dataset.json"};
        mr_tenant_spec spec = {.datasets = calloc(2, sizeof(mr_dataset *))};
        mr_error error = {.text = ""};
        char text[500];
        snprintf(text, sizeof text, "{\"client\":\"a\",\"schedule\":\"0 * * * *\",\"sinks\":%s}",
                 cases[i].sinks);
        assert_int_equal(mr_agreement_parse(mr_slice_of(text), &rules, NULL, &spec.agreement, NULL), MR_OK);
        for (size_t k = 0; k < (cases[i].second == NULL ? 1u : 2u); k++) {
            snprintf(text, sizeof text,
                     "{\"name\":\"%s\",\"file_type\":\"csv\",\"key_space\":\"k\",\"primary_key\":[\"id\"],"
                     "\"table\":\"%s\","
                     "\"file_pattern\":\"*\",\"schema\":" RECORD(FIELD("id")) "}",
                     k == 0 ? "d" : "e", k == 0 ? "t" : cases[i].second);
            assert_int_equal(
                mr_dataset_parse(mr_slice_of(text), &dataset_rules, NULL, &spec.datasets[k], NULL), MR_OK);
            spec.dataset_count++;
        }
        const mr_err err = mr_tenant_spec_check(&spec, "a", &error);
        if (cases[i].message == NULL)
            assert_int_equal(err, MR_OK);
        else if (err != MR_EINVALID || strncmp(error.text, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("case %zu is told: %s", i, error.text);
        mr_tenant_spec_fini(&spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_agreement_is_told_where_it_is_wrong),
        cmocka_unit_test(a_wrong_dataset_is_told_where_it_is_wrong),
        cmocka_unit_test(what_is_too_large_or_too_deep_is_refused_with_its_bound),
        cmocka_unit_test(every_cut_of_a_good_document_is_refused),
        cmocka_unit_test(two_sinks_or_datasets_may_not_write_one_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
