#include "proto/ids.h"

#include <stdio.h>
#include <string.h>

static bool tenant_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool mr_tenant_id_valid(const char *id)
{
    if (!tenant_start(id[0]))
        return false;
    size_t size = 1;
    while (tenant_start(id[size]) || id[size] == '_' || id[size] == '-')
        size++;
    return id[size] == '\0' && size <= MR_TENANT_ID_MAX;
}

bool mr_name_valid(const char *name)
{
    size_t size = 0;
    while (name[size] > ' ' && name[size] < 0x7f)
        size++;
    return name[size] == '\0' && size >= 1 && size <= MR_NAME_MAX;
}

bool mr_task_id_equal(const Mr__Proto__TaskId *a, const Mr__Proto__TaskId *b)
{
    return a->task == b->task && strcmp(a->tenant, b->tenant) == 0 && strcmp(a->connector, b->connector) == 0;
}

const char *mr_task_key(const Mr__Proto__TaskId *id, char out[static MR_TASK_KEY_BYTES])
{
    snprintf(out, MR_TASK_KEY_BYTES, "%s/%s/%d", id->tenant, id->connector, id->task);
    return out;
}
