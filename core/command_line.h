/* command_line.h - options of a server from its command line and a properties file, by one option table. */
#ifndef MR_CORE_COMMAND_LINE_H
#define MR_CORE_COMMAND_LINE_H

#include "core/options.h"

/* Adds to `props` what `--config FILE` holds, then the arguments, which win: --NAME VALUE or --NAME=VALUE; a
 * boolean alone is true. Checks all against the table (mr_options_check); `who` names the program in errors.
 * MR_EINVALID: wrong usage, in words. */
mr_err mr_command_line_load(const mr_option *table, const char *who, int argc, char *const *argv,
                            mr_props *props, mr_error *ret_error);

/* Whether `argument` (such as "--help") is given. */
bool mr_command_line_has(int argc, char *const *argv, const char *argument);

#endif
