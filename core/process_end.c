#include "core/process_end.h"

#include "core/priority.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 20, PAUSE_NS = 500000 };

typedef struct hunt {
    mr_process_root is_root;
    void *arg;
    pid_t self;
    size_t running; /* found by this look and stopped */
} hunt;

static bool is_over(const mr_process_info *process)
{
    return process->state == 'Z' || process->state == 'X';
}

static bool is_stopped(const mr_process_info *process)
{
    return process->state == 'T' || process->state == 't';
}

static void take(hunt *self, mr_process_info *process)
{
    process->taken = true;
    if (!is_over(process) && !is_stopped(process) && kill(process->pid, SIGSTOP) == 0)
        self->running++;
}

static bool is_child_of_taken(const mr_process_table *table, const mr_process_info *process)
{
    const mr_process_info *parent = mr_process_table_find(table, process->parent);
    return parent != NULL && parent->taken;
}

static void on_process(void *arg, const mr_process_table *table, mr_process_info *process)
{
    hunt *self = arg;
    if (process->pid != self->self &&
        (self->is_root(self->arg, table, process) || is_child_of_taken(table, process)))
        take(self, process);
}

/* Children whose pid is below that of their parent: pids begin anew at some point. */
static void take_the_rest(hunt *self, mr_process_table *table)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < table->count; i++) {
            mr_process_info *process = &table->items[i];
            if (process->taken || process->pid == self->self || !is_child_of_taken(table, process))
                continue;
            take(self, process);
            more = true;
        }
    }
}

size_t mr_process_trees_kill(mr_process_table *table, mr_process_root is_root, void *arg)
{
    hunt self = {.is_root = is_root, .arg = arg, .self = getpid(), .running = 1};
    size_t killed = 0;
    mr_priority former =
        mr_priority_raise(); /* without the right to it RLIMIT_NPROC bounds what can be started */
    for (int look = 0; look < LOOKS && self.running > 0; look++) {
        self.running = 0;
        if (mr_process_table_look(table, on_process, &self, NULL) != MR_OK)
            break;
        take_the_rest(&self, table);
        if (self.running > 0) /* a signal takes a moment */
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].taken && !is_over(&table->items[i]) && kill(table->items[i].pid, SIGKILL) == 0)
            killed++;
    mr_priority_restore(&former);
    return killed;
}
