#include "connectors/registry.h"

#include "connectors/files/files_source.h"
#ifdef MR_TESTS
#include "connectors/scripted/scripted_sink.h"
#endif
#include "connectors/sqlite/sqlite_sink.h"

#include <string.h>

static const mr_source_class *const sources[] = {&mr_files_source};

static const mr_sink_class *const sinks[] = {
    &mr_sqlite_sink,
#ifdef MR_TESTS
    &mr_scripted_sink,
#endif
};

const mr_source_class *mr_source_find(const char *name)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(sources[i]->name, name) == 0)
            return sources[i];
    }
    return NULL;
}

const mr_sink_class *mr_sink_find(const char *name)
{
    for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++) {
        if (strcmp(sinks[i]->name, name) == 0)
            return sinks[i];
    }
    return NULL;
}
