/* embedded_conformance_test.c - the embedded bus keeps the promises of bus.h. */
#include "bus/conformance.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];

static mr_err make(void *arg, mr_props **ret_config, mr_error *ret_error)
{
    mr_props *config = NULL;
    (void)arg;
    snprintf(folder, sizeof folder, "/tmp/bus-conformance-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return mr_fail_errno(ret_error, errno, "%s", folder);
    if (mr_props_open(&config) != MR_OK || mr_props_set(config, "bus", "embedded") != MR_OK ||
        mr_props_set(config, "bus.dir", folder) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "memory is short");
    *ret_config = config;
    return MR_OK;
}

static void destroy(void *arg)
{
    (void)arg;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(folder);
}

int main(void)
{
    const mr_conformance_factory factory = {
        .name = "embedded bus",
        .make = make,
        .destroy = destroy,
        .fault_before_commit = "bus_before_commit",
        .fault_after_commit = "bus_after_commit",
        .fault_commit_unknown = "bus_commit_unknown",
        .fault_commit_unknown_lost = "bus_commit_unknown_lost",
    };
    return mr_bus_conformance(&factory);
}
