/* trouble.h - steps that fail and are tried again by themselves (R9): told once in the log, shown in status
 * and as the reason of runs while they last, with growing pauses between the tries.
 *
 * Thread: the loop thread only.
 */
#ifndef MR_COORDINATOR_TROUBLE_H
#define MR_COORDINATOR_TROUBLE_H

#include "coordinator/name_map.h"
#include "core/backoff.h"

#include <stdint.h>

typedef struct mr_trouble {
    char key[240];  /* what and whose */
    char what[160]; /* "tenant not brought forward" */
    char tenant[64];
    char text[500];
    int64_t since_ms;
    mr_backoff backoff;
} mr_trouble;

/* {0}: none. */
typedef struct mr_troubles {
    mr_name_map by_key;
} mr_troubles;

void mr_troubles_fini(mr_troubles *troubles);

/* A step went wrong, again or for the first time; returns when to try it again. `tenant` is "" for a step of
 * all. */
int64_t mr_trouble_begin(mr_troubles *troubles, const char *what, const char *tenant, const mr_error *error,
                         int64_t now_ms);
/* It went well. */
void mr_trouble_end(mr_troubles *troubles, const char *what, const char *tenant, int64_t now_ms);

/* One that holds the tenant back, its own first; or NULL. */
const mr_trouble *mr_trouble_of(const mr_troubles *troubles, const char *tenant);

#endif
