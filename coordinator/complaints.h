/* complaints.h - what hostile peers do is logged, but ten thousand of them do not fill the log. */
#ifndef MR_COORDINATOR_COMPLAINTS_H
#define MR_COORDINATOR_COMPLAINTS_H

#include <stdint.h>

/* Zero at first. */
typedef struct mr_complaints {
    int64_t told_ms;
    int64_t untold; /* since told_ms */
} mr_complaints;

/* Logs a warning, at most one in ten seconds; it tells how many others there were since the last one. `peer`
 * may be NULL. `now_ms` is above zero and of one clock. */
void mr_complain(mr_complaints *complaints, int64_t now_ms, const char *event, const char *why,
                 const char *peer);

#endif
