/* placement.c - see placement.h. Sticky where there is room, else the least loaded worker. */
#include "coordinator/placement.h"

#include <string.h>

enum { MESSAGE_BYTES = 900 * 1024 }; /* below the 1 MiB of a message, with room for its frame */

typedef struct task_need {
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    size_t message_bytes;
} task_need;

static bool fits(const mr_place_worker *worker, const task_need *need)
{
    return worker->eligible && worker->used_cpu_millis + need->cpu_millis <= worker->cpu_millis &&
           worker->used_memory_bytes + need->memory_bytes <= worker->memory_bytes &&
           worker->used_message_bytes + need->message_bytes <= MESSAGE_BYTES;
}

/* How full the worker would be, by whatever is scarcest, in parts of a million. */
static uint64_t load(const mr_place_worker *worker, const task_need *need)
{
    uint64_t cpu = worker->cpu_millis > 0
                       ? ((uint64_t)worker->used_cpu_millis + need->cpu_millis) * 1000000 / worker->cpu_millis
                       : 1000000;
    uint64_t memory = worker->memory_bytes / 4096 > 0 ? (worker->used_memory_bytes + need->memory_bytes) /
                                                            4096 * 1000000 / (worker->memory_bytes / 4096)
                                                      : 1000000;
    return cpu > memory ? cpu : memory;
}

/* A task that fits on no worker, even an empty one, is cut to the one with the most memory. */
static bool clamp(const mr_place_worker *workers, size_t count, task_need *need)
{
    const mr_place_worker *largest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!workers[i].eligible)
            continue;
        if (workers[i].cpu_millis >= need->cpu_millis && workers[i].memory_bytes >= need->memory_bytes)
            return false;
        if (largest == NULL || workers[i].memory_bytes > largest->memory_bytes)
            largest = &workers[i];
    }
    if (largest == NULL)
        return false;
    if (need->cpu_millis > largest->cpu_millis)
        need->cpu_millis = largest->cpu_millis;
    if (need->memory_bytes > largest->memory_bytes)
        need->memory_bytes = largest->memory_bytes;
    return true;
}

static int choose(const mr_place_worker *workers, size_t count, const task_need *need,
                  const char *last_worker)
{
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        if (!fits(&workers[i], need))
            continue;
        if (strcmp(workers[i].name, last_worker) == 0)
            return (int)i;
        uint64_t mine = load(&workers[i], need), other = best >= 0 ? load(&workers[best], need) : 0;
        if (best < 0 || mine < other || (mine == other && workers[i].tasks < workers[best].tasks))
            best = (int)i;
    }
    return best;
}

void mr_place(mr_place_worker *workers, size_t worker_count, mr_place_task *tasks, size_t task_count)
{
    for (size_t i = 0; i < task_count; i++) {
        task_need need = {tasks[i].cpu_millis, tasks[i].memory_bytes, tasks[i].message_bytes};
        tasks[i].clamped = clamp(workers, worker_count, &need);
        tasks[i].choice = choose(workers, worker_count, &need, tasks[i].last_worker);
        if (tasks[i].choice < 0)
            continue;
        mr_place_worker *worker = &workers[tasks[i].choice];
        worker->used_cpu_millis += need.cpu_millis;
        worker->used_memory_bytes += need.memory_bytes;
        worker->used_message_bytes += need.message_bytes;
        worker->tasks++;
    }
}
