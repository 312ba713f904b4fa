#include "core/log.h"
#include "worker/config.h"
#include "worker/worker.h"

#include <stdio.h>
#include <sys/stat.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int run(const worker_config *config)
{
    mr_error error;
    if (mr_log_configure(config->log_format, config->log_level, &error) != MR_OK) {
        fprintf(stderr, "millrace-worker: %s\n", error.text);
        return EXIT_USAGE;
    }
    mr_log_context("worker", config->name);
    if (worker_run(config, &error) == MR_OK)
        return EXIT_DONE;
    mr_log_failure(MR_ERROR, "worker cannot run", &error);
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    umask(066); /* files are ours alone; folders may be passed by who knows the way: programs do */
    worker_config *config = NULL;
    bool help = false;
    mr_error error;
    if (config_open(argc, argv, &config, &help, &error) != MR_OK) {
        fprintf(stderr, "millrace-worker: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (help)
        return EXIT_DONE;
    int code = run(config);
    config_close(&config);
    return code;
}
