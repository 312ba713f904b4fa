#include "task/task.h"

mr_err program_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                       mr_error *ret_error)
{
    (void)task;
    (void)ret_outcome;
    (void)ret_stored_epoch;
    return mr_fail(ret_error, MR_EREFUSED, "this build has no program step");
}
