/* partitioner.h - the hash behind mr_bus_partition_of; private to bus/. */
#ifndef MR_BUS_PARTITIONER_H
#define MR_BUS_PARTITIONER_H

#include "core/slice.h"

#include <stdint.h>

/* Kafka's murmur2: a signed 32-bit number. */
int32_t mr_murmur2(mr_slice bytes);

#endif
