#include "task/scope.h"

int64_t scope_ceiling(const Mr__Proto__SinkScope *scope, int32_t partition)
{
    for (size_t i = 0; scope != NULL && i < scope->n_ceilings; i++)
        if (scope->ceilings[i]->partition == partition)
            return scope->ceilings[i]->offset;
    return scope != NULL && scope->ceiling_all ? 0 : INT64_MAX;
}

bool scope_skips(const Mr__Proto__SinkScope *scope, int32_t partition, int64_t offset)
{
    for (size_t i = 0; scope != NULL && i < scope->n_skips; i++) {
        const Mr__Proto__SinkScope__Skip *skip = scope->skips[i];
        if (skip->partition == partition && offset >= skip->first && offset < skip->end)
            return true;
    }
    return false;
}

int64_t scope_start(const Mr__Proto__SinkScope *scope, int32_t partition)
{
    for (size_t i = 0; scope != NULL && i < scope->n_starts; i++)
        if (scope->starts[i]->partition == partition)
            return scope->starts[i]->offset;
    return -1;
}

int64_t scope_oldest_open_run(const Mr__Proto__SinkScope *scope)
{
    return scope == NULL ? 0 : scope->oldest_open_run;
}
