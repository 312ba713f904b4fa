#include "coordinator/dataset.h"

#include "core/options.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_MAX_FILE_SIZE_MB = 100,
    MAX_FILE_SIZE_MB = 1024 * 1024,
    MAX_PARTITIONS = 256,
    MAX_PATTERN_BYTES = 255,
    MAX_DATASET_BYTES = 96 * 1024
};

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

bool mr_dataset_name_valid(const char *name)
{
    const size_t size = strlen(name);
    return size >= 1 && size <= 100 && isalnum((unsigned char)*name) &&
           strspn(name, ALPHANUMERIC "_-") == size;
}

/* A name that every store takes: Cassandra's bound, SQL's letters. */
static bool identifier_valid(const char *name)
{
    const size_t size = strlen(name);
    return size >= 1 && size <= 48 && isalpha((unsigned char)*name) && strspn(name, ALPHANUMERIC "_") == size;
}

bool mr_table_name_valid(const char *name)
{
    return identifier_valid(name) && strncasecmp(name, "sqlite_", 7) != 0 &&
           strncasecmp(name, "millrace_", 9) != 0;
}

static void read_names(mr_document *doc, mr_document_at root, mr_dataset *dataset)
{
    dataset->name = mr_document_text(doc, root, "name", true);
    if (dataset->name != NULL && !mr_dataset_name_valid(dataset->name))
        mr_document_refuse(
            doc, "name",
            "\"%.120s\" is not a dataset name: letters, digits, _ and -, at most 100, the first a "
            "letter or digit",
            dataset->name);
    dataset->file_type = mr_document_text(doc, root, "file_type", true);
    if (dataset->file_type != NULL && strcmp(dataset->file_type, "csv") != 0 &&
        strcmp(dataset->file_type, "ndjson") != 0)
        mr_document_refuse(doc, "file_type",
                           "\"%.40s\" is not known; this version reads \"csv\" and \"ndjson\"",
                           dataset->file_type);
    dataset->key_space = mr_document_text(doc, root, "key_space", true);
    if (dataset->key_space != NULL && !identifier_valid(dataset->key_space))
        mr_document_refuse(
            doc, "key_space",
            "\"%.80s\" is not a key space: letters, digits and _, at most 48, the first a letter",
            dataset->key_space);
    dataset->file_pattern = mr_document_text(doc, root, "file_pattern", false);
    if (dataset->file_pattern != NULL && strchr(dataset->file_pattern, '/') != NULL)
        mr_document_refuse(doc, "file_pattern", "is matched with file names, which hold no \"/\"");
    if (dataset->file_pattern != NULL && strlen(dataset->file_pattern) > MAX_PATTERN_BYTES)
        mr_document_refuse(doc, "file_pattern", "is longer than %d bytes", MAX_PATTERN_BYTES);
}

/* One byte of ASCII that cannot be mistaken for a line end. */
static char read_char(mr_document *doc, mr_document_at root, const char *name, char otherwise,
                      bool may_be_none)
{
    if (doc->failed != MR_OK)
        return otherwise;
    json_t *value = json_object_get(root.object, name);
    if (value == NULL || json_is_null(value))
        return otherwise;
    const char *text = json_string_value(value);
    if (text != NULL && *text == '\0' && may_be_none)
        return '\0';
    if (text == NULL || json_string_length(value) != 1 || *text == '\n' || *text == '\r' ||
        (*text & 0x80) != 0) {
        mr_document_refuse(doc, name, "one ASCII character other than a line end is expected%s",
                           may_be_none ? ", or \"\" for none" : "");
        return otherwise;
    }
    return *text;
}

/* What the file type would ignore is refused. */
static void refuse_csv(mr_document *doc, mr_document_at root)
{
    const char *name;
    json_t *value;
    json_object_foreach(root.object, name, value)
    {
        if (strncmp(name, "csv.", 4) == 0 && !json_is_null(value))
            mr_document_refuse(doc, name, "is for file_type \"csv\"; this dataset's is \"ndjson\"");
    }
}

static void read_csv(mr_document *doc, mr_document_at root, mr_dataset *dataset)
{
    if (doc->failed == MR_OK && strcmp(dataset->file_type, "csv") != 0)
        refuse_csv(doc, root);
    dataset->csv_header = mr_document_boolean(doc, root, "csv.first.row.as.header", true);
    dataset->csv_delimiter = read_char(doc, root, "csv.delimiter", ',', false);
    dataset->csv_quote = read_char(doc, root, "csv.quote", '"', true);
    if (dataset->csv_delimiter == dataset->csv_quote)
        mr_document_refuse(doc, "csv.quote", "is the same character as csv.delimiter");
    dataset->csv_null_values =
        mr_document_list(doc, root, "csv.null.values", true, &dataset->csv_null_value_count);
}

