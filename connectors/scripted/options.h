/* options.h - options of the scripted sink, which exists in test builds only. */
#ifndef MR_CONNECTORS_SCRIPTED_OPTIONS_H
#define MR_CONNECTORS_SCRIPTED_OPTIONS_H

#include "core/options.h"

extern const mr_option mr_scripted_sink_options[];

#endif
