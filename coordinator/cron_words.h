/* cron_words.h - a schedule for people: "every 15 minutes from 8:00 to 17:59, Monday to Friday, UTC". Pure;
 * thread: any. */
#ifndef MR_COORDINATOR_CRON_WORDS_H
#define MR_COORDINATOR_CRON_WORDS_H

#include "coordinator/cron.h"

enum { MR_CRON_WORDS_BYTES = 1000 };

/* Longer lists than fit are cut. */
void mr_cron_words(const mr_cron *cron, const char *time_zone, char out[MR_CRON_WORDS_BYTES]);

#endif
