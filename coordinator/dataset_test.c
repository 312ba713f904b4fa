#include "coordinator/tenant_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static mr_error error;
static mr_warnings warnings;

static mr_dataset *parse(const char *text, bool strict)
{
    const mr_dataset_rules rules = {.document = "dataset.json", .strict = strict};
    mr_dataset *dataset = NULL;
    mr_warnings_fini(&warnings);
    error = (mr_error){.code = MR_OK};
    (void)mr_dataset_parse(mr_slice_of(text), &rules, &warnings, &dataset, &error);
    return dataset;
}

static void expect_error(const char *text, const char *message)
{
    assert_null(parse(text, false));
    assert_string_equal(error.text, message);
    mr_warnings_fini(&warnings);
}

#define FIELDS                                                                                               \
    "{\"name\":\"PROVINCE\",\"type\":\"string\"},{\"name\":\"ONUID\",\"type\":\"int\"},"                     \
    "{\"name\":\"NOTE\",\"type\":[\"null\",\"string\"],\"default\":null}"
#define SCHEMA "\"schema\":{\"type\":\"record\",\"name\":\"analytics\",\"fields\":[" FIELDS "]}"
#define NAMES  "\"name\":\"speed-data\",\"file_type\":\"csv\",\"key_space\":\"coredms\""
#define KEY    "\"primary_key\":[\"PROVINCE\",\"ONUID\"]"
#define WHOLE  NAMES "," SCHEMA "," KEY

static void a_dataset_gets_defaults(void **state)
{
    (void)state;
    mr_dataset *dataset = parse("{" WHOLE "}", true);
    assert_non_null(dataset);
    assert_string_equal(dataset->name, "speed-data");
    assert_true(dataset->csv_header);
    assert_int_equal(dataset->csv_delimiter, ',');
    assert_int_equal(dataset->csv_quote, '"');
    assert_null(dataset->csv_null_values);
    assert_int_equal(dataset->key_column_count, 2);
    assert_int_equal(dataset->key_columns[1], 1);
    assert_int_equal(dataset->max_file_size_bytes, 100 << 20);
    assert_string_equal(dataset->table, "analytics");
    assert_int_equal(dataset->topic_partitions, 1);
    assert_null(dataset->file_pattern);
    mr_dataset_close(&dataset);
}

static void every_field_can_be_given(void **state)
{
    (void)state;
    mr_dataset *dataset =
        parse("{" WHOLE ",\"csv.first.row.as.header\":false,\"csv.delimiter\":\"\\t\","
              "\"csv.quote\":\"\",\"csv.null.values\":[\"NA\",\"\"],\"max_file_size_mb\":50,"
              "\"file_pattern\":\"speed*.csv\",\"table\":\"t1\",\"topic.partitions\":4}",
              true);
    assert_non_null(dataset);
    assert_false(dataset->csv_header);
    assert_int_equal(dataset->csv_delimiter, '\t');
    assert_int_equal(dataset->csv_quote, '\0');
    assert_int_equal(dataset->csv_null_value_count, 2);
    assert_string_equal(dataset->csv_null_values[0], "NA");
    assert_string_equal(dataset->table, "t1");
    assert_int_equal(dataset->topic_partitions, 4);
    assert_true(mr_dataset_matches(dataset, "speed-1.csv"));
    assert_false(mr_dataset_matches(dataset, "reviews.csv"));
    mr_dataset_close(&dataset);
}

static void ndjson_takes_no_csv_options(void **state)
{
    (void)state;
#define NDJSON "\"name\":\"n\",\"file_type\":\"ndjson\",\"key_space\":\"k\"," SCHEMA "," KEY
    mr_dataset *dataset = parse("{" NDJSON ",\"csv.quote\":null}", true);
    assert_non_null(dataset);
    assert_string_equal(dataset->file_type, "ndjson");
    mr_dataset_close(&dataset);
    expect_error(
        "{" NDJSON ",\"csv.first.row.as.header\":true}",
        "dataset.json: field \"csv.first.row.as.header\": is for file_type \"csv\"; this dataset's is "
        "\"ndjson\"");
}

