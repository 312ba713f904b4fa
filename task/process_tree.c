#include "task/process_tree.h"

#include "task/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct process {
    pid_t pid, parent;
    bool ours;
} process;

mr_err process_tree_adopt(mr_error *ret_error)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return mr_fail_errno(ret_error, errno, "subreaper");
    return MR_OK;
}

/* Fields of /proc/PID/stat (proc(5)); the name in parentheses may hold anything. False: gone, or a zombie. */
static bool read_stat(const char *pid, process *ret_process)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    const char *rest = strrchr(text, ')');
    char state;
    int parent;
    if (rest == NULL || sscanf(rest + 1, " %c %d", &state, &parent) != 2)
        return false;
    *ret_process = (process){.pid = (pid_t)strtol(pid, NULL, 10), .parent = parent};
    return state != 'Z' && state != 'X';
}

static process *read_all(size_t *ret_count)
{
    process *all = NULL;
    size_t count = 0, capacity = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        process one;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_stat(entry->d_name, &one))
            continue;
        if (count == capacity) {
            process *grown = reallocarray(all, capacity = capacity == 0 ? 256 : capacity * 2, sizeof *all);
            if (grown == NULL)
                break;
            all = grown;
        }
        all[count++] = one;
    }
    if (proc != NULL)
        closedir(proc);
    *ret_count = count;
    return all;
}

static bool is_ours(const process *all, size_t count, pid_t parent)
{
    if (parent == getpid())
        return true;
    for (size_t i = 0; i < count; i++)
        if (all[i].pid == parent)
            return all[i].ours;
    return false;
}

int process_tree_kill(void)
{
    size_t count;
    process *all = read_all(&count);
    int found = 0;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            if (all[i].ours || !is_ours(all, count, all[i].parent))
                continue;
            all[i].ours = more = true;
            found++;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (all[i].ours)
            kill(all[i].pid, SIGKILL);
    free(all);
    return found;
}

mr_err process_tree_end(int timeout_ms, mr_error *ret_error)
{
    int64_t until = clock_ms() + timeout_ms;
    for (;;) {
        int left = process_tree_kill();
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (left == 0 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return MR_OK;
        if (clock_ms() >= until)
            return mr_fail(ret_error, MR_ETIMEDOUT, "%d processes of the program do not end", left);
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
}
