/* options.c - what may be configured of the bus. */
#include "bus/bus.h"

const mr_option mr_bus_options[] = {
    {.name = "bus", .type = MR_OPTION_TEXT, .default_value = "embedded", .help = "Which bus: embedded."},
    {.name = "bus.dir",
     .type = MR_OPTION_TEXT,
     .required = true,
     .help = "Folder of the embedded bus, one file per tenant; created when missing."},
    {.name = "bus.lock.timeout.ms",
     .type = MR_OPTION_INTEGER,
     .default_value = "10000",
     .minimum = 100,
     .maximum = 600000,
     .help = "How long to wait for another writer of the tenant's file, in milliseconds."},
    {.name = NULL},
};
