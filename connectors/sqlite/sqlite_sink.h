/* sqlite_sink.h - upserts into a table of an SQLite file that keeps the positions, too. See README.md in
 * connectors/. */
#ifndef MR_CONNECTORS_SQLITE_SQLITE_SINK_H
#define MR_CONNECTORS_SQLITE_SQLITE_SINK_H

#include "connectors/sink.h"

extern const mr_sink_class mr_sqlite_sink;

#endif
