#include "connectors/sqlite/table.h"

#include "core/plain_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

typedef struct column {
    char *name;
    char *type; /* as declared */
    bool not_null, has_default, generated;
    int key_place; /* from 1; 0: not in the primary key */
} column;

typedef struct column_list {
    column *items;
    size_t count;
} column_list;

static const char *type_of(const mr_field *field)
{
    switch (mr_plain_type(field)) {
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        return "REAL";
    case MR_TYPE_BYTES:
        return "BLOB";
    case MR_TYPE_STRING:
        return "TEXT";
    default:
        return "INTEGER";
    }
}

/* The rules of https://www.sqlite.org/datatype3.html, "Determination Of Column Affinity". */
static const char *affinity(const char *declared)
{
    if (strcasestr(declared, "INT") != NULL)
        return "INTEGER";
    if (strcasestr(declared, "CHAR") != NULL || strcasestr(declared, "CLOB") != NULL ||
        strcasestr(declared, "TEXT") != NULL)
        return "TEXT";
    if (*declared == '\0' || strcasestr(declared, "BLOB") != NULL)
        return "BLOB";
    if (strcasestr(declared, "REAL") != NULL || strcasestr(declared, "FLOA") != NULL ||
        strcasestr(declared, "DOUB") != NULL)
        return "REAL";
    return "NUMERIC";
}

static void columns_fini(column_list *columns)
{
    for (size_t i = 0; i < columns->count; i++) {
        free(columns->items[i].name);
        free(columns->items[i].type);
    }
    free(columns->items);
}

static bool append_column(column_list *columns, sqlite3_stmt *row)
{
    column *grown = realloc(columns->items, (columns->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    columns->items = grown;
    const char *type = (const char *)sqlite3_column_text(row, 1);
    column *added = &grown[columns->count++];
    *added = (column){
        .name = strdup((const char *)sqlite3_column_text(row, 0)),
        .type = strdup(type == NULL ? "" : type),
        .not_null = sqlite3_column_int(row, 2) != 0,
        .has_default = sqlite3_column_int(row, 3) != 0,
        .key_place = sqlite3_column_int(row, 4),
        .generated = sqlite3_column_int(row, 5) != 0,
    };
    return added->name != NULL && added->type != NULL;
}

static mr_err read_columns(sqlite_store *store, const char *table, column_list *columns, mr_error *ret_error)
{
    sqlite3_stmt *list = NULL;
    int result;
    mr_err err = store_prepare(store,
                               "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden"
                               " FROM pragma_table_xinfo(?1)",
                               &list, ret_error);
    if (err != MR_OK)
        return err;
    sqlite3_bind_text(list, 1, table, -1, SQLITE_STATIC);
    while ((result = sqlite3_step(list)) == SQLITE_ROW && err == MR_OK) {
        if (!append_column(columns, list))
            err = mr_fail(ret_error, MR_ENOMEM, "no memory for a column");
    }
    if (err == MR_OK && result != SQLITE_DONE)
        err = store_fail(store, result, "read the table's columns", ret_error);
    sqlite3_finalize(list);
    return err;
}

/* *ret_exists; MR_EINVALID when the name is that of a view or the like. */
static mr_err find_table(sqlite_store *store, const char *table, bool *ret_exists, mr_error *ret_error)
{
    sqlite3_stmt *find = NULL;
    mr_err err = store_prepare(
        store, "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE", &find,
        ret_error);
    if (err != MR_OK)
        return err;
    sqlite3_bind_text(find, 1, table, -1, SQLITE_STATIC);
    int result = sqlite3_step(find);
    *ret_exists = result == SQLITE_ROW;
    if (result == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(find, 0), "table") != 0)
        err =
            mr_fail(ret_error, MR_EINVALID, "%s is a %s", table, (const char *)sqlite3_column_text(find, 0));
    else if (result != SQLITE_ROW && result != SQLITE_DONE)
        err = store_fail(store, result, "look for the table", ret_error);
    sqlite3_finalize(find);
    return err;
}

static mr_err exec_buf(sqlite_store *store, mr_buf *sql, mr_err built, mr_error *ret_error)
{
    if (built == MR_OK)
        built = mr_buf_append(sql, "", 1);
    if (built != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a statement");
    return store_exec(store, sql->data, ret_error);
}

static mr_err append_definition(mr_buf *sql, const mr_field *field)
{
    mr_err err = store_quote(sql, field->name);
    return err == MR_OK ? mr_buf_printf(sql, " %s%s", type_of(field), field->nullable ? "" : " NOT NULL")
                        : err;
}

/* The key's columns: "a", "b", or as a condition "a" = ?1 AND "b" = ?2. */
static mr_err append_key(mr_buf *sql, const mr_env *env, bool condition)
{
    const mr_field *fields = mr_schema_fields(env->schema, &(size_t){0});
    mr_err err = MR_OK;
    for (size_t i = 0; i < env->key_column_count && err == MR_OK; i++) {
        err = mr_buf_printf(sql, "%s", i == 0 ? "" : condition ? " AND " : ", ");
        if (err == MR_OK)
            err = store_quote(sql, fields[env->key_columns[i]].name);
        if (err == MR_OK && condition)
            err = mr_buf_printf(sql, " = ?%zu", i + 1);
    }
    return err;
}

static mr_err create(sqlite_store *store, const char *table, const mr_env *env, mr_error *ret_error)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(env->schema, &count);
    mr_buf sql = {0};
    mr_err err = mr_buf_printf(&sql, "CREATE TABLE ");
    if (err == MR_OK)
        err = store_quote(&sql, table);
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        err = mr_buf_printf(&sql, "%s", i == 0 ? "(" : ", ");
        if (err == MR_OK)
            err = append_definition(&sql, &fields[i]);
    }
    if (err == MR_OK)
        err = mr_buf_printf(&sql, ", PRIMARY KEY(");
    if (err == MR_OK)
        err = append_key(&sql, env, false);
    if (err == MR_OK)
        err = mr_buf_printf(&sql, "))");
    err = exec_buf(store, &sql, err, ret_error);
    mr_buf_fini(&sql);
    return err;
}

