/* inspect_query.c - read-only SQL over the stores of one tenant, streamed.
 *
 * The SQL is a stranger's: every store is attached mode=ro, an authorizer lets only reads through, and time
 * and memory are bounded. The first line is {"columns": [...]}, then one JSON array a row, at last {"rows":
 * N} or {"error": "..."}.
 */
#include "core/text_value.h"
#include "proto/ids.h"
#include "task/clock.h"
#include "task/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

const mr_option inspect_query_keys[] = {
    {.name = "store.dir", .type = MR_OPTION_TEXT, .required = true, .help = "Folder of the stores."},
    {.name = "tenant", .type = MR_OPTION_TEXT, .required = true, .help = "Id of the tenant."},
    {.name = "sql", .type = MR_OPTION_TEXT, .required = true, .help = "One statement that only reads."},
    {.name = "deadline.ms",
     .type = MR_OPTION_INTEGER,
     .default_value = "30000",
     .minimum = 1,
     .maximum = 86400000,
     .help = "Milliseconds after which the query is ended."},
    {.name = "memory.bytes",
     .type = MR_OPTION_INTEGER,
     .default_value = "67108864",
     .minimum = 1048576,
     .maximum = INT64_MAX,
     .help = "Memory in bytes that the query may use."},
    {0},
};

/* SQLite's own bound is 10 unless compiled otherwise; it is asked for as many as it allows. */
enum { ATTACHED_MAX = 125, STEPS_BETWEEN_CHECKS = 1000, NAME_BYTES = 256 };

typedef struct query {
    sqlite3 *db;
    sqlite3_stmt *statement;
    int64_t deadline; /* clock_ms */
    bool late;
    FILE *out;
    int64_t rows;
} query;

static int on_progress(void *arg)
{
    query *self = arg;
    self->late = clock_ms() >= self->deadline;
    return self->late;
}

