/* embedded.c - opening and closing the bus of one tenant. */
#include "bus/embedded/embedded.h"

#include <stdio.h>
#include <stdlib.h>

static void bus_close(mr_bus *base)
{
    embedded_bus *bus = (embedded_bus *)base;
    embedded_db_close(&bus->db);
    free(bus->tenant);
    free(bus->id);
    free(bus->path);
    free(bus->bell_path);
    free(bus);
}

static const char *bus_id(const mr_bus *base)
{
    return ((const embedded_bus *)base)->id;
}

static mr_err set_paths(embedded_bus *bus, const char *dir, const char *tenant, mr_error *ret_error)
{
    bus->tenant = strdup(tenant);
    if (bus->tenant == NULL || asprintf(&bus->path, "%s/%s.db", dir, tenant) < 0 ||
        asprintf(&bus->bell_path, "%s/%s.bell", dir, tenant) < 0)
        return mr_fail(ret_error, MR_ENOMEM, "memory for the bus of tenant %s is short", tenant);
    return MR_OK;
}

static mr_err bus_open(const mr_props *config, const char *tenant, const char *tenant_uid, mr_bus **ret_bus,
                       mr_error *ret_error)
{
    const char *dir = mr_option_text(mr_bus_options, config, "bus.dir");
    if (dir == NULL || dir[0] == '\0')
        return mr_fail(ret_error, MR_EINVALID, "bus.dir is missing: the embedded bus needs a folder");
    embedded_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "memory for the bus of tenant %s is short", tenant);
    bus->base.impl = &mr_bus_embedded;
    bus->lock_timeout_ms = mr_option_integer(mr_bus_options, config, "bus.lock.timeout.ms");

    mr_err err = set_paths(bus, dir, tenant, ret_error);
    if (err == MR_OK)
        err = embedded_layout_open(bus, tenant_uid, ret_error);
    if (err != MR_OK) {
        bus_close(&bus->base);
        return err;
    }
    *ret_bus = &bus->base;
    return MR_OK;
}

const mr_bus_impl mr_bus_embedded = {
    .name = "embedded",
    .open = bus_open,
    .close = bus_close,
    .id = bus_id,
    .create_topic = embedded_create_topic,
    .partitions = embedded_partitions,
    .offsets = embedded_offsets,
    .retain = embedded_retain,
    .writer_open = embedded_writer_open,
    .reader_open = embedded_reader_open,
};
