#include "core/account.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRY_BYTES = 65536 };

mr_err mr_account_find(const char *name, mr_account *ret_account, mr_error *ret_error)
{
    struct passwd entry, *found = NULL;
    char *texts = malloc(ENTRY_BYTES);
    if (texts == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    int failed = getpwnam_r(name, &entry, texts, ENTRY_BYTES, &found);
    if (found != NULL)
        *ret_account = (mr_account){.uid = entry.pw_uid, .gid = entry.pw_gid};
    free(texts);
    if (failed != 0)
        return mr_fail_errno(ret_error, failed, "program.user=%s", name);
    if (found == NULL)
        return mr_fail(ret_error, MR_EINVALID,
                       "program.user=%s: there is no such account (make it: useradd --system --shell "
                       "/usr/sbin/nologin %s)",
                       name, name);
    if (ret_account->uid == 0 || ret_account->gid == 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "program.user=%s: is root, or of root's group: name another account", name);
    return MR_OK;
}

/* The system calls themselves: the C library's functions speak to all threads first. */
int mr_account_become(const mr_account *account)
{
    if (syscall(SYS_setgroups, 0, NULL) != 0 ||
        syscall(SYS_setresgid, account->gid, account->gid, account->gid) != 0 ||
        syscall(SYS_setresuid, account->uid, account->uid, account->uid) != 0)
        return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
