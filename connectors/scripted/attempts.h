/* attempts.h - how often each record was given, over closing and opening again, as long as the process lives.
 */
#ifndef MR_CONNECTORS_SCRIPTED_ATTEMPTS_H
#define MR_CONNECTORS_SCRIPTED_ATTEMPTS_H

#include <stdint.h>

/* Counts one more and returns the number, from 1. Thread: one. */
int64_t attempts_count(const char *connector, int32_t partition, int64_t offset);

#endif
