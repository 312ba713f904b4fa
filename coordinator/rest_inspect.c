/* rest_inspect.c - query and rejected rows: what a child is told to look at. */
#include "coordinator/rest_handlers.h"
#include "coordinator/rest_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SQL_BYTES = 64 * 1024, DEFAULT_REJECTED = 100, MAX_REJECTED = 100000 };

/* --- query --- */

/* The statement of {"sql": "..."}; owned by *ret_body. */
static const char *read_sql(mr_request *request, json_t **ret_body)
{
    json_error_t problem;
    *ret_body = json_loadb(request->body.data == NULL ? "" : request->body.data, request->body.size,
                           JSON_REJECT_DUPLICATES, &problem);
    if (*ret_body == NULL) {
        mr_request_error(request, 400, "body: line %d, column %d: %s", problem.line, problem.column,
                         problem.text);
        return NULL;
    }
    json_t *sql = json_object_get(*ret_body, "sql");
    if (!json_is_string(sql) || json_object_size(*ret_body) != 1)
        mr_request_error(request, 400, "body: {\"sql\": \"SELECT ...\"} is expected");
    else if (json_string_length(sql) > SQL_BYTES)
        mr_request_error(request, 413, "sql: longer than 64 KiB");
    else
        return json_string_value(sql);
    return NULL;
}

static mr_err set_number(mr_props *config, const char *key, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return mr_props_set(config, key, text);
}

static mr_err query_config(mr_request *request, const char *sql, mr_props *config, mr_error *ret_error)
{
    mr_err err = mr_service_inspect_config(request->service, request->tenant, NULL, config, ret_error);
    if (err != MR_OK)
        return err;
    if (mr_props_set(config, "sql", sql) != MR_OK ||
        mr_props_set(config, "store.dir", mr_service_config_of(request->service)->store_dir) != MR_OK ||
        set_number(config, "deadline.ms", MR_LOOK_DEADLINE_MS) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    return MR_OK;
}

void mr_handle_query(mr_request *request)
{
    json_t *body;
    const char *sql = read_sql(request, &body);
    mr_props *config = NULL;
    mr_error error;
    if (sql != NULL && mr_props_open(&config) != MR_OK)
        mr_request_error(request, 500, "out of memory");
    else if (sql != NULL && query_config(request, sql, config, &error) != MR_OK)
        mr_request_fail(request, &error);
    else if (sql != NULL)
        mr_look_at(request, MR_LOOK_LINES, "query", config);
    mr_props_close(&config);
    json_decref(body);
}

/* --- rejected rows --- */

/* JSON array of the topics of one dataset, or of all (`dataset` NULL). MR_ENOTFOUND. */
static mr_err topics_of(mr_request *request, const char *dataset, char **ret_topics, mr_error *ret_error)
{
    const mr_tenant_spec *spec;
    mr_err err = mr_service_tenant_spec(request->service, request->tenant, &spec, ret_error);
    if (err != MR_OK)
        return err;
    json_t *topics = json_array();
    for (size_t i = 0; i < spec->dataset_count; i++)
        if (dataset == NULL || strcmp(dataset, spec->datasets[i]->name) == 0)
            json_array_append_new(topics, json_sprintf("%s.%s", request->tenant, spec->datasets[i]->name));
    const bool found = json_array_size(topics) > 0;
    *ret_topics = json_dumps(topics, JSON_COMPACT);
    json_decref(topics);
    if (*ret_topics == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (found)
        return MR_OK;
    free(*ret_topics);
    *ret_topics = NULL;
    return mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no dataset \"%.100s\"", request->tenant, dataset);
}

static mr_err rejected_config(mr_request *request, const char *dataset, int64_t from, int64_t limit,
                              mr_props *config, mr_error *ret_error)
{
    char *topics = NULL;
    mr_err err = topics_of(request, dataset, &topics, ret_error);
    if (err == MR_OK)
        err = mr_service_inspect_config(request->service, request->tenant, NULL, config, ret_error);
    if (err == MR_OK &&
        (mr_props_set(config, "topics", topics) != MR_OK || set_number(config, "from", from) != MR_OK ||
         set_number(config, "limit", limit) != MR_OK))
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    free(topics);
    return err;
}

static void look_at_rejected(mr_request *request, mr_look_shape shape, const char *dataset, int64_t from,
                             int64_t limit)
{
    mr_props *config = NULL;
    mr_error error;
    if (mr_props_open(&config) != MR_OK)
        mr_request_error(request, 500, "out of memory");
    else if (rejected_config(request, dataset, from, limit, config, &error) != MR_OK)
        mr_request_fail(request, &error);
    else
        mr_look_at(request, shape, "rejected", config);
    mr_props_close(&config);
}

void mr_handle_list_rejected(mr_request *request)
{
    bool ok = true;
    const int64_t limit = mr_request_number(request, "limit", 1, MAX_REJECTED, DEFAULT_REJECTED, &ok);
    const int64_t from = mr_request_number(request, "from", 0, INT64_MAX, 0, &ok);
    if (ok)
        look_at_rejected(request, MR_LOOK_ARRAY, mr_request_query(request, "dataset"), from, limit);
}

/* The dataset of "{tenant}.{dataset}", with or without ".rejected"; a bare dataset is taken as well. */
static void dataset_of_topic(const mr_request *request, char ret_dataset[MR_ROUTE_PARAMETER_BYTES])
{
    const char *topic = request->match.parameters[1];
    const size_t tenant = strlen(request->tenant);
    if (strncmp(topic, request->tenant, tenant) == 0 && topic[tenant] == '.')
        topic += tenant + 1;
    snprintf(ret_dataset, MR_ROUTE_PARAMETER_BYTES, "%s", topic);
    static const char suffix[] = ".rejected";
    const size_t size = strlen(ret_dataset);
    if (size > sizeof suffix - 1 && strcmp(ret_dataset + size - (sizeof suffix - 1), suffix) == 0)
        ret_dataset[size - (sizeof suffix - 1)] = '\0';
}

void mr_handle_show_rejected(mr_request *request)
{
    char dataset[MR_ROUTE_PARAMETER_BYTES];
    dataset_of_topic(request, dataset);
    const char *text = request->match.parameters[2];
    char *end;
    errno = 0;
    const int64_t offset = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || offset < 0)
        mr_request_error(request, 400, "\"%.40s\" is not an offset", text);
    else
        look_at_rejected(request, MR_LOOK_ONE, dataset, offset, 1);
}

