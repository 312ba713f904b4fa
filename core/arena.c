#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 64 * 1024, ALIGNMENT = 16 };

struct mr_arena_chunk {
    mr_arena_chunk *next;
    size_t capacity;
    size_t used;
    _Alignas(ALIGNMENT) char data[];
};

static mr_arena_chunk *chunk_open(size_t capacity)
{
    mr_arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL)
        *chunk = (mr_arena_chunk){.capacity = capacity};
    return chunk;
}

/* A chunk for one large thing goes to the front: the current one, and the kept ones behind it, are filled on.
 */
static mr_arena_chunk *large_chunk(mr_arena *arena, size_t size)
{
    mr_arena_chunk *fresh = chunk_open(size);
    if (fresh == NULL)
        return NULL;
    fresh->next = arena->first;
    arena->first = fresh;
    if (arena->current == NULL)
        arena->current = fresh;
    return fresh;
}

/* The next kept chunk with room, else a new one linked behind the current. */
static mr_arena_chunk *chunk_with_room(mr_arena *arena, size_t size)
{
    mr_arena_chunk *at = arena->current;
    while (at != NULL && at->capacity - at->used < size && at->next != NULL)
        at = at->next;
    if (at != NULL && at->capacity - at->used >= size)
        return at;
    mr_arena_chunk *fresh = chunk_open(CHUNK_BYTES);
    if (fresh == NULL)
        return NULL;
    if (at == NULL)
        arena->first = fresh;
    else
        at->next = fresh;
    return fresh;
}

void *mr_arena_alloc(mr_arena *arena, size_t size)
{
    if (size > SIZE_MAX - sizeof(mr_arena_chunk) - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    mr_arena_chunk *chunk = arena->current;
    if (chunk == NULL || chunk->capacity - chunk->used < size) {
        bool large = size > CHUNK_BYTES;
        chunk = large ? large_chunk(arena, size) : chunk_with_room(arena, size);
        if (chunk == NULL)
            return NULL;
        if (!large)
            arena->current = chunk;
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += size;
    arena->used_bytes += size;
    return memory;
}

mr_slice mr_arena_copy(mr_arena *arena, mr_slice bytes)
{
    char *copy = mr_arena_alloc(arena, bytes.size + 1);
    if (copy == NULL)
        return (mr_slice){0};
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return (mr_slice){copy, bytes.size};
}

void mr_arena_reset(mr_arena *arena)
{
    mr_arena_chunk **link = &arena->first;
    while (*link != NULL) {
        mr_arena_chunk *chunk = *link;
        if (chunk->capacity > CHUNK_BYTES) { /* made for one large thing: not worth keeping */
            *link = chunk->next;
            free(chunk);
        } else {
            chunk->used = 0;
            link = &chunk->next;
        }
    }
    arena->current = arena->first;
    arena->used_bytes = 0;
}

void mr_arena_fini(mr_arena *arena)
{
    mr_arena_chunk *chunk = arena->first;
    while (chunk != NULL) {
        mr_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *arena = (mr_arena){0};
}
