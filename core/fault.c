/* fault.c - see fault.h. Counts of reaches live per process, marks in MR_FAULT_DIR across processes. */
#include "core/fault.h"

#ifdef MR_FAULTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTS = 128, NAME_BYTES = 64 };

static struct {
    pthread_mutex_t lock;
    struct {
        char name[NAME_BYTES];
        long reached;
    } points[POINTS];
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Leaves DIR/NAME.what; false when it was there already or there is no DIR. */
static bool mark(const char *name, const char *what)
{
    const char *dir = getenv("MR_FAULT_DIR");
    char path[4096];
    if (dir == NULL)
        return false;
    snprintf(path, sizeof path, "%s/%s.%s", dir, name, what);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static long count_reach(const char *name)
{
    long reached = 0;
    pthread_mutex_lock(&faults.lock);
    for (size_t i = 0; i < POINTS; i++) {
        if (faults.points[i].name[0] == '\0')
            snprintf(faults.points[i].name, NAME_BYTES, "%s", name);
        if (strcmp(faults.points[i].name, name) == 0) {
            reached = ++faults.points[i].reached;
            break;
        }
    }
    pthread_mutex_unlock(&faults.lock);
    if (reached == 1)
        mark(name, "reached");
    return reached;
}

/* Whether the list in `variable` asks for `name` at this reach. */
static bool asked(const char *variable, const char *name, long reached)
{
    const char *list = getenv(variable);
    size_t size = strlen(name);
    while (list != NULL && *list != '\0') {
        const char *end = strchrnul(list, ',');
        if (strncmp(list, name, size) == 0 && (list + size == end || list[size] == ':')) {
            long wanted = list[size] == ':' ? strtol(list + size + 1, NULL, 10) : 1;
            return getenv("MR_FAULT_DIR") != NULL ? reached >= wanted : reached == wanted;
        }
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

static bool asked_once(const char *variable, const char *name, long reached, const char *what)
{
    if (!asked(variable, name, reached))
        return false;
    return getenv("MR_FAULT_DIR") == NULL || mark(name, what);
}

void mr_fault_hit(const char *name)
{
    long reached = count_reach(name);
    if (asked_once("MR_FAULT_STOP", name, reached, "stopped"))
        kill(getpid(), SIGSTOP);
    if (asked_once("MR_FAULT_KILL", name, reached, "killed"))
        kill(getpid(), SIGKILL);
}

bool mr_fault_fails(const char *name)
{
    return asked_once("MR_FAULT_FAIL", name, count_reach(name), "failed");
}

#endif
