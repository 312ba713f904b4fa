/* placement.h - which worker gets which task. Pure: a snapshot in, choices out; no clock, no I/O. Thread:
 * any. */
#ifndef MR_COORDINATOR_PLACEMENT_H
#define MR_COORDINATOR_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mr_place_worker {
    const char *name;
    bool eligible; /* alive, not leaving, sees the same staging */
    uint32_t cpu_millis, used_cpu_millis;
    uint64_t memory_bytes, used_memory_bytes;
    size_t used_message_bytes; /* its assignments travel in one message */
    size_t tasks;
} mr_place_worker;

typedef struct mr_place_task {
    const char *last_worker; /* name, or "" */
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    size_t message_bytes;
    int choice;   /* out: index of the worker, or -1: none has room */
    bool clamped; /* out: larger than the largest worker, placed with all of that one's capacity */
} mr_place_task;

/* Tasks are placed in the order given; used_... and tasks of the workers are brought up to date. */
void mr_place(mr_place_worker *workers, size_t worker_count, mr_place_task *tasks, size_t task_count);

#endif
