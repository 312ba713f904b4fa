/* name_map.h - values by name. {0} is empty. Keeps neither names nor values: the name is part of the value,
 * or outlives it. Thread: one. */
#ifndef MR_COORDINATOR_NAME_MAP_H
#define MR_COORDINATOR_NAME_MAP_H

#include "core/error.h"

#include <stddef.h>

typedef struct mr_name_map {
    struct mr_name_slot {
        const char *name; /* NULL: free */
        void *value;
    } * slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
} mr_name_map;

void *mr_name_map_get(const mr_name_map *map, const char *name);         /* NULL: none */
mr_err mr_name_map_put(mr_name_map *map, const char *name, void *value); /* replaces; MR_ENOMEM */
void *mr_name_map_remove(mr_name_map *map, const char *name);            /* what was there, or NULL */
void mr_name_map_fini(mr_name_map *map);

/* All values, in no order: `for (size_t at = 0; (value = mr_name_map_next(&map, &at)) != NULL;)`. The map
 * must not change meanwhile. */
void *mr_name_map_next(const mr_name_map *map, size_t *at);

#endif
