/* dataset.h - a tenant's data file configuration: typed, checked, with the text as submitted.
 *
 * Immutable after parse; all it points to lives until close. Thread: any. docs/agreement.md has every field.
 */
#ifndef MR_COORDINATOR_DATASET_H
#define MR_COORDINATOR_DATASET_H

#include "coordinator/document.h"
#include "core/schema.h"

typedef struct mr_dataset {
    const char *text; /* as submitted, NUL-terminated */
    size_t text_size;

    const char *document; /* the rules' name for messages */
    const char *name;
    const char *file_type; /* "csv", "ndjson" */
    const char *key_space; /* [a-zA-Z][a-zA-Z0-9_]{0,47} */
    bool csv_header;       /* the first row names the columns; csv_...: of file_type csv */
    char csv_delimiter;
    char csv_quote;                     /* '\0': no quoting */
    const char *const *csv_null_values; /* cells that stand for null */
    size_t csv_null_value_count;

    mr_schema *schema; /* mr_schema_text(): the embedded schema as compact JSON, all attributes and their
                          order kept */
    const char *const *primary_key; /* column names */
    const int *key_columns;         /* indexes into the schema, in the order of primary_key */
    size_t key_column_count;        /* at least 1 */

    int64_t max_file_size_bytes; /* max_file_size_mb * 1,048,576 */
    const char *file_pattern;    /* shell pattern (fnmatch) for names of files, or NULL */
    const char *table;           /* schema name unless given */
    int32_t topic_partitions;

    mr_arena arena;
} mr_dataset;

typedef struct mr_dataset_rules {
    const char *document; /* name for messages: "dataset.json" */
    bool strict;          /* refuse oddities */
} mr_dataset_rules;

/* As mr_agreement_parse. */
mr_err mr_dataset_parse(mr_slice text, const mr_dataset_rules *rules, mr_warnings *warnings,
                        mr_dataset **ret_dataset, mr_error *ret_error);
void mr_dataset_close(mr_dataset **dataset); /* NULL-safe */

/* Whether `next` may replace `last` under the same name: schema as mr_schema_may_follow, the same primary
 * key, key space, table and partitions. Otherwise MR_EREFUSED with the first difference in words. */
mr_err mr_dataset_may_follow(const mr_dataset *last, const mr_dataset *next, mr_error *ret_error);

/* [a-zA-Z][a-zA-Z0-9_]{0,47}, and not of a store's own tables (sqlite_..., millrace_...). */
bool mr_table_name_valid(const char *name);
bool mr_dataset_name_valid(const char *name); /* [a-zA-Z0-9][a-zA-Z0-9_-]{0,99} */
bool mr_dataset_matches(const mr_dataset *dataset, const char *file_name); /* false without a pattern */

#endif
