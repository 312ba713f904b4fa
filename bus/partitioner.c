/* partitioner.c - the partition of a key, as Kafka's default partitioner has it.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2, which is MurmurHash2 by Austin Appleby with the seed
 * 0x9747b28c.
 */
#include "bus/partitioner.h"
#include "bus/bus.h"

static uint32_t little_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int32_t mr_murmur2(mr_slice bytes)
{
    const uint32_t multiplier = 0x5bd1e995;
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t left = bytes.size;
    uint32_t hash = 0x9747b28c ^ (uint32_t)bytes.size;

    for (; left >= 4; at += 4, left -= 4) {
        uint32_t word = little_endian(at) * multiplier;
        hash = (hash * multiplier) ^ ((word ^ word >> 24) * multiplier);
    }
    if (left > 0) {
        for (size_t i = 0; i < left; i++)
            hash ^= (uint32_t)at[i] << (8 * i);
        hash *= multiplier;
    }
    hash ^= hash >> 13;
    hash *= multiplier;
    return (int32_t)(hash ^ hash >> 15);
}

int32_t mr_bus_partition_of(mr_slice key, int32_t partitions)
{
    if (key.data == NULL)
        return 0;
    return (mr_murmur2(key) & INT32_MAX) % partitions;
}
