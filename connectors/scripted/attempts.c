/* attempts.c - see attempts.h. Open addressing; the table is never let go, as a sink that is opened again
 * must find it: it stays reachable, so it is no leak. */
#include "connectors/scripted/attempts.h"

#include <stdlib.h>

typedef struct entry {
    uint64_t key; /* 0: free */
    int64_t count;
} entry;

static struct {
    entry *entries;
    size_t used, capacity; /* a power of two */
} attempts;

static uint64_t hash_of(const char *connector, int32_t partition, int64_t offset)
{
    uint64_t hash = 14695981039346656037u;
    for (; *connector != '\0'; connector++)
        hash = (hash ^ (unsigned char)*connector) * 1099511628211u;
    hash = (hash ^ (uint32_t)partition) * 1099511628211u;
    hash = (hash ^ (uint64_t)offset) * 0x9E3779B97F4A7C15u;
    return (hash ^ (hash >> 29)) | 1;
}

static entry *find(entry *entries, size_t capacity, uint64_t key)
{
    size_t at = (size_t)(key >> 1) & (capacity - 1);
    while (entries[at].key != 0 && entries[at].key != key)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static void grow(void)
{
    size_t capacity = attempts.capacity == 0 ? 1024 : attempts.capacity * 2;
    entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        abort();
    for (size_t i = 0; i < attempts.capacity; i++) {
        if (attempts.entries[i].key != 0)
            *find(entries, capacity, attempts.entries[i].key) = attempts.entries[i];
    }
    free(attempts.entries);
    attempts.entries = entries;
    attempts.capacity = capacity;
}

int64_t attempts_count(const char *connector, int32_t partition, int64_t offset)
{
    if (attempts.used * 2 >= attempts.capacity)
        grow();
    entry *found = find(attempts.entries, attempts.capacity, hash_of(connector, partition, offset));
    if (found->key == 0) {
        found->key = hash_of(connector, partition, offset);
        attempts.used++;
    }
    return ++found->count;
}
