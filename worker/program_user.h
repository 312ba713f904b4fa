/* program_user.h - the account that programs run as (`program.user`), checked before the worker takes work.
 */
#ifndef MR_WORKER_PROGRAM_USER_H
#define MR_WORKER_PROGRAM_USER_H

#include "core/error.h"

/* MR_EINVALID: there is no such account, this worker may not become it, or it cannot reach staging_dir; the
 * text says what to do. Folders that are not there yet are not looked at: the coordinator makes them
 * passable. */
mr_err program_user_check(const char *name, const char *staging_dir, mr_error *ret_error);

#endif
