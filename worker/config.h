/* config.h - how a worker is configured: a properties file, and the same names as options of the command. */
#ifndef MR_WORKER_CONFIG_H
#define MR_WORKER_CONFIG_H

#include "core/options.h"

typedef struct worker_config {
    mr_props *props; /* holds the texts below */
    const char *name;
    const char *coordinator;
    const char *staging_dir;
    const char *state_dir;
    const char *task_binary;
    const char *program_user; /* NULL: programs run as this process */
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    const char *log_format;
    const char *log_level;
} worker_config;

extern const mr_option worker_options[];

/* From the command line; *ret_help: --help or --version was asked for and answered, there is no
 * configuration. MR_EINVALID: what was given is wrong, and the text says what. */
mr_err config_open(int argc, char **argv, worker_config **ret_config, bool *ret_help, mr_error *ret_error);
void config_close(worker_config **c);

#endif
