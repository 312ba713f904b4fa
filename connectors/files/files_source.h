/* files_source.h - rows of the CSV or NDJSON files that a manifest lists; bounded. See README.md in
 * connectors/. */
#ifndef MR_CONNECTORS_FILES_FILES_SOURCE_H
#define MR_CONNECTORS_FILES_FILES_SOURCE_H

#include "connectors/source.h"

extern const mr_source_class mr_files_source;

#endif
