/* sink_scope.h - which part of a dataset's topic a sink may deliver now. */
#ifndef MR_COORDINATOR_SINK_SCOPE_H
#define MR_COORDINATOR_SINK_SCOPE_H

#include "coordinator/service_internal.h"
#include "core/arena.h"

/* The scope lies in `arena`. `bounded`: rows are delivered only once their run has left SOURCE
 * (error_budget.h). */
mr_err mr_sink_scope(mr_service *service, const mr_tenant *tenant, const char *dataset, const char *sink,
                     bool bounded, mr_arena *arena, Mr__Proto__SinkScope **ret_scope, mr_error *ret_error);

/* Whether the sink has something to deliver. */
bool mr_sink_has_work(mr_service *service, const mr_tenant *tenant, const char *dataset, const char *sink,
                      bool bounded);

#endif
