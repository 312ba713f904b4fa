/* bell.c - see bell.h. */
#include "bus/embedded/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { NET_MS = 1000, NET_WITHOUT_INOTIFY_MS = 100 };

/* A user has few inotify instances (128 by default), so that having none left is no error. */
static void watch_file(embedded_bell *bell, const char *path)
{
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                  0600); /* lost, when only FILE.db was restored */
    if (fd >= 0)
        close(fd);
    bell->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (bell->inotify_fd >= 0 && inotify_add_watch(bell->inotify_fd, path, IN_ATTRIB | IN_MODIFY) < 0) {
        close(bell->inotify_fd);
        bell->inotify_fd = -1;
    }
}

static bool start_timer(const embedded_bell *bell)
{
    int period_ms = bell->inotify_fd >= 0 ? NET_MS : NET_WITHOUT_INOTIFY_MS;
    struct timespec period = {.tv_sec = period_ms / 1000, .tv_nsec = period_ms % 1000 * 1000000};
    return timerfd_settime(bell->timer_fd, 0, &(struct itimerspec){period, period}, NULL) == 0;
}

static bool add(const embedded_bell *bell, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return fd < 0 || epoll_ctl(bell->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

mr_err embedded_bell_open(embedded_bell *bell, const char *path, mr_error *ret_error)
{
    bell->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bell->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bell->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch_file(bell, path);
    if (bell->epoll_fd >= 0 && bell->wake_fd >= 0 && bell->timer_fd >= 0 && start_timer(bell) &&
        add(bell, bell->wake_fd) && add(bell, bell->timer_fd) && add(bell, bell->inotify_fd))
        return MR_OK;
    int errnum = errno;
    embedded_bell_close(bell);
    return mr_fail_errno(ret_error, errnum, "%s: cannot be watched", path);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void embedded_bell_close(embedded_bell *bell)
{
    close_fd(&bell->inotify_fd);
    close_fd(&bell->wake_fd);
    close_fd(&bell->timer_fd);
    close_fd(&bell->epoll_fd);
}

static bool drain(int fd)
{
    _Alignas(struct inotify_event) char events[4096];
    bool any = false;
    while (fd >= 0 && read(fd, events, sizeof events) > 0)
        any = true;
    return any;
}

bool embedded_bell_drain(embedded_bell *bell)
{
    (void)drain(bell->inotify_fd);
    (void)drain(bell->timer_fd);
    return drain(bell->wake_fd);
}

void embedded_bell_wait(embedded_bell *bell, int timeout_ms)
{
    struct pollfd ready = {.fd = bell->epoll_fd, .events = POLLIN};
    (void)poll(&ready, 1, timeout_ms);
}

void embedded_bell_wake(const embedded_bell *bell)
{
    int saved = errno;
    ssize_t written = write(bell->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* full: it is awake already */
    errno = saved;
}
