/* sink_verdicts.h - the verdicts of a sink, turned into states of the window. */
#ifndef MR_TASK_SINK_VERDICTS_H
#define MR_TASK_SINK_VERDICTS_H

#include "connectors/sink.h"
#include "task/sink_window.h"

struct mr_verdicts {
    sink_window *window;
    uint64_t max_same_rejects;
    uint64_t same_rejects; /* in a row, with last_reason */
    char last_reason[300];
    mr_err failure; /* what the verdicts mean for the sink as a whole; MR_OK: it goes on */
    mr_error error; /* of failure */
    bool retrying;  /* a RETRY was given; retry_reason says why */
    char retry_reason[300];
};

/* The framework's own verdict on a record that cannot be given to the sink. */
void verdict_reject(mr_verdicts *verdicts, window_entry *entry, const char *stage, const char *reason);
/* Something is wrong that is not the record's fault: the sink as a whole fails. */
void verdict_fail(mr_verdicts *verdicts, const mr_error *error);

#endif