static void oddities_load_with_a_warning_that_names_the_field(void **state)
{
    (void)state;
    static const char text[] = "{" NAMES ",\"csv.first.row.as.header\":\"true\"," KEY
                               ",\"schema\":{\"type\":\"record\",\"name\":\"analytics\",\"fields\":[" FIELDS
                               ",{\"name\":\"DAY\",\"type\":\"string\",\"logicalType\":\"date\"}]}}";
    mr_dataset *dataset = parse(text, false);
    assert_non_null(dataset);
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.texts[0],
                        "dataset.json: field \"csv.first.row.as.header\": is a string; taken as "
                        "the boolean true");
    assert_non_null(strstr(warnings.texts[1], "dataset.json: field \"schema.fields[3].logicalType\": "));
    mr_dataset_close(&dataset);
    assert_null(parse(text, true));
    assert_non_null(strstr(error.text, "(strict)"));
}

static void a_key_column_that_the_schema_lacks_is_refused_with_the_nearest(void **state)
{
    (void)state;
    expect_error("{" NAMES "," SCHEMA ",\"primary_key\":[\"PROVINCE\",\"ONUIDX\"]}",
                 "dataset.json: field \"primary_key[1]\": no column \"ONUIDX\" in the schema; did you mean "
                 "\"ONUID\"?");
}

static void a_key_that_cannot_work_is_refused(void **state)
{
    (void)state;
    expect_error(
        "{" NAMES ",\"schema\":{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"a\",\"type\":"
        "{\"type\":\"array\",\"items\":\"int\"}}]},\"primary_key\":[\"a\"]}",
        "dataset.json: field \"primary_key[0]\": column \"a\" is a record, an array or a map; a key column "
        "must not be");
    expect_error("{" NAMES "," SCHEMA "}", "dataset.json: field \"primary_key\": is missing");
    expect_error("{" NAMES "," SCHEMA ",\"primary_key\":[]}",
                 "dataset.json: field \"primary_key\": must name at least one column");
    expect_error(
        "{" NAMES "," SCHEMA ",\"primary_key\":[\"NOTE\"]}",
        "dataset.json: field \"primary_key[0]\": column \"NOTE\" may be null; a key column must not");
    expect_error("{" NAMES "," SCHEMA ",\"primary_key\":[\"ONUID\",\"ONUID\"]}",
                 "dataset.json: field \"primary_key[1]\": column \"ONUID\" is named twice");
    expect_error("{" NAMES "," SCHEMA ",\"primary_key\":\"ONUID\"}",
                 "dataset.json: field \"primary_key\": an array of strings is expected");
}

static void missing_and_unknown_fields_are_named(void **state)
{
    (void)state;
    expect_error("{}", "dataset.json: field \"name\": is missing");
    expect_error("{" NAMES "," KEY "}", "dataset.json: field \"schema\": is missing");
    expect_error("{" WHOLE ",\"keyspace\":\"x\"}",
                 "dataset.json: field \"keyspace\": unknown field; did you mean \"key_space\"?");
    expect_error("{\"name\":\"a\",\"key_space\":\"k\"," SCHEMA "," KEY "}",
                 "dataset.json: field \"file_type\": is missing");
}

static void names_that_stores_do_not_take_are_refused(void **state)
{
    (void)state;
    assert_null(
        parse("{\"name\":\"a b\",\"file_type\":\"csv\",\"key_space\":\"k\"," SCHEMA "," KEY "}", false));
    assert_non_null(strstr(error.text, "field \"name\": \"a b\" is not a dataset name"));
    assert_null(
        parse("{\"name\":\"a\",\"file_type\":\"csv\",\"key_space\":\"k/..\"," SCHEMA "," KEY "}", false));
    assert_non_null(strstr(error.text, "field \"key_space\": \"k/..\" is not a key space"));
    assert_null(parse("{" WHOLE ",\"table\":\"x;y\"}", false));
    assert_non_null(strstr(error.text, "field \"table\": \"x;y\" is not a name of a table"));
    expect_error(
        "{\"name\":\"a\",\"file_type\":\"xml\",\"key_space\":\"k\"," SCHEMA "," KEY "}",
        "dataset.json: field \"file_type\": \"xml\" is not known; this version reads \"csv\" and \"ndjson\"");
}

