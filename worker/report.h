/* report.h - what the worker tells the coordinator: itself, what runs here, and what ended and is not
 * acknowledged. */
#ifndef MR_WORKER_REPORT_H
#define MR_WORKER_REPORT_H

#include "worker/supervisor.h"

/* Built in place; points into the supervisor and the caller's facts, so it is to be sent before either
 * changes. */
typedef struct worker_report {
    Mr__Proto__Request request;
    Mr__Proto__Report message;
    Mr__Proto__TaskStatus *statuses;
    Mr__Proto__TaskError *errors;
    Mr__Proto__TaskStatus **list;
} worker_report;

/* `facts` holds all fields but the tasks. Where all progress together is larger than a message may be, only a
 * part is sent, another one with each sequence; states and ends are always complete. MR_ENOMEM. */
mr_err report_init(worker_report *r, const Mr__Proto__Report *facts, const supervisor *s,
                   mr_error *ret_error);
void report_fini(worker_report *r);

#endif
