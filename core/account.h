/* account.h - an account of this machine that programs run as. */
#ifndef MR_CORE_ACCOUNT_H
#define MR_CORE_ACCOUNT_H

#include "core/error.h"

#include <sys/types.h>

typedef struct mr_account {
    uid_t uid;
    gid_t gid; /* its own group; it keeps no others */
} mr_account;

/* MR_EINVALID: there is no such account, or it is root. */
mr_err mr_account_find(const char *name, mr_account *ret_account, mr_error *ret_error);

/* Turns this process into one of the account, for good. Safe after fork in a process with threads; errno says
 * why not. */
int mr_account_become(const mr_account *account);

#endif