static mr_err add_column(sqlite_store *store, const char *table, const mr_field *field, mr_error *ret_error)
{
    mr_buf sql = {0};
    mr_err err = mr_buf_printf(&sql, "ALTER TABLE ");
    if (err == MR_OK)
        err = store_quote(&sql, table);
    if (err == MR_OK)
        err = mr_buf_printf(&sql, " ADD COLUMN ");
    if (err == MR_OK)
        err = append_definition(&sql, field);
    err = exec_buf(store, &sql, err, ret_error);
    mr_buf_fini(&sql);
    return err;
}

static const column *find_column(const column_list *columns, const char *name)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (strcasecmp(columns->items[i].name, name) == 0)
            return &columns->items[i];
    }
    return NULL;
}

static mr_err compare_field(sqlite_store *store, const char *table, const column_list *columns,
                            const mr_field *field, mr_error *ret_error)
{
    const column *found = find_column(columns, field->name);
    char words[MR_TYPE_WORDS_BYTES];
    if (found == NULL && field->nullable)
        return add_column(store, table, field, ret_error);
    if (found == NULL)
        return mr_fail(ret_error, MR_EINVALID, "it has no column %s, and only nullable ones can be added",
                       field->name);
    if (found->generated)
        return mr_fail(ret_error, MR_EINVALID, "its column %s is generated", field->name);
    if (strcmp(affinity(found->type), type_of(field)) != 0)
        return mr_fail(ret_error, MR_EINVALID, "its column %s is %s, but the field is a %s, which needs %s",
                       field->name, *found->type == '\0' ? "without a type" : found->type,
                       mr_type_words(field, words), type_of(field));
    if (found->not_null && field->nullable)
        return mr_fail(ret_error, MR_EINVALID, "its column %s is NOT NULL, but the field is nullable",
                       field->name);
    return MR_OK;
}

static mr_err compare_key(const column_list *columns, const mr_env *env, mr_error *ret_error)
{
    const mr_field *fields = mr_schema_fields(env->schema, &(size_t){0});
    char theirs[200] = "", ours[200] = "";
    size_t key_count = 0, same = 0;
    for (int place = 1; place <= (int)columns->count; place++) {
        for (size_t i = 0; i < columns->count; i++) {
            const column *at = &columns->items[i];
            if (at->key_place != place)
                continue;
            snprintf(theirs + strlen(theirs), sizeof theirs - strlen(theirs), "%s%s", place > 1 ? ", " : "",
                     at->name);
            if (key_count < env->key_column_count &&
                strcasecmp(fields[env->key_columns[key_count]].name, at->name) == 0)
                same++;
            key_count++;
        }
    }
    if (same == env->key_column_count && key_count == same)
        return MR_OK;
    for (size_t i = 0; i < env->key_column_count; i++)
        snprintf(ours + strlen(ours), sizeof ours - strlen(ours), "%s%s", i > 0 ? ", " : "",
                 fields[env->key_columns[i]].name);
    return mr_fail(ret_error, MR_EINVALID, "its primary key is (%s), the dataset's is (%s)", theirs, ours);
}

