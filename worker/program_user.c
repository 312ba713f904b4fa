#include "worker/program_user.h"

#include "core/account.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_BECOME = 254, UNKNOWN = 255 };

/* The exit code of a process of the account: 0, or how many slashes of `path` end the folder that it may not
 * search. */
_Noreturn static void try_to_reach(const mr_account *account, char *path)
{
    int depth = 0;
    if (mr_account_become(account) != 0)
        _exit(CANNOT_BECOME);
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        depth++;
        if (access(path, X_OK) != 0)
            _exit(errno == ENOENT ? 0 : depth < CANNOT_BECOME ? depth : UNKNOWN);
        if (slash == NULL)
            _exit(0);
        *slash = '/';
    }
}

static mr_err reach(const char *name, const mr_account *account, char *path, mr_error *ret_error)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        try_to_reach(account, path);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return mr_fail_errno(ret_error, errno, "program.user=%s: staging.dir %s cannot be tried", name, path);
    int depth = WEXITSTATUS(status);
    if (depth == 0)
        return MR_OK;
    if (depth == CANNOT_BECOME)
        return mr_fail(ret_error, MR_EINVALID, "program.user=%s: this worker may not change its user", name);
    char *end = path;
    for (int i = 0; i < depth && end != NULL; i++)
        end = strchr(end + 1, '/');
    return mr_fail(
        ret_error, MR_EINVALID,
        "program.user=%s cannot reach staging.dir: it may not search %.*s (chmod o+x %.*s, or choose a "
        "staging.dir elsewhere)",
        name, end == NULL ? INT_MAX : (int)(end - path), path, end == NULL ? INT_MAX : (int)(end - path),
        path);
}

mr_err program_user_check(const char *name, const char *staging_dir, mr_error *ret_error)
{
    mr_account account;
    char path[PATH_MAX];
    if (geteuid() != 0)
        return mr_fail(
            ret_error, MR_EINVALID,
            "program.user=%s: only a worker that runs as root can run programs as another user: remove it",
            name);
    mr_err err = mr_account_find(name, &account, ret_error);
    if (err != MR_OK)
        return err;
    if (realpath(staging_dir, path) == NULL) /* not there yet */
        snprintf(path, sizeof path, "%s", staging_dir);
    return reach(name, &account, path, ret_error);
}
