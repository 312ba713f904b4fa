/* option_tables.h - the options of every connector class, apart from the code that moves data, so that the
 * coordinator can check a configuration without linking a connector. */
#ifndef MR_CONNECTORS_OPTION_TABLES_H
#define MR_CONNECTORS_OPTION_TABLES_H

#include "core/options.h"

typedef enum mr_connector_kind { MR_CONNECTOR_SOURCE, MR_CONNECTOR_SINK } mr_connector_kind;

typedef struct mr_connector_options {
    const char *class_name;
    mr_connector_kind kind;
    const char *summary; /* one line */
    const mr_option *options;
} mr_connector_options;

extern const mr_option mr_files_source_options[];
extern const mr_option mr_sqlite_sink_options[];

/* All classes; ends with class_name NULL. */
extern const mr_connector_options mr_connector_tables[];
const mr_option *mr_connector_options_find(const char *class_name, mr_connector_kind kind);

#endif