static mr_err compare_rest(const column_list *columns, const mr_env *env, mr_error *ret_error)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(env->schema, &count);
    for (size_t i = 0; i < columns->count; i++) {
        const column *at = &columns->items[i];
        bool known = false;
        for (size_t f = 0; f < count && !known; f++)
            known = strcasecmp(fields[f].name, at->name) == 0;
        if (!known && at->not_null && !at->has_default && !at->generated)
            return mr_fail(ret_error, MR_EINVALID,
                           "its column %s is NOT NULL without a default, but the schema has no such field",
                           at->name);
    }
    return MR_OK;
}

static mr_err compare(sqlite_store *store, const char *table, const mr_env *env, mr_error *ret_error)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(env->schema, &count);
    column_list columns = {0};
    mr_err err = read_columns(store, table, &columns, ret_error);
    if (err == MR_OK)
        err = compare_key(&columns, env, ret_error);
    for (size_t i = 0; i < count && err == MR_OK; i++)
        err = compare_field(store, table, &columns, &fields[i], ret_error);
    if (err == MR_OK)
        err = compare_rest(&columns, env, ret_error);
    columns_fini(&columns);
    return err;
}

mr_err table_adopt(sqlite_store *store, const char *table, const mr_env *env, mr_error *ret_error)
{
    bool exists = false;
    mr_err err = find_table(store, table, &exists, ret_error);
    if (err == MR_OK)
        err = exists ? compare(store, table, env, ret_error) : create(store, table, env, ret_error);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "table %s of store %s", table, store->path);
}

static mr_err prepare_buf(sqlite_store *store, mr_buf *sql, mr_err built, sqlite3_stmt **ret_statement,
                          mr_error *ret_error)
{
    if (built == MR_OK)
        built = mr_buf_append(sql, "", 1);
    mr_err err = built == MR_OK ? store_prepare(store, sql->data, ret_statement, ret_error)
                                : mr_fail(ret_error, MR_ENOMEM, "no memory for a statement");
    mr_buf_fini(sql);
    return err;
}

static bool in_key(const mr_env *env, size_t field)
{
    for (size_t i = 0; i < env->key_column_count; i++) {
        if ((size_t)env->key_columns[i] == field)
            return true;
    }
    return false;
}

static mr_err append_updates(mr_buf *sql, const mr_env *env)
{
    size_t count, updated = 0;
    const mr_field *fields = mr_schema_fields(env->schema, &count);
    mr_err err = MR_OK;
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        if (in_key(env, i))
            continue;
        err = mr_buf_printf(sql, "%s", updated++ == 0 ? "UPDATE SET " : ", ");
        if (err == MR_OK)
            err = store_quote(sql, fields[i].name);
        if (err == MR_OK)
            err = mr_buf_printf(sql, " = ?%zu", i + 1);
    }
    return err == MR_OK && updated == 0 ? mr_buf_printf(sql, "NOTHING") : err;
}

mr_err table_prepare_upsert(sqlite_store *store, const char *table, const mr_env *env,
                            sqlite3_stmt **ret_upsert, mr_error *ret_error)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(env->schema, &count);
    mr_buf sql = {0};
    mr_err err = mr_buf_printf(&sql, "INSERT INTO ");
    if (err == MR_OK)
        err = store_quote(&sql, table);
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        err = mr_buf_printf(&sql, "%s", i == 0 ? "(" : ", ");
        if (err == MR_OK)
            err = store_quote(&sql, fields[i].name);
    }
    for (size_t i = 0; i < count && err == MR_OK; i++)
        err = mr_buf_printf(&sql, "%s?%zu", i == 0 ? ") VALUES(" : ", ", i + 1);
    if (err == MR_OK)
        err = mr_buf_printf(&sql, ") ON CONFLICT(");
    if (err == MR_OK)
        err = append_key(&sql, env, false);
    if (err == MR_OK)
        err = mr_buf_printf(&sql, ") DO ");
    if (err == MR_OK)
        err = append_updates(&sql, env);
    return prepare_buf(store, &sql, err, ret_upsert, ret_error);
}

mr_err table_prepare_delete(sqlite_store *store, const char *table, const mr_env *env,
                            sqlite3_stmt **ret_delete, mr_error *ret_error)
{
    mr_buf sql = {0};
    mr_err err = mr_buf_printf(&sql, "DELETE FROM ");
    if (err == MR_OK)
        err = store_quote(&sql, table);
    if (err == MR_OK)
        err = mr_buf_printf(&sql, " WHERE ");
    if (err == MR_OK)
        err = append_key(&sql, env, true);
    return prepare_buf(store, &sql, err, ret_delete, ret_error);
}
