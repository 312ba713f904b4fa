/* scripted_sink.h - answers what a script says, so that tests see every verdict in every order. See README.md
 * in connectors/. */
#ifndef MR_CONNECTORS_SCRIPTED_SCRIPTED_SINK_H
#define MR_CONNECTORS_SCRIPTED_SCRIPTED_SINK_H

#include "connectors/sink.h"

extern const mr_sink_class mr_scripted_sink;

#endif
