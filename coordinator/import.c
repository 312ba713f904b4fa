/* import.c - see import.h: the walk through staging. */
#include "coordinator/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct name_list {
    char (*names)[64];
    size_t count, capacity;
    bool failed;
} name_list;

static bool add_name(void *arg, const char *name)
{
    name_list *list = arg;
    if (strlen(name) > 63 || name[0] == '.')
        return true; /* none of ours */
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        void *names = realloc(list->names, capacity * sizeof *list->names);
        if (names == NULL) {
            list->failed = true;
            return false;
        }
        list->names = names;
        list->capacity = capacity;
    }
    snprintf(list->names[list->count++], sizeof list->names[0], "%s", name);
    return true;
}

/* A folder that is missing has no names. */
static mr_err list_names(mr_service *service, const char *path, name_list *ret_list, mr_error *ret_error)
{
    *ret_list = (name_list){0};
    mr_err err = mr_staging_list(service->staging, path, add_name, ret_list, ret_error);
    if (err == MR_ENOTFOUND)
        err = MR_OK;
    if (err == MR_OK && ret_list->failed)
        err = mr_fail(ret_error, MR_ENOMEM, "staging: %s: out of memory", path);
    return err;
}

/* --- runs --- */

typedef struct found_runs {
    mr_found_run *runs;
    size_t count, capacity;
} found_runs;

static mr_err add_run(mr_service *service, found_runs *found, const char *run_uid, const char *tenant,
                      mr_error *ret_error)
{
    if (found->count == found->capacity) {
        size_t capacity = found->capacity > 0 ? found->capacity * 2 : 16;
        void *runs = realloc(found->runs, capacity * sizeof *found->runs);
        if (runs == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "import of runs: out of memory");
        found->runs = runs;
        found->capacity = capacity;
    }
    mr_found_run *run = &found->runs[found->count];
    *run = (mr_found_run){0};
    if (strlen(run_uid) == UID_BYTES - 1 && mr_import_look(service, run_uid, tenant, run))
        found->count++;
    else
        mr_import_run_fini(run);
    return mr_db_take_error(service->db, ret_error);
}

static mr_err add_folder(mr_service *service, found_runs *found, const char *path, const char *tenant,
                         mr_error *ret_error)
{
    name_list list;
    mr_err err = list_names(service, path, &list, ret_error);
    for (size_t i = 0; i < list.count && err == MR_OK; i++)
        err = add_run(service, found, list.names[i], tenant, ret_error);
    free(list.names);
    return err;
}

/* Of which tenants something was taken in. */
static mr_err note_newer(mr_name_map *newer, const name_list *tenants, const char *tenant)
{
    for (size_t i = 0; i < tenants->count; i++) {
        if (strcmp(tenants->names[i], tenant) == 0)
            return mr_name_map_put(newer, tenants->names[i], tenants->names[i]);
    }
    return MR_OK;
}

/* In claim order: a retry takes the files over from the run that failed. */
static int compare_runs(const void *a, const void *b)
{
    const mr_found_run *x = a, *y = b;
    int tenants = strcmp(x->tenant, y->tenant);
    return tenants != 0 ? tenants : x->seq < y->seq ? -1 : x->seq > y->seq;
}

static mr_err import_runs(mr_service *service, const name_list *tenants, mr_name_map *newer,
                          mr_error *ret_error)
{
    found_runs found = {0};
    char path[160];
    mr_err err = add_folder(service, &found, "runs", NULL, ret_error);
    for (size_t i = 0; i < tenants->count && err == MR_OK; i++) {
        static const char *const folders[] = {"done", "failed"};
        for (size_t j = 0; j < 2 && err == MR_OK; j++) {
            snprintf(path, sizeof path, "tenants/%s/%s", tenants->names[i], folders[j]);
            err = add_folder(service, &found, path, tenants->names[i], ret_error);
        }
    }
    if (found.count > 0)
        qsort(found.runs, found.count, sizeof *found.runs, compare_runs);
    for (size_t i = 0; i < found.count && err == MR_OK; i++) {
        err = mr_import_run(service, &found.runs[i], ret_error);
        if (err == MR_OK)
            err = note_newer(newer, tenants, found.runs[i].tenant);
    }
    for (size_t i = 0; i < found.count; i++)
        mr_import_run_fini(&found.runs[i]);
    free(found.runs);
    return err;
}

static mr_err import_gone_runs(mr_service *service, const name_list *tenants, mr_name_map *newer,
                               mr_error *ret_error)
{
    char(*uids)[UID_BYTES] = calloc(1024, sizeof *uids), path[200];
    mr_run run;
    size_t count = 0;
    mr_err err = uids != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "import of runs: out of memory");
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT run_uid FROM runs r JOIN tenants t ON t.uid = r.uid WHERE t.state ="
                     " 'ACTIVE' AND r.state IN ('CLAIMED','PROGRAM','SOURCE','DELIVERING',"
                     "'CANCELLING','ABANDONING') LIMIT 1024",
                     "");
    while (err == MR_OK && mr_query_next(query))
        snprintf(uids[count++], UID_BYTES, "%s", mr_query_text(query, 0));
    for (size_t i = 0; i < count && err == MR_OK; i++) {
        snprintf(path, sizeof path, "runs/%s", uids[i]);
        bool there = false;
        err = mr_staging_find(service->staging, path, &there, ret_error);
        if (err != MR_OK || there || !mr_load_run(service, uids[i], &run))
            continue;
        err = mr_import_gone_run(service, &run, ret_error);
        if (err == MR_OK)
            err = note_newer(newer, tenants, run.tenant);
    }
    free(uids);
    return err == MR_OK ? mr_db_take_error(service->db, ret_error) : err;
}

