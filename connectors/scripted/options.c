#include "connectors/scripted/options.h"

const mr_option mr_scripted_sink_options[] = {
    {.name = "script",
     .type = MR_OPTION_TEXT,
     .required = true,
     .help = "JSON file with the rules that give the verdicts."},
    {.name = "scripted.output",
     .type = MR_OPTION_TEXT,
     .required = true,
     .help = "File to which each stored record is appended as a line of JSON."},
    {0},
};