static void warn_schema(void *arg, const char *field, const char *text)
{
    mr_document *doc = arg;
    char path[200];
    snprintf(path, sizeof path, "schema.%s", field);
    mr_document_odd(doc, path, "%s", text);
}

/* "schema: fields[2].type: unknown type" is about the field "schema" already. */
static void refuse_schema(mr_document *doc, const char *text)
{
    static const char prefix[] = "schema: ";
    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    mr_document_refuse(doc, "schema", "%s", text);
}

static void read_schema(mr_document *doc, mr_document_at root, mr_dataset *dataset)
{
    mr_document_at at;
    if (!mr_document_object(doc, root, "schema", &at)) {
        mr_document_refuse(doc, "schema", "is missing");
        return;
    }
    char *text = json_dumps(at.object, JSON_COMPACT);
    if (text == NULL) {
        mr_document_out_of_memory(doc);
        return;
    }
    mr_error problem;
    const mr_err err = mr_schema_parse(mr_slice_of(text), warn_schema, doc, &dataset->schema, &problem);
    free(text);
    if (err == MR_ENOMEM)
        mr_document_out_of_memory(doc);
    else if (err != MR_OK)
        refuse_schema(doc, problem.text);
}

static const char *nearest_column(const mr_schema *schema, const char *name)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    const char **names = calloc(count, sizeof *names);
    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        names[i] = fields[i].name;
    const char *near = mr_nearest_name(name, names, count);
    free(names);
    return near;
}

/* Index of the key column, or -1 after a refusal. */
static int key_column(mr_document *doc, const mr_dataset *dataset, size_t index)
{
    const char *name = dataset->primary_key[index];
    char path[40];
    snprintf(path, sizeof path, "primary_key[%zu]", index);
    const int column = mr_schema_find(dataset->schema, mr_slice_of(name));
    size_t count;
    if (column < 0) {
        const char *near = nearest_column(dataset->schema, name);
        if (near != NULL)
            mr_document_refuse(doc, path, "no column \"%.100s\" in the schema; did you mean \"%.100s\"?",
                               name, near);
        else
            mr_document_refuse(doc, path, "no column \"%.100s\" in the schema", name);
    } else if (mr_schema_fields(dataset->schema, &count)[column].nullable) {
        mr_document_refuse(doc, path, "column \"%.100s\" may be null; a key column must not", name);
    } else if (mr_type_is_nested(mr_schema_fields(dataset->schema, &count)[column].type)) {
        mr_document_refuse(
            doc, path, "column \"%.100s\" is a record, an array or a map; a key column must not be", name);
    }
    for (size_t i = 0; i < index; i++)
        if (dataset->key_columns[i] == column)
            mr_document_refuse(doc, path, "column \"%.100s\" is named twice", name);
    return column;
}

static void read_primary_key(mr_document *doc, mr_document_at root, mr_dataset *dataset)
{
    dataset->primary_key = mr_document_list(doc, root, "primary_key", false, &dataset->key_column_count);
    if (doc->failed != MR_OK)
        return;
    if (dataset->primary_key == NULL || dataset->key_column_count == 0) {
        mr_document_refuse(doc, "primary_key",
                           dataset->primary_key == NULL ? "is missing" : "must name at least one column");
        return;
    }
    int *columns = mr_arena_alloc(doc->arena, dataset->key_column_count * sizeof *columns);
    if (columns == NULL) {
        mr_document_out_of_memory(doc);
        return;
    }
    dataset->key_columns = columns;
    for (size_t i = 0; i < dataset->key_column_count && doc->failed == MR_OK; i++)
        columns[i] = key_column(doc, dataset, i);
}

static void read_table(mr_document *doc, mr_document_at root, mr_dataset *dataset)
{
    if (doc->failed != MR_OK)
        return;
    dataset->table = mr_document_text(doc, root, "table", false);
    const bool given = dataset->table != NULL;
    if (!given)
        dataset->table = mr_schema_name(dataset->schema);
    if (!mr_table_name_valid(dataset->table))
        mr_document_refuse(
            doc, given ? "table" : "schema.name",
            "\"%.80s\" is not a name of a table: letters, digits and _, at most 48, the first a letter; none "
            "that begins with sqlite_ or millrace_",
            dataset->table);
}