static mr_err execute_doubt(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error)
{
    (void)arg, (void)ret_answer, (void)ret_error;
    mr_db_run(
        db,
        "UPDATE run_datasets SET given_out = 1 WHERE state = 'OPEN' AND run_uid IN (SELECT run_uid FROM runs"
        " WHERE state IN ('SOURCE', 'CANCELLING'))",
        "");
    return MR_OK;
}

/* A source may have been given out since the copy: until it has spoken its run cannot be cancelled. */
static mr_err doubt_sources(mr_service *service, mr_error *ret_error)
{
    if (mr_db_int(
            service->db, 0,
            "SELECT EXISTS (SELECT 1 FROM run_datasets d JOIN runs r USING(run_uid) WHERE d.state = 'OPEN'"
            " AND d.given_out = 0 AND r.state IN ('SOURCE', 'CANCELLING'))",
            "") == 0)
        return mr_db_take_error(service->db, ret_error);
    return mr_apply(service, "doubt_sources", NULL, NULL, execute_doubt, NULL, NULL, ret_error);
}

/* Folders that were made for runs of which nothing is known and nothing was claimed. */
static mr_err remove_empty_runs(mr_service *service, mr_error *ret_error)
{
    name_list runs, files;
    char path[160];
    mr_run run;
    mr_err err = list_names(service, "runs", &runs, ret_error);
    for (size_t i = 0; i < runs.count && err == MR_OK; i++) {
        snprintf(path, sizeof path, "runs/%s/run.json", runs.names[i]);
        if (mr_load_run(service, runs.names[i], &run) || mr_staging_exists(service->staging, path))
            continue;
        snprintf(path, sizeof path, "runs/%s/claimed", runs.names[i]);
        err = list_names(service, path, &files, ret_error);
        snprintf(path, sizeof path, "runs/%s", runs.names[i]);
        if (err == MR_OK && files.count == 0)
            err = mr_staging_discard(service->staging, path, ret_error);
        else if (err == MR_OK)
            mr_log(MR_ERROR, "a folder of an unknown run holds files, but no run.json: left as it is",
                   MR_STR("folder", path));
        free(files.names);
    }
    free(runs.names);
    return err;
}

/* --- all --- */

static mr_err import_tenants(mr_service *service, const name_list *tenants, mr_name_map *newer,
                             mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t i = 0; i < tenants->count && err == MR_OK; i++) {
        bool changed = false;
        err = mr_import_tenant(service, tenants->names[i], &changed, ret_error);
        if (err == MR_OK && changed)
            err = note_newer(newer, tenants, tenants->names[i]);
    }
    return err;
}

/* Those of the database that have no folder: it may have been deleted since the copy, or never have had one.
 */
static mr_err add_known_tenants(mr_service *service, name_list *tenants, mr_error *ret_error)
{
    char path[100];
    mr_query *query = mr_db_select(service->db, "SELECT tenant FROM tenants WHERE state = 'ACTIVE'", "");
    while (mr_query_next(query)) {
        snprintf(path, sizeof path, "tenants/%s", mr_query_text(query, 0));
        if (!mr_staging_exists(service->staging, path))
            add_name(tenants, mr_query_text(query, 0));
    }
    return mr_db_take_error(service->db, ret_error);
}

static mr_err import_uploads(mr_service *service, const name_list *tenants, const mr_name_map *newer,
                             mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (size_t i = 0; i < tenants->count && err == MR_OK; i++) {
        mr_tenant tenant;
        if (mr_load_tenant(service, tenants->names[i], &tenant) && strcmp(tenant.state, "ACTIVE") == 0)
            err = mr_import_uploads(service, &tenant, mr_name_map_get(newer, tenants->names[i]) != NULL,
                                    ret_error);
    }
    return err;
}

mr_err mr_import_staging(mr_service *service, mr_error *ret_error)
{
    name_list tenants;
    mr_name_map newer = {0}; /* tenants of which something was taken in */
    mr_err err = list_names(service, "tenants", &tenants, ret_error);
    if (err == MR_OK)
        err = add_known_tenants(service, &tenants, ret_error);
    if (err == MR_OK)
        err = import_tenants(service, &tenants, &newer, ret_error);
    if (err == MR_OK)
        err = import_runs(service, &tenants, &newer, ret_error);
    if (err == MR_OK)
        err = import_gone_runs(service, &tenants, &newer, ret_error);
    if (err == MR_OK)
        err = remove_empty_runs(service, ret_error);
    if (err == MR_OK)
        err = doubt_sources(service, ret_error);
    if (err == MR_OK)
        err = import_uploads(service, &tenants, &newer, ret_error);
    if (err == MR_OK && newer.count > 0)
        mr_log(MR_WARN,
               "staging is newer than coordinator.db: it was restored from an old copy, and what it does not "
               "know was taken in",
               MR_INT("tenants", (int64_t)newer.count));
    mr_name_map_fini(&newer);
    free(tenants.names);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "taking in what staging holds");
}
