/* dataset_fuzz.c - datasets. What loads has a key of its schema, and may follow itself. */
#include "coordinator/dataset.h"
#include "fuzz/fuzz.h"

static void check(const mr_dataset *dataset)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(dataset->schema, &count);
    mr_error error = {.text = ""};
    FUZZ_CHECK(mr_dataset_name_valid(dataset->name) && mr_table_name_valid(dataset->table));
    FUZZ_CHECK(dataset->key_column_count > 0);
    for (size_t i = 0; i < dataset->key_column_count; i++) {
        FUZZ_CHECK(dataset->key_columns[i] >= 0 && (size_t)dataset->key_columns[i] < count);
        FUZZ_CHECK(!fields[dataset->key_columns[i]].nullable);
    }
    FUZZ_CHECK(mr_dataset_may_follow(dataset, dataset, &error) == MR_OK);
    (void)mr_dataset_matches(dataset, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.csv");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mr_dataset_rules rules = {.document = "dataset.json"};
    mr_dataset *dataset, *again;
    mr_warnings warnings = {0};
    mr_error error = {.text = ""};
    if (mr_dataset_parse((mr_slice){(const char *)data, size}, &rules, &warnings, &dataset, &error) ==
        MR_OK) {
        check(dataset);
        FUZZ_CHECK(mr_dataset_parse(mr_slice_of(dataset->text), &rules, NULL, &again, &error) == MR_OK);
        mr_dataset_close(&again);
        mr_dataset_close(&dataset);
    } else {
        FUZZ_CHECK(strncmp(error.text, "dataset.json: ", 14) == 0);
    }
    mr_warnings_fini(&warnings);
    return 0;
}
