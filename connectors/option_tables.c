#include "connectors/option_tables.h"

#ifdef MR_TESTS
#include "connectors/scripted/options.h"
#endif

#include <string.h>

const mr_connector_options mr_connector_tables[] = {
    {"files", MR_CONNECTOR_SOURCE, "Rows of CSV files that a manifest lists", mr_files_source_options},
    {"sqlite", MR_CONNECTOR_SINK, "Upserts into a table of an SQLite file", mr_sqlite_sink_options},
#ifdef MR_TESTS
    {"scripted", MR_CONNECTOR_SINK, "Verdicts by a script, for tests", mr_scripted_sink_options},
#endif
    {0},
};

const mr_option *mr_connector_options_find(const char *class_name, mr_connector_kind kind)
{
    for (const mr_connector_options *row = mr_connector_tables; row->class_name != NULL; row++) {
        if (row->kind == kind && strcmp(row->class_name, class_name) == 0)
            return row->options;
    }
    return NULL;
}