static bool function_allowed(const char *name)
{
    static const char *const refused[] = {"load_extension", "readfile", "writefile", "edit",
                                          "fts3_tokenizer"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (name != NULL && sqlite3_stricmp(name, refused[i]) == 0)
            return false;
    return true;
}

static int on_action(void *arg, int action, const char *first, const char *second, const char *schema,
                     const char *by)
{
    (void)arg;
    (void)first;
    (void)schema;
    (void)by;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return function_allowed(second) ? SQLITE_OK : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

static mr_err fail(query *self, int code, const char *doing, mr_error *ret_error)
{
    if (self->late)
        return mr_fail(ret_error, MR_ETIMEDOUT, "the query took longer than its deadline allows");
    if (code == SQLITE_NOMEM)
        return mr_fail(ret_error, MR_ETOOLARGE, "the query needs more memory than it may use");
    if (code == SQLITE_AUTH)
        return mr_fail(ret_error, MR_EREFUSED, "only statements that read are allowed: %s",
                       sqlite3_errmsg(self->db));
    return mr_fail(ret_error, MR_EINVALID, "%s: %s", doing, sqlite3_errmsg(self->db));
}

/* A path as a URI that opens read-only; NULL when memory is short. */
static char *read_only_uri(const char *path)
{
    mr_buf uri = {0};
    mr_err err = mr_buf_printf(&uri, "file:");
    for (const char *at = path; err == MR_OK && *at != '\0'; at++)
        err = strchr("%?#", *at) == NULL ? mr_buf_append(&uri, at, 1)
                                         : mr_buf_printf(&uri, "%%%02X", (unsigned)*at);
    if (err == MR_OK)
        err = mr_buf_append(&uri, "?mode=ro", sizeof "?mode=ro");
    if (err != MR_OK)
        mr_buf_fini(&uri);
    return uri.data;
}

static mr_err attach(query *self, const char *folder, const char *file, mr_error *ret_error)
{
    char path[4096], name[NAME_BYTES];
    sqlite3_stmt *statement = NULL;
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
        return mr_fail(ret_error, MR_ETOOLARGE, "store.dir: %s is too long a path", folder);
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - 3), file);
    char *uri = read_only_uri(path);
    if (uri == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    int code = sqlite3_prepare_v2(self->db, "ATTACH DATABASE ?1 AS ?2", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, uri, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    mr_err err = code == SQLITE_DONE ? MR_OK : fail(self, code, path, ret_error);
    sqlite3_finalize(statement);
    free(uri);
    return err;
}

static bool is_store(const char *file)
{
    size_t size = strlen(file);
    return size > 3 && size < NAME_BYTES && file[0] != '.' && strcmp(file + size - 3, ".db") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int only_stores(const struct dirent *entry)
{
    return is_store(entry->d_name);
}

/* Sorted, so that an unqualified name always means the same table. */
static mr_err attach_all(query *self, const mr_props *config, mr_error *ret_error)
{
    char folder[4096];
    struct dirent **entries = NULL;
    snprintf(folder, sizeof folder, "%s/%s", mr_props_get(config, "store.dir"),
             mr_props_get(config, "tenant"));
    int count = scandir(folder, &entries, only_stores, by_name);
    mr_err err = MR_OK;
    if (count < 0 && errno != ENOENT)
        err = mr_fail_errno(ret_error, errno, "%s", folder);
    for (int i = 0; i < count; i++) {
        if (err == MR_OK)
            err = attach(self, folder, entries[i]->d_name, ret_error);
        free(entries[i]);
    }
    free(entries);
    return err;
}

static mr_err open_database(query *self, const mr_props *config, mr_error *ret_error)
{
    int code = sqlite3_open_v2(":memory:", &self->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail(self, code, "open", ret_error);
    sqlite3_hard_heap_limit64(mr_option_integer(inspect_query_keys, config, "memory.bytes"));
    sqlite3_limit(self->db, SQLITE_LIMIT_ATTACHED, ATTACHED_MAX);
    sqlite3_busy_timeout(self->db, 5000);
    mr_err err = attach_all(self, config, ret_error);
    if (err != MR_OK)
        return err;
    code = sqlite3_exec(self->db, "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA query_only=ON",
                        NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return fail(self, code, "open", ret_error);
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(self->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_set_authorizer(self->db, on_action, self);
    sqlite3_progress_handler(self->db, STEPS_BETWEEN_CHECKS, on_progress, self);
    return MR_OK;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n;")] == '\0';
}

static mr_err prepare(query *self, const char *sql, mr_error *ret_error)
{
    const char *rest = "";
    int code = sqlite3_prepare_v2(self->db, sql, -1, &self->statement, &rest);
    if (code != SQLITE_OK)
        return fail(self, code, "the query cannot be run", ret_error);
    if (self->statement == NULL)
        return mr_fail(ret_error, MR_EINVALID, "the query is empty");
    if (!is_blank(rest))
        return mr_fail(ret_error, MR_EINVALID,
                       "only one statement can be run: \"%.60s\" comes after the first", rest);
    if (!sqlite3_stmt_readonly(self->statement))
        return mr_fail(ret_error, MR_EREFUSED, "only statements that read are allowed");
    return MR_OK;
}

static json_t *text_or_hex(const unsigned char *bytes, int size)
{
    mr_slice text = {bytes == NULL ? "" : (const char *)bytes, (size_t)size};
    if (mr_utf8_valid(text))
        return json_stringn(text.data, text.size);
    char *hex = malloc((size_t)size * 2 + 3);
    if (hex == NULL)
        return json_null();
    strcpy(hex, "0x");
    for (int i = 0; i < size; i++)
        snprintf(hex + 2 + i * 2, 3, "%02x", bytes[i]);
    json_t *json = json_string(hex);
    free(hex);
    return json;
}

static json_t *column_json(sqlite3_stmt *statement, int column)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
        if (isinf(sqlite3_column_double(statement, column)))
            return json_string(sqlite3_column_double(statement, column) > 0 ? "Infinity" : "-Infinity");
        return json_real(sqlite3_column_double(statement, column));
    case SQLITE_NULL:
        return json_null();
    case SQLITE_TEXT:
        return text_or_hex(sqlite3_column_text(statement, column), sqlite3_column_bytes(statement, column));
    default:
        return text_or_hex(sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
    }
}

/* Prints and drops. */
static mr_err print_line(query *self, json_t *json, mr_error *ret_error)
{
    int written = json == NULL ? -1 : json_dumpf(json, self->out, JSON_COMPACT);
    json_decref(json);
    if (written != 0 || putc('\n', self->out) == EOF)
        return mr_fail(ret_error, MR_EIO, "the output cannot be written");
    return MR_OK;
}

static mr_err print_columns(query *self, mr_error *ret_error)
{
    json_t *columns = json_array();
    for (int i = 0; i < sqlite3_column_count(self->statement); i++)
        json_array_append_new(columns, json_string(sqlite3_column_name(self->statement, i)));
    return print_line(self, json_pack("{s:o}", "columns", columns), ret_error);
}

static mr_err print_row(query *self, mr_error *ret_error)
{
    json_t *row = json_array();
    for (int i = 0; i < sqlite3_column_count(self->statement); i++)
        json_array_append_new(row, column_json(self->statement, i));
    self->rows++;
    return print_line(self, row, ret_error);
}

static mr_err print_rows(query *self, mr_error *ret_error)
{
    for (;;) {
        int code = sqlite3_step(self->statement);
        if (code == SQLITE_DONE)
            return MR_OK;
        if (code != SQLITE_ROW)
            return fail(self, code, "the query failed", ret_error);
        mr_err err = print_row(self, ret_error);
        if (err != MR_OK)
            return err;
    }
}

static mr_err run(query *self, const mr_props *config, mr_error *ret_error)
{
    if (!mr_tenant_id_valid(mr_props_get(config, "tenant")))
        return mr_fail(ret_error, MR_EINVALID, "tenant: \"%s\" is not a tenant id",
                       mr_props_get(config, "tenant"));
    mr_err err = open_database(self, config, ret_error);
    if (err == MR_OK)
        err = prepare(self, mr_props_get(config, "sql"), ret_error);
    if (err == MR_OK)
        err = print_columns(self, ret_error);
    return err == MR_OK ? print_rows(self, ret_error) : err;
}

mr_err inspect_query(const mr_props *config, FILE *out, mr_error *ret_error)
{
    mr_error error;
    query self = {
        .out = out,
        .deadline = clock_ms() + mr_option_integer(inspect_query_keys, config, "deadline.ms"),
    };
    mr_err err = run(&self, config, &error);
    sqlite3_finalize(self.statement);
    sqlite3_close(self.db);
    sqlite3_hard_heap_limit64(0);
    if (err == MR_OK)
        return print_line(&self, json_pack("{s:I}", "rows", (json_int_t)self.rows), ret_error);
    if (ret_error != NULL)
        *ret_error = error;
    (void)print_line(&self, json_pack("{s:s}", "error", error.text), NULL);
    return err;
}