static void read_dataset(mr_document *doc, mr_dataset *dataset)
{
    static const char *const known[] = {"name",
                                        "file_type",
                                        "key_space",
                                        "csv.first.row.as.header",
                                        "csv.delimiter",
                                        "csv.quote",
                                        "csv.null.values",
                                        "schema",
                                        "primary_key",
                                        "max_file_size_mb",
                                        "file_pattern",
                                        "table",
                                        "topic.partitions"};
    const mr_document_at root = {doc->root, ""};
    mr_document_check_names(doc, root, known, COUNT(known));
    mr_document_check_size(doc, root, MAX_DATASET_BYTES);
    read_names(doc, root, dataset);
    read_csv(doc, root, dataset);
    read_schema(doc, root, dataset);
    read_primary_key(doc, root, dataset);
    read_table(doc, root, dataset);
    dataset->max_file_size_bytes =
        1024 * 1024 *
        mr_document_integer(doc, root, "max_file_size_mb", 1, MAX_FILE_SIZE_MB, DEFAULT_MAX_FILE_SIZE_MB);
    dataset->topic_partitions =
        (int32_t)mr_document_integer(doc, root, "topic.partitions", 1, MAX_PARTITIONS, 1);
}

mr_err mr_dataset_parse(mr_slice text, const mr_dataset_rules *rules, mr_warnings *warnings,
                        mr_dataset **ret_dataset, mr_error *ret_error)
{
    mr_dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "%s: out of memory", rules->document);
    mr_error problem;
    mr_document doc = {.name = rules->document,
                       .strict = rules->strict,
                       .arena = &dataset->arena,
                       .warnings = warnings,
                       .error = &problem};
    mr_document_parse(&doc, text);
    if (doc.failed == MR_OK) {
        const mr_slice copy = mr_arena_copy(&dataset->arena, text);
        if (copy.data == NULL)
            mr_document_out_of_memory(&doc);
        dataset->document = mr_arena_copy(&dataset->arena, mr_slice_of(rules->document)).data;
        if (dataset->document == NULL)
            mr_document_out_of_memory(&doc);
        dataset->text = copy.data;
        dataset->text_size = copy.size;
        read_dataset(&doc, dataset);
    }
    mr_document_fini(&doc);
    if (doc.failed != MR_OK) {
        mr_dataset_close(&dataset);
        return mr_fail(ret_error, doc.failed, "%s", problem.text);
    }
    *ret_dataset = dataset;
    return MR_OK;
}

void mr_dataset_close(mr_dataset **dataset)
{
    if (*dataset == NULL)
        return;
    mr_schema_close(&(*dataset)->schema);
    mr_arena_fini(&(*dataset)->arena);
    free(*dataset);
    *dataset = NULL;
}

static mr_err refuse_change(const mr_dataset *dataset, const char *field, const char *last, const char *next,
                            mr_error *ret_error)
{
    return mr_fail(
        ret_error, MR_EREFUSED,
        "dataset %s: %s cannot change from %s to %s; use another dataset name, or delete the tenant",
        dataset->name, field, last, next);
}

mr_err mr_dataset_may_follow(const mr_dataset *last, const mr_dataset *next, mr_error *ret_error)
{
    if (strcmp(last->key_space, next->key_space) != 0)
        return refuse_change(last, "key_space", last->key_space, next->key_space, ret_error);
    if (strcmp(last->table, next->table) != 0)
        return refuse_change(last, "table", last->table, next->table, ret_error);
    if (last->topic_partitions != next->topic_partitions)
        return mr_fail(ret_error, MR_EREFUSED, "dataset %s: topic.partitions cannot change from %d to %d",
                       last->name, last->topic_partitions, next->topic_partitions);
    const size_t count =
        last->key_column_count > next->key_column_count ? last->key_column_count : next->key_column_count;
    for (size_t i = 0; i < count; i++) {
        const char *a = i < last->key_column_count ? last->primary_key[i] : "nothing";
        const char *b = i < next->key_column_count ? next->primary_key[i] : "nothing";
        if (strcmp(a, b) != 0)
            return refuse_change(last, "primary_key", a, b, ret_error);
    }
    mr_error problem;
    if (mr_schema_may_follow(last->schema, next->schema, &problem) != MR_OK)
        return mr_fail(ret_error, MR_EREFUSED, "dataset %s: %s", last->name, problem.text);
    return MR_OK;
}

bool mr_dataset_matches(const mr_dataset *dataset, const char *file_name)
{
    return dataset->file_pattern != NULL && fnmatch(dataset->file_pattern, file_name, FNM_PERIOD) == 0;
}