static void csv_settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    expect_error(
        "{" WHOLE ",\"csv.delimiter\":\";;\"}",
        "dataset.json: field \"csv.delimiter\": one ASCII character other than a line end is expected");
    expect_error(
        "{" WHOLE ",\"csv.quote\":\"\\n\"}",
        "dataset.json: field \"csv.quote\": one ASCII character other than a line end is expected, or \"\" "
        "for none");
    expect_error("{" WHOLE ",\"csv.quote\":\",\"}",
                 "dataset.json: field \"csv.quote\": is the same character as csv.delimiter");
    expect_error("{" WHOLE ",\"csv.null.values\":\"NA\"}",
                 "dataset.json: field \"csv.null.values\": an array of strings is expected");
    expect_error("{" WHOLE ",\"csv.first.row.as.header\":\"yes\"}",
                 "dataset.json: field \"csv.first.row.as.header\": true or false is expected");
}

static void a_schema_that_is_wrong_is_refused_under_its_field(void **state)
{
    (void)state;
    assert_null(parse("{" NAMES "," KEY ",\"schema\":{\"type\":\"record\",\"name\":\"t\",\"fields\":["
                      "{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"A\",\"type\":\"int\"}]}}",
                      false));
    assert_non_null(strstr(error.text, "dataset.json: field \"schema\": "));
}

static void keys_and_tables_cannot_change(void **state)
{
    (void)state;
    mr_dataset *last = parse("{" WHOLE "}", true);
    mr_dataset *key = parse("{" NAMES "," SCHEMA ",\"primary_key\":[\"ONUID\"]}", true);
    mr_dataset *table = parse("{" WHOLE ",\"table\":\"other\"}", true);
    mr_dataset *bigger = parse("{" WHOLE ",\"max_file_size_mb\":200}", true);
    assert_int_equal(mr_dataset_may_follow(last, key, &error), MR_EREFUSED);
    assert_non_null(strstr(error.text, "primary_key cannot change from PROVINCE to ONUID"));
    assert_int_equal(mr_dataset_may_follow(last, table, &error), MR_EREFUSED);
    assert_int_equal(mr_dataset_may_follow(last, bigger, &error), MR_OK);
    mr_dataset_close(&last);
    mr_dataset_close(&key);
    mr_dataset_close(&table);
    mr_dataset_close(&bigger);
}

/* --- a tenant as a whole --- */

static mr_tenant_spec spec_of(const char *first, const char *second)
{
    const mr_agreement_rules rules = {.document = "agreement.json", .default_store = "sqlite"};
    mr_tenant_spec spec = {.datasets = calloc(2, sizeof(mr_dataset *))};
    assert_int_equal(mr_agreement_parse(mr_slice_of("{\"client\":\"client_a\",\"schedule\":\"0 * * * *\"}"),
                                        &rules, NULL, &spec.agreement, &error),
                     MR_OK);
    spec.datasets[spec.dataset_count++] = parse(first, true);
    assert_non_null(spec.datasets[0]);
    if (second != NULL) {
        spec.datasets[spec.dataset_count++] = parse(second, true);
        assert_non_null(spec.datasets[1]);
    }
    return spec;
}

#define OTHER(name, table, more)                                                                             \
    "{\"name\":\"" name "\",\"file_type\":\"csv\",\"key_space\":\"coredms\",\"table\":\"" table "\"," SCHEMA \
    "," KEY more "}"

static void the_client_must_be_the_tenant(void **state)
{
    (void)state;
    mr_tenant_spec spec = spec_of("{" WHOLE "}", NULL);
    assert_int_equal(mr_tenant_spec_check(&spec, "client_a", &error), MR_OK);
    assert_int_equal(mr_tenant_spec_check(&spec, "client_b", &error), MR_EINVALID);
    assert_string_equal(error.text,
                        "agreement.json: field \"client\": is \"client_a\", but the tenant is \"client_b\"");
    mr_tenant_spec_fini(&spec);
}

