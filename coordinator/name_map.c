/* name_map.c - see name_map.h. Open addressing, linear; removal moves what follows back. */
#include "coordinator/name_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t home_of(const mr_name_map *map, const char *name)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32) & (map->capacity - 1);
}

/* The slot of the name, or the free one where it would be. */
static size_t slot_of(const mr_name_map *map, const char *name)
{
    size_t i = home_of(map, name);
    while (map->slots[i].name != NULL && strcmp(map->slots[i].name, name) != 0)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

void *mr_name_map_get(const mr_name_map *map, const char *name)
{
    return map->capacity > 0 ? map->slots[slot_of(map, name)].value : NULL;
}

static mr_err grow(mr_name_map *map)
{
    mr_name_map larger = {.capacity = map->capacity > 0 ? map->capacity * 2 : 16, .count = map->count};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return MR_ENOMEM;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].name != NULL)
            larger.slots[slot_of(&larger, map->slots[i].name)] = map->slots[i];
    }
    free(map->slots);
    *map = larger;
    return MR_OK;
}

mr_err mr_name_map_put(mr_name_map *map, const char *name, void *value)
{
    if (map->count * 2 >= map->capacity && grow(map) != MR_OK)
        return MR_ENOMEM;
    struct mr_name_slot *slot = &map->slots[slot_of(map, name)];
    if (slot->name == NULL)
        map->count++;
    *slot = (struct mr_name_slot){name, value};
    return MR_OK;
}

void *mr_name_map_remove(mr_name_map *map, const char *name)
{
    if (map->capacity == 0)
        return NULL;
    size_t hole = slot_of(map, name);
    void *value = map->slots[hole].value;
    if (map->slots[hole].name == NULL)
        return NULL;
    map->count--;
    size_t mask = map->capacity - 1;
    for (size_t i = (hole + 1) & mask; map->slots[i].name != NULL; i = (i + 1) & mask) {
        size_t home = home_of(map, map->slots[i].name);
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* may stand in the hole */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct mr_name_slot){NULL, NULL};
    return value;
}

void *mr_name_map_next(const mr_name_map *map, size_t *at)
{
    while (*at < map->capacity) {
        struct mr_name_slot *slot = &map->slots[(*at)++];
        if (slot->name != NULL)
            return slot->value;
    }
    return NULL;
}

void mr_name_map_fini(mr_name_map *map)
{
    free(map->slots);
    *map = (mr_name_map){0};
}
