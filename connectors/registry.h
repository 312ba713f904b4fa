/* registry.h - connector classes by name. registry.c links their code (task only); options.c only their
 * tables. */
#ifndef MR_CONNECTORS_REGISTRY_H
#define MR_CONNECTORS_REGISTRY_H

#include "connectors/sink.h"
#include "connectors/source.h"

const mr_source_class *mr_source_find(const char *name); /* NULL: no such class */
const mr_sink_class *mr_sink_find(const char *name);

#endif