/* --- download --- */

/* The dataset that is asked for, or the only one. */
static mr_err find_dataset(mr_request *request, const mr_dataset **ret_dataset, mr_error *ret_error)
{
    const mr_tenant_spec *spec;
    const char *name = mr_request_query(request, "dataset");
    mr_err err = mr_service_tenant_spec(request->service, request->tenant, &spec, ret_error);
    if (err != MR_OK)
        return err;
    if (name == NULL && spec->dataset_count > 1)
        return mr_fail(ret_error, MR_EINVALID, "tenant %s has several datasets: ?dataset= says which",
                       request->tenant);
    for (size_t i = 0; i < spec->dataset_count; i++) {
        if (name != NULL && strcmp(name, spec->datasets[i]->name) != 0)
            continue;
        if (strcmp(spec->datasets[i]->file_type, "csv") != 0)
            return mr_fail(ret_error, MR_EREFUSED,
                           "dataset %s is %s, whose rows are not those of a CSV file: see them in "
                           "/tenants/%s/rejected",
                           spec->datasets[i]->name, spec->datasets[i]->file_type, request->tenant);
        *ret_dataset = spec->datasets[i];
        return MR_OK;
    }
    return mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no dataset \"%.100s\"", request->tenant, name);
}

static mr_err download_config(mr_request *request, mr_props *config, mr_error *ret_error)
{
    const mr_dataset *dataset = NULL;
    const char *run = mr_request_query(request, "run");
    char run_uid[64];
    mr_err err = find_dataset(request, &dataset, ret_error);
    if (err == MR_OK)
        err = mr_service_inspect_config(request->service, request->tenant, dataset->name, config, ret_error);
    if (err == MR_OK && run != NULL)
        err = mr_service_run_uid(request->service, request->tenant, run, run_uid, sizeof run_uid, ret_error);
    if (err == MR_OK && run != NULL && mr_props_set(config, "run", run_uid) != MR_OK)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    return err;
}

void mr_handle_download_rejected(mr_request *request)
{
    mr_props *config = NULL;
    mr_error error;
    if (mr_props_open(&config) != MR_OK)
        mr_request_error(request, 500, "out of memory");
    else if (download_config(request, config, &error) != MR_OK)
        mr_request_fail(request, &error);
    else
        mr_look_at(request, MR_LOOK_CSV, "rejected-csv", config);
    mr_props_close(&config);
}
