/* inspect.h - a look at bus and store that changes neither: JSON lines, or a CSV file, on stdout, for the
 * coordinator to pass on.
 *
 * Its configuration may hold more keys than a kind needs: those of a whole dataset fit every kind.
 */
#ifndef MR_TASK_INSPECT_H
#define MR_TASK_INSPECT_H

#include "core/options.h"

#include <stdio.h>

/* --inspect KIND --config FILE; returns the exit code. */
int inspect_run(const char *kind, const char *config_path);
void inspect_help(FILE *out);

/* inspect_topic.c */
extern const mr_option inspect_topic_keys[];
mr_err inspect_topic(const mr_props *config, FILE *out, mr_error *ret_error);
mr_err inspect_rejected(const mr_props *config, FILE *out, mr_error *ret_error);

/* inspect_csv.c */
extern const mr_option inspect_csv_keys[];
mr_err inspect_rejected_csv(const mr_props *config, FILE *out, mr_error *ret_error);

/* inspect_query.c */
extern const mr_option inspect_query_keys[];
mr_err inspect_query(const mr_props *config, FILE *out, mr_error *ret_error);

#endif
