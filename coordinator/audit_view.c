/* audit_view.c - the audit trail as it is answered: newest first. */
#include "coordinator/service_internal.h"

#define SQL_AUDIT "SELECT id, at_ms, who, peer, tenant, what, subject, before, after FROM audit "
#define SQL_PAGE  " AND id < ? ORDER BY id DESC LIMIT ?"

static json_t *json_of(mr_query *query, int column)
{
    json_t *value =
        mr_query_null(query, column) ? NULL : json_loads(mr_query_text(query, column), JSON_DECODE_ANY, NULL);
    return value != NULL ? value : json_null();
}

static json_t *entry_view(mr_query *query)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "id",
                     (json_int_t)mr_query_int(query, 0), "at", mr_json_time(mr_query_int(query, 1)), "who",
                     mr_json_text(mr_query_text(query, 2)), "from", mr_json_text(mr_query_text(query, 3)),
                     "tenant", mr_json_text(mr_query_text(query, 4)), "what", mr_query_text(query, 5),
                     "subject", mr_json_text(mr_query_text(query, 6)), "before", json_of(query, 7), "after",
                     json_of(query, 8));
}

/* Each filter has its index. */
static mr_query *select_entries(mr_db *db, const char *tenant, const char *what, int64_t before_id,
                                int64_t limit)
{
    if (tenant != NULL)
        return mr_db_select(db, SQL_AUDIT "WHERE tenant = ? AND what = coalesce(?, what)" SQL_PAGE, "ttii",
                            tenant, what, before_id, limit);
    if (what != NULL)
        return mr_db_select(db, SQL_AUDIT "WHERE what = ?" SQL_PAGE, "tii", what, before_id, limit);
    return mr_db_select(db, SQL_AUDIT "WHERE true" SQL_PAGE, "ii", before_id, limit);
}

mr_err mr_service_list_audit(mr_service *service, const char *tenant, const char *what, int64_t before_id,
                             int64_t limit, json_t **ret_view, mr_error *ret_error)
{
    mr_tenant row;
    if (tenant != NULL &&
        mr_db_int(service->db, 0, "SELECT 1 FROM audit WHERE tenant = ? LIMIT 1", "t", tenant) == 0) {
        mr_err err = mr_find_tenant(service, tenant, &row, ret_error);
        if (err != MR_OK)
            return err;
    }
    json_t *view = json_array();
    mr_query *query = select_entries(service->db, tenant, what, before_id, limit);
    while (mr_query_next(query))
        json_array_append_new(view, entry_view(query));
    mr_err err = mr_db_take_error(service->db, ret_error);
    if (err != MR_OK)
        json_decref(view);
    else
        *ret_view = view;
    return err;
}