static void several_datasets_need_a_pattern_each(void **state)
{
    (void)state;
    mr_tenant_spec spec = spec_of("{" WHOLE ",\"file_pattern\":\"a*\"}", OTHER("other", "t2", ""));
    assert_int_equal(mr_tenant_spec_check(&spec, "client_a", &error), MR_EINVALID);
    assert_string_equal(error.text, "dataset.json: field \"file_pattern\": is missing; with several datasets "
                                    "each needs one");
    mr_tenant_spec_fini(&spec);
}

static void datasets_may_not_share_name_topic_or_table(void **state)
{
    (void)state;
    static const struct {
        const char *second, *message;
    } cases[] = {
        {OTHER("speed-data", "t2", ",\"file_pattern\":\"b*\""),
         "dataset.json: field \"name\": a dataset \"speed-data\" stands in dataset.json already"},
        {OTHER("Speed-data", "t2", ",\"file_pattern\":\"b*\""),
         "dataset.json: field \"name\": \"Speed-data\" and the \"speed-data\" of dataset.json are too alike "
         "for topics"},
        {OTHER("other", "analytics", ",\"file_pattern\":\"b*\""),
         "dataset.json: field \"table\": datasets \"speed-data\" and \"other\" both write table "
         "\"analytics\" of "
         "key space \"coredms\"; give one another table or key space"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mr_tenant_spec spec = spec_of("{" WHOLE ",\"file_pattern\":\"a*\"}", cases[i].second);
        assert_int_equal(mr_tenant_spec_check(&spec, "client_a", &error), MR_EINVALID);
        assert_string_equal(error.text, cases[i].message);
        mr_tenant_spec_fini(&spec);
    }
}

static void a_file_belongs_to_the_named_the_matching_or_the_only_dataset(void **state)
{
    (void)state;
    const mr_dataset *found;
    mr_tenant_spec one = spec_of("{" WHOLE "}", NULL);
    assert_int_equal(mr_tenant_spec_dataset_for(&one, "x", NULL, &found, &error), MR_OK);
    assert_int_equal(mr_tenant_spec_dataset_for(&one, "x", "nope", &found, &error), MR_ENOTFOUND);
    mr_tenant_spec_fini(&one);
    mr_tenant_spec two =
        spec_of("{" WHOLE ",\"file_pattern\":\"a*\"}", OTHER("other", "t2", ",\"file_pattern\":\"b*\""));
    assert_int_equal(mr_tenant_spec_check(&two, "client_a", &error), MR_OK);
    assert_int_equal(mr_tenant_spec_dataset_for(&two, "b.csv", NULL, &found, &error), MR_OK);
    assert_string_equal(found->name, "other");
    assert_int_equal(mr_tenant_spec_dataset_for(&two, "b.csv", "speed-data", &found, &error), MR_OK);
    assert_string_equal(found->name, "speed-data");
    assert_int_equal(mr_tenant_spec_dataset_for(&two, "c.csv", NULL, &found, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, "no file_pattern of tenant client_a matches \"c.csv\""));
    mr_tenant_spec_fini(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dataset_gets_defaults),
        cmocka_unit_test(every_field_can_be_given),
        cmocka_unit_test(ndjson_takes_no_csv_options),
        cmocka_unit_test(oddities_load_with_a_warning_that_names_the_field),
        cmocka_unit_test(a_key_column_that_the_schema_lacks_is_refused_with_the_nearest),
        cmocka_unit_test(a_key_that_cannot_work_is_refused),
        cmocka_unit_test(missing_and_unknown_fields_are_named),
        cmocka_unit_test(names_that_stores_do_not_take_are_refused),
        cmocka_unit_test(csv_settings_that_cannot_work_are_refused),
        cmocka_unit_test(a_schema_that_is_wrong_is_refused_under_its_field),
        cmocka_unit_test(keys_and_tables_cannot_change),
        cmocka_unit_test(the_client_must_be_the_tenant),
        cmocka_unit_test(several_datasets_need_a_pattern_each),
        cmocka_unit_test(datasets_may_not_share_name_topic_or_table),
        cmocka_unit_test(a_file_belongs_to_the_named_the_matching_or_the_only_dataset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
