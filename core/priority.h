/* priority.h - running before all others for a moment, where this process may: as root.
 *
 * Among hundreds of processes that all want to run, each in a session of its own, whoever is to end them
 * would come too late each time.
 */
#ifndef MR_CORE_PRIORITY_H
#define MR_CORE_PRIORITY_H

#include <sched.h>

typedef struct mr_priority {
    int policy; /* -1: nothing was changed */
    struct sched_param parameters;
} mr_priority;

/* Of the calling thread; what it starts meanwhile inherits it. Returns what it was. */
mr_priority mr_priority_raise(void);
void mr_priority_restore(const mr_priority *former);

#endif
