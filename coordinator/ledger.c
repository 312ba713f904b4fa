/* ledger.c - the ledger, the state of the whole, and what a child that inspects needs to know. */
#include "coordinator/task_config.h"

#include <stdio.h>
#include <string.h>

mr_err mr_service_list_ledger(mr_service *service, const char *tenant, const char *dataset, const char *run,
                              int64_t limit, json_t **ret_view, mr_error *ret_error)
{
    mr_tenant row;
    mr_run one;
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err == MR_OK && run != NULL)
        err = mr_find_run(service, tenant, run, &one, ret_error);
    if (err != MR_OK)
        return err;
    json_t *view = json_array();
    mr_query *query = mr_db_select(
        service->db,
        "SELECT l.dataset, l.sink, r.run_id, l.read, l.filtered, l.rejected_source, l.produced, l.delivered, "
        "l.rejected,"
        " l.abandoned FROM ledger_lines l JOIN runs r USING(run_uid) WHERE r.run_uid IN (SELECT run_uid FROM "
        "runs WHERE"
        " uid = ? AND seq IS NOT NULL AND (files > 0 OR trigger = 'replay') AND (? IS NULL OR run_uid = ?) "
        "ORDER BY seq DESC LIMIT "
        "?) AND"
        " (? IS NULL OR l.dataset = ?) AND r.state <> 'CANCELLED' ORDER BY l.seq, l.dataset, l.sink",
        "tttitt", row.uid, run, run != NULL ? one.run_uid : NULL, limit, dataset, dataset);
    while (mr_query_next(query)) {
        json_int_t produced = mr_query_int(query, 6), delivered = mr_query_int(query, 7),
                   rejected = mr_query_int(query, 8), abandoned = mr_query_int(query, 9);
        json_array_append_new(
            view, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tenant", tenant,
                            "dataset", mr_query_text(query, 0), "sink", mr_query_text(query, 1), "run",
                            mr_query_text(query, 2), "read", (json_int_t)mr_query_int(query, 3), "filtered",
                            (json_int_t)mr_query_int(query, 4), "rejected_source",
                            (json_int_t)mr_query_int(query, 5), "produced", produced, "delivered", delivered,
                            "rejected_sink", rejected, "abandoned", abandoned, "in_flight",
                            produced - delivered - rejected - abandoned));
    }
    err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}

/* The topic and first sink of a dataset. */
static mr_err inspect_dataset(mr_service *service, const mr_tenant *tenant, const mr_tenant_spec *spec,
                              const char *name, mr_task_config *config, mr_error *ret_error)
{
    const mr_dataset *dataset = mr_spec_dataset(spec, name);
    if (dataset == NULL)
        return mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no dataset \"%s\"", tenant->tenant, name);
    mr_config_topic(config, service, tenant->tenant, dataset);
    mr_err err = mr_config_schema(config, service, tenant, dataset, 0, ret_error);
    if (err != MR_OK)
        return err;
    mr_config_schemas(config, service, tenant, dataset);
    mr_config_layout(config, dataset);
    mr_config_sink(config, service, &spec->agreement->sinks[0], dataset);
    return MR_OK;
}

mr_err mr_service_inspect_config(mr_service *service, const char *tenant, const char *dataset,
                                 mr_props *config, mr_error *ret_error)
{
    mr_tenant row;
    const mr_tenant_spec *spec;
    mr_task_config keys = {0};
    mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
    if (err == MR_OK)
        err = mr_load_spec(service, row.uid, row.version, &spec, ret_error);
    if (err != MR_OK)
        return err;
    mr_config_tenant(&keys, &row, dataset != NULL ? dataset : "");
    if (dataset != NULL) {
        err = inspect_dataset(service, &row, spec, dataset, &keys, ret_error);
    } else {
        mr_config_set(&keys, "bus", service->config.bus);
        mr_config_set(&keys, "bus.dir", service->config.bus_dir);
        mr_config_set(&keys, "store.dir", service->config.store_dir);
    }
    for (size_t i = 0; i < keys.count && err == MR_OK; i++) {
        err = mr_props_set(config, keys.items[i].key, keys.items[i].value);
        if (err != MR_OK)
            mr_fail(ret_error, err, "inspection: out of memory");
    }
    if (err == MR_OK && keys.failed)
        err = mr_fail(ret_error, MR_ENOMEM, "inspection: out of memory");
    mr_config_fini(&keys);
    return err == MR_OK ? mr_db_take_error(service->db, ret_error) : err;
}
