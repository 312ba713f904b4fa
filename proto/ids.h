/* ids.h - names of tenants, connectors, workers and tasks. */
#ifndef MR_PROTO_IDS_H
#define MR_PROTO_IDS_H

#include "proto/millrace.pb-c.h"

#include <stdbool.h>

enum {
    MR_TENANT_ID_MAX = 63,
    MR_NAME_MAX = 200,
    MR_TASK_KEY_BYTES = MR_TENANT_ID_MAX + MR_NAME_MAX + 16, /* room for mr_task_key, NUL included */
};

/* [a-z0-9][a-z0-9_-]{0,62} */
bool mr_tenant_id_valid(const char *id);
/* Connector, worker, incarnation, run uid, ...: 1 to MR_NAME_MAX bytes of printable ASCII without blanks. */
bool mr_name_valid(const char *name);

bool mr_task_id_equal(const Mr__Proto__TaskId *a, const Mr__Proto__TaskId *b);
/* "tenant/connector/task": one text per task, for maps and logs. Returns `out`. `id` holds valid names. */
const char *mr_task_key(const Mr__Proto__TaskId *id, char out[static MR_TASK_KEY_BYTES]);

#endif
