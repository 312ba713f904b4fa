/* sink_scope.c - see sink_scope.h. */
#include "coordinator/sink_scope.h"

#include <string.h>

enum { ENTRIES = 4096 }; /* of each list: bounded by what a packet to a task may hold */

typedef struct scope_lists {
    mr_arena *arena;
    Mr__Proto__SinkScope *scope;
    bool failed;
} scope_lists;

static void *allocate(scope_lists *lists, size_t size)
{
    void *memory = mr_arena_alloc(lists->arena, size);
    if (memory == NULL)
        lists->failed = true;
    else
        memset(memory, 0, size);
    return memory;
}

static void add_skip(scope_lists *lists, int64_t partition, int64_t first, int64_t end)
{
    Mr__Proto__SinkScope__Skip *skip = allocate(lists, sizeof *skip);
    if (skip == NULL || lists->scope->n_skips == ENTRIES)
        return;
    mr__proto__sink_scope__skip__init(skip);
    skip->partition = (int32_t)partition;
    skip->first = first;
    skip->end = end;
    lists->scope->skips[lists->scope->n_skips++] = skip;
}

/* Where the sink began; what lies before is not its own, also when a former sink of that name left a position
 * there. */
static void add_starts(mr_service *service, scope_lists *lists, const mr_tenant *tenant, const char *dataset,
                       const char *sink)
{
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM sinks,"
                     " json_each(sinks.starts) WHERE uid = ? AND dataset = ? AND sink = ? ORDER BY 1 LIMIT ?",
                     "ttti", tenant->uid, dataset, sink, (int64_t)ENTRIES);
    while (mr_query_next(query)) {
        Mr__Proto__SinkScope__Start *start = allocate(lists, sizeof *start);
        if (start == NULL)
            continue;
        mr__proto__sink_scope__start__init(start);
        start->partition = (int32_t)mr_query_int(query, 0);
        start->offset = mr_query_int(query, 1);
        lists->scope->starts[lists->scope->n_starts++] = start;
        if (start->offset > 0)
            add_skip(lists, start->partition, 0, start->offset);
    }
}

static void add_skips(mr_service *service, scope_lists *lists, const mr_tenant *tenant, const char *dataset,
                      const char *sink)
{
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT g.partition, g.first, g.end FROM run_sinks s JOIN run_ranges g USING(run_uid,"
                     " dataset) WHERE s.uid = ? AND s.dataset = ? AND s.sink = ? AND " SQL_SINK_IS(
                         "SKIPPING") " AND g.first < g.end ORDER BY s.seq, g.partition",
                     "ttt", tenant->uid, dataset, sink);
    while (mr_query_next(query))
        add_skip(lists, mr_query_int(query, 0), mr_query_int(query, 1), mr_query_int(query, 2));
}

/* Up to the end of all ended runs, except where the active run has ended this dataset but not yet left
 * SOURCE. */
static void add_ceilings(mr_service *service, scope_lists *lists, const mr_tenant *tenant,
                         const char *dataset)
{
    mr_query *query =
        mr_db_select(service->db,
                     "SELECT e.partition, min(e.end, coalesce((SELECT min(g.first) FROM runs r JOIN"
                     " run_ranges g USING(run_uid) WHERE r.uid = e.uid AND r.state IN " SQL_ACTIVE
                     " AND g.dataset = e.dataset AND g.partition = e.partition), e.end)) FROM ends e WHERE"
                     " e.uid = ? AND e.dataset = ? ORDER BY 1 LIMIT ?",
                     "tti", tenant->uid, dataset, (int64_t)ENTRIES);
    while (mr_query_next(query)) {
        Mr__Proto__SinkScope__Ceiling *ceiling = allocate(lists, sizeof *ceiling);
        if (ceiling == NULL)
            continue;
        mr__proto__sink_scope__ceiling__init(ceiling);
        ceiling->partition = (int32_t)mr_query_int(query, 0);
        ceiling->offset = mr_query_int(query, 1);
        lists->scope->ceilings[lists->scope->n_ceilings++] = ceiling;
    }
    lists->scope->ceiling_all = 1;
}

mr_err mr_sink_scope(mr_service *service, const mr_tenant *tenant, const char *dataset, const char *sink,
                     bool bounded, mr_arena *arena, Mr__Proto__SinkScope **ret_scope, mr_error *ret_error)
{
    scope_lists lists = {.arena = arena};
    lists.scope = allocate(&lists, sizeof *lists.scope);
    if (lists.scope == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "scope of a sink: out of memory");
    mr__proto__sink_scope__init(lists.scope);
    lists.scope->skips = allocate(&lists, ENTRIES * sizeof *lists.scope->skips);
    lists.scope->starts = allocate(&lists, ENTRIES * sizeof *lists.scope->starts);
    lists.scope->ceilings = allocate(&lists, ENTRIES * sizeof *lists.scope->ceilings);
    if (lists.failed)
        return mr_fail(ret_error, MR_ENOMEM, "scope of a sink: out of memory");
    add_starts(service, &lists, tenant, dataset, sink);
    add_skips(service, &lists, tenant, dataset, sink);
    if (bounded)
        add_ceilings(service, &lists, tenant, dataset);
    /* Counts are kept by the sink until result.json has them: it is written before a run becomes final. */
    lists.scope->oldest_open_run = mr_db_int(
        service->db, 0,
        "SELECT min(coalesce((SELECT min(seq) FROM run_sinks WHERE uid = ?1 AND dataset = ?2 AND sink = ?3 "
        "AND"
        " state <> 'FINAL'), t.next_seq), coalesce((SELECT min(seq) FROM runs WHERE uid = ?1 AND state NOT IN"
        " " SQL_FINAL "), t.next_seq)) FROM tenants t WHERE t.uid = ?1",
        "ttt", tenant->uid, dataset, sink);
    if (lists.failed)
        return mr_fail(ret_error, MR_ENOMEM, "scope of a sink: out of memory");
    *ret_scope = lists.scope;
    return mr_db_take_error(service->db, ret_error);
}

bool mr_sink_has_work(mr_service *service, const mr_tenant *tenant, const char *dataset, const char *sink,
                      bool bounded)
{
    return mr_db_int(
               service->db, 0,
               "SELECT EXISTS (SELECT 1 FROM run_sinks s JOIN runs r USING(run_uid) JOIN run_datasets d"
               " USING(run_uid, dataset) WHERE s.uid = ? AND s.dataset = ? AND s.sink = ? AND " SQL_SINK_IS(
                   "OPEN") " AND (r.state = 'DELIVERING' OR (r.state = 'SOURCE' AND NOT ?)) AND d.produced > "
                           "0 AND"
                           " (d.state = 'OPEN' OR EXISTS " SQL_NOT_PASSED "))",
               "ttti", tenant->uid, dataset, sink, (int64_t)bounded) != 0;
}
