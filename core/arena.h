/* arena.h - memory grouped by lifetime: many small allocations, one release.
 *
 * A batch owns an arena; reset() keeps the chunks for the next batch, so that a steady stream allocates
 * nothing. Thread: one at a time.
 */
#ifndef MR_CORE_ARENA_H
#define MR_CORE_ARENA_H

#include "core/slice.h"

#include <stddef.h>

typedef struct mr_arena_chunk mr_arena_chunk;

/* {0} is an empty arena. */
typedef struct mr_arena {
    mr_arena_chunk *first;
    mr_arena_chunk *current;
    size_t used_bytes; /* handed out since the last reset */
} mr_arena;

/* 16-byte aligned, not zeroed; NULL when memory is short. Valid until reset or fini. */
void *mr_arena_alloc(mr_arena *arena, size_t size);
/* A copy with a NUL behind it that size does not count; data is NULL when memory is short. */
mr_slice mr_arena_copy(mr_arena *arena, mr_slice bytes);
void mr_arena_reset(mr_arena *arena); /* forgets all, keeps the chunks of the usual size */
void mr_arena_fini(mr_arena *arena);  /* frees all */

#endif
