/* report_check.h - what a worker says of a task of its own, held against what is known here. Inside the
 * service only. */
#ifndef MR_COORDINATOR_REPORT_CHECK_H
#define MR_COORDINATOR_REPORT_CHECK_H

#include "coordinator/service_internal.h"

/* MR_EPROTOCOL: it cannot be, and is not taken: the ledger would tell what never was. */
mr_err mr_status_check(mr_service *service, const mr_task *task, const Mr__Proto__TaskStatus *status,
                       mr_error *ret_error);

#endif
