/* holder.c - see holder.h. The file is one record of fixed size, rewritten in place under the lock of the
 * database, so it has one writer at a time; a sum tells a reader whether it saw one record or halves of two.
 */
#include "core/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { IDENTITY_BYTES = 464, DEATH_WAIT_MS = 1000 };

typedef struct record {
    uint64_t sum; /* of the rest */
    int64_t pid;  /* 0: nobody */
    uint64_t start_time;
    int64_t epoch;
    char identity[IDENTITY_BYTES];
} record;

struct mr_holder {
    int fd;
    record own;
};

/* FNV-1a: it only has to notice halves. */
static uint64_t sum_of(const record *r)
{
    const unsigned char *bytes = (const unsigned char *)r;
    uint64_t sum = 14695981039346656037u;
    for (size_t i = sizeof r->sum; i < sizeof *r; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

uint64_t mr_process_start_time(int pid)
{
    char path[40], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, stat, sizeof stat - 1);
    close(fd);
    if (got <= 0)
        return 0;
    stat[got] = '\0';
    const char *at = strrchr(stat, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

static mr_err open_file(const char *database_path, int *ret_fd, mr_error *ret_error)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s.holder", database_path);
    if (size < 0 || (size_t)size >= sizeof path)
        return mr_fail(ret_error, MR_EINVALID, "%s: the path is too long", database_path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "%s: cannot be opened", path);
    *ret_fd = fd;
    return MR_OK;
}

mr_err mr_holder_open(const char *database_path, const char *identity, int64_t epoch, mr_holder **ret_holder,
                      mr_error *ret_error)
{
    if (strlen(identity) >= IDENTITY_BYTES)
        return mr_fail(ret_error, MR_EINVALID, "%s: the name %.80s... is too long", database_path, identity);
    mr_holder *holder = calloc(1, sizeof *holder);
    if (holder == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", database_path);
    mr_err err = open_file(database_path, &holder->fd, ret_error);
    if (err != MR_OK) {
        free(holder);
        return err;
    }
    holder->own.pid = getpid();
    holder->own.start_time = mr_process_start_time(getpid());
    holder->own.epoch = epoch;
    memcpy(holder->own.identity, identity, strlen(identity));
    holder->own.sum = sum_of(&holder->own);
    *ret_holder = holder;
    return MR_OK;
}

void mr_holder_close(mr_holder **holder)
{
    if (*holder == NULL)
        return;
    close((*holder)->fd);
    free(*holder);
    *holder = NULL;
}

/* A write that fails leaves an older record, which names a process that is gone or does not hold the lock:
 * then nobody is evicted, and who waits goes on waiting. */
static void write_record(const mr_holder *holder, const record *r)
{
    ssize_t written = pwrite(holder->fd, r, sizeof *r, 0);
    (void)written;
}

void mr_holder_enter(mr_holder *holder)
{
    write_record(holder, &holder->own);
}

void mr_holder_leave(mr_holder *holder)
{
    record nobody = {0};
    nobody.sum = sum_of(&nobody);
    write_record(holder, &nobody);
}

static bool is_predecessor(const mr_holder *holder, const record *r)
{
    return r->sum == sum_of(r) && r->pid > 0 && r->pid != holder->own.pid && r->epoch < holder->own.epoch &&
           memcmp(r->identity, holder->own.identity, IDENTITY_BYTES) == 0;
}

/* The pidfd is opened before the start time is looked at, so what is killed is what was looked at. */
static bool kill_process(int pid, uint64_t start_time)
{
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return false;
    bool killed = start_time != 0 && mr_process_start_time(pid) == start_time &&
                  pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0;
    if (killed) {
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};
        (void)poll(&ended, 1, DEATH_WAIT_MS); /* its locks go with it */
    }
    close(pidfd);
    return killed;
}

bool mr_holder_name(const char *database_path, char *ret_name, size_t size)
{
    char path[4096];
    record r;
    int length = snprintf(path, sizeof path, "%s.holder", database_path);
    bool fits = length >= 0 && (size_t)length < sizeof path;
    int fd = fits ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return false;
    ssize_t got = pread(fd, &r, sizeof r, 0);
    close(fd);
    if (got != (ssize_t)sizeof r || r.sum != sum_of(&r) || r.pid <= 0 || r.pid > INT_MAX ||
        r.start_time == 0 || mr_process_start_time((int)r.pid) != r.start_time)
        return false;
    snprintf(ret_name, size, "%.*s, epoch %" PRId64 ", pid %" PRId64 ",", IDENTITY_BYTES, r.identity, r.epoch,
             r.pid);
    return true;
}

bool mr_holder_evict(mr_holder *holder)
{
    record r;
    if (pread(holder->fd, &r, sizeof r, 0) != (ssize_t)sizeof r || !is_predecessor(holder, &r))
        return false;
    return kill_process((int)r.pid, r.start_time);
}
