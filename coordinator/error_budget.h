/* error_budget.h - how many rows of a run and dataset may be rejected (max_rejected_percent,
 * max_rejected_rows). Rows that a sink refuses do not count: by then the others are stored. Replays have no
 * budget: what they read has been judged. Pure.
 */
#ifndef MR_COORDINATOR_ERROR_BUDGET_H
#define MR_COORDINATOR_ERROR_BUDGET_H

#include "coordinator/agreement.h"

bool mr_has_error_budget(const mr_agreement *agreement);
/* Of `read` rows so many may be rejected; -1: any number. */
int64_t mr_error_budget_rows(const mr_agreement *agreement, int64_t read);
/* Most of it is used up, or more than it. */
bool mr_error_budget_is_low(const mr_agreement *agreement, int64_t read, int64_t rejected);
/* "8 of 10 rows were rejected, max_rejected_percent allows 10 %" */
void mr_error_budget_words(const mr_agreement *agreement, int64_t read, int64_t rejected, char *out,
                           size_t size);

#endif
