/* config.h - the coordinator's configuration: a properties file, and options of the command line that win. */
#ifndef MR_COORDINATOR_CONFIG_H
#define MR_COORDINATOR_CONFIG_H

#include "coordinator/rest.h"
#include "core/options.h"

#include <limits.h>

extern const mr_option mr_coordinator_options[];

typedef struct mr_coordinator_config {
    mr_props *props; /* owned; the texts below point into it */
    mr_service_config service;
    mr_rest_config rest;
    const char *log_format, *log_level;
    char data_dir[PATH_MAX], staging_dir[PATH_MAX], bus_dir[PATH_MAX], store_dir[PATH_MAX]; /* absolute */
    char rpc[PATH_MAX + 16];
    char task_binary[PATH_MAX];
} mr_coordinator_config;

/* Reads arguments and file, creates the folders. *ret_help: --help or --version was asked for and printed,
 * nothing else was done. MR_EINVALID is a wrong usage. */
mr_err mr_coordinator_config_init(mr_coordinator_config *config, int argc, char **argv, bool *ret_help,
                                  mr_error *ret_error);
void mr_coordinator_config_fini(mr_coordinator_config *config);

#endif
