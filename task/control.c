#include "task/control.h"

#include "core/log.h"
#include "task/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_EVERY_MS = 100, JUDGE_EVERY_MS = 250, LAST_STATUS_MS = 2000 };

struct control {
    int fd;        /* of the worker, or -1 */
    int signal_fd; /* SIGTERM, SIGINT */
    int poke_fd;   /* eventfd: the loop wants the thread's attention */
    status *status;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t news;
    Mr__Proto__Assignment *assignment;
    bool stopping;
    bool closing;
    void (*wake)(void *arg);
    void *wake_arg;
    void (*orphaned)(void *arg);
    void *orphaned_arg;

    /* The thread's own. */
    uint64_t sent_version, sent_urgent;
    int64_t sent_ms;
    char packet[MR_PACKET_MAX_BYTES + 1];
};

static void orphaned(control *self)
{
    pthread_mutex_lock(&self->lock);
    if (self->orphaned != NULL)
        self->orphaned(self->orphaned_arg);
    _exit(1); /* no atexit, no commit */
}

static void announce(control *self)
{
    pthread_cond_broadcast(&self->news);
    if (self->wake != NULL)
        self->wake(self->wake_arg);
}

static void take_packet(control *self, size_t size)
{
    Mr__Proto__WorkerToTask *packet = NULL;
    mr_error error;
    if (mr_to_task_unpack((mr_slice){self->packet, size}, &packet, &error) != MR_OK) {
        mr_log_failure(MR_ERROR, "a packet of the worker was not understood", &error);
        return;
    }
    pthread_mutex_lock(&self->lock);
    if (packet->assignment != NULL) {
        mr_assignment_close(&self->assignment);
        self->assignment = packet->assignment;
        packet->assignment = NULL;
    }
    if (packet->stop)
        self->stopping = true;
    announce(self);
    pthread_mutex_unlock(&self->lock);
    mr_to_task_close(&packet);
}

static void read_packets(control *self)
{
    for (;;) {
        ssize_t size = recv(self->fd, self->packet, sizeof self->packet, MSG_DONTWAIT);
        if (size > 0)
            take_packet(self, (size_t)size);
        else if (size < 0 && errno == EINTR)
            continue;
        else if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        else
            orphaned(self);
    }
}

static void read_signals(control *self)
{
    struct signalfd_siginfo info;
    if (read(self->signal_fd, &info, sizeof info) != sizeof info)
        return;
    pthread_mutex_lock(&self->lock);
    /* Ctrl-C in a terminal reaches the whole group; under a worker it is the worker's to handle. */
    if (self->fd < 0 || info.ssi_signo != SIGINT) {
        self->stopping = true;
        announce(self);
    }
    pthread_mutex_unlock(&self->lock);
}

/* Sends the status if it changed and is due. Returns false while it could not be sent: the socket is full. */
static bool send_status(control *self, bool now)
{
    uint64_t urgent;
    uint64_t version = status_version(self->status, &urgent);
    if (self->fd < 0 || (version == self->sent_version && urgent == self->sent_urgent))
        return true;
    if (!now && urgent == self->sent_urgent && clock_ms() - self->sent_ms < STATUS_EVERY_MS)
        return true;
    mr_buf packet = {0};
    mr_error error;
    bool sent = true;
    if (status_pack(self->status, &packet, &error) != MR_OK) {
        mr_log_failure(MR_ERROR, "the status cannot be sent", &error);
    } else if (send(self->fd, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        sent = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS;
    }
    mr_buf_fini(&packet);
    if (sent) {
        self->sent_version = version;
        self->sent_urgent = urgent;
        self->sent_ms = clock_ms();
    }
    return sent;
}

static bool is_closing(control *self)
{
    pthread_mutex_lock(&self->lock);
    bool closing = self->closing;
    pthread_mutex_unlock(&self->lock);
    return closing;
}

/* Whether a change waits for its time. */
static int wait_ms(control *self)
{
    uint64_t urgent;
    return status_version(self->status, &urgent) == self->sent_version ? JUDGE_EVERY_MS : STATUS_EVERY_MS / 2;
}

static void *run(void *arg)
{
    control *self = arg;
    bool sent = true;
    int64_t closing_since = 0;
    for (;;) {
        struct pollfd fds[] = {
            {.fd = self->poke_fd, .events = POLLIN},
            {.fd = self->signal_fd, .events = POLLIN},
            {.fd = self->fd, .events = (short)(POLLIN | (sent ? 0 : POLLOUT))},
        };
        (void)poll(fds, 3, wait_ms(self));
        uint64_t pokes;
        if (fds[0].revents != 0)
            (void)!read(self->poke_fd, &pokes, sizeof pokes);
        if (fds[1].revents != 0)
            read_signals(self);
        bool closing = is_closing(self);
        if ((fds[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            read_packets(self);
        status_judge(self->status);
        sent = send_status(self, closing);
        if (closing && closing_since == 0)
            closing_since = clock_ms();
        if (closing && (sent || clock_ms() - closing_since > LAST_STATUS_MS))
            return NULL;
    }
}

static void poke(control *self)
{
    uint64_t one = 1;
    (void)!write(self->poke_fd, &one, sizeof one);
}

static mr_err block_signals(control *self, mr_error *ret_error)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    self->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0)
        return mr_fail_errno(ret_error, errno, "signalfd");
    sigaddset(&mask, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    return MR_OK;
}

mr_err control_open(int fd, status *shown, control **ret_control, mr_error *ret_error)
{
    control *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->fd = fd;
    self->status = shown;
    self->signal_fd = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    self->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mr_err err =
        self->poke_fd < 0 ? mr_fail_errno(ret_error, errno, "eventfd") : block_signals(self, ret_error);
    if (err == MR_OK) {
        int errnum = pthread_create(&self->thread, NULL, run, self);
        if (errnum != 0)
            err = mr_fail_errno(ret_error, errnum, "control thread");
        self->started = errnum == 0;
    }
    if (err != MR_OK)
        control_close(&self);
    else
        *ret_control = self;
    return err;
}

void control_close(control **control_ptr)
{
    control *self = *control_ptr;
    if (self == NULL)
        return;
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        self->closing = true;
        pthread_mutex_unlock(&self->lock);
        poke(self);
        pthread_join(self->thread, NULL);
    }
    if (self->poke_fd >= 0)
        close(self->poke_fd);
    if (self->signal_fd >= 0)
        close(self->signal_fd);
    mr_assignment_close(&self->assignment);
    pthread_cond_destroy(&self->news);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *control_ptr = NULL;
}

bool control_by_hand(const control *self)
{
    return self->fd < 0;
}

bool control_stopping(control *self)
{
    pthread_mutex_lock(&self->lock);
    bool stopping = self->stopping;
    pthread_mutex_unlock(&self->lock);
    return stopping;
}

Mr__Proto__Assignment *control_take(control *self)
{
    pthread_mutex_lock(&self->lock);
    Mr__Proto__Assignment *assignment = self->assignment;
    self->assignment = NULL;
    pthread_mutex_unlock(&self->lock);
    return assignment;
}

bool control_has_assignment(control *self)
{
    pthread_mutex_lock(&self->lock);
    bool has = self->assignment != NULL;
    pthread_mutex_unlock(&self->lock);
    return has;
}

void control_wait(control *self, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    poke(self);
    pthread_mutex_lock(&self->lock);
    int expired = 0;
    while (!self->stopping && self->assignment == NULL && expired == 0)
        expired = timeout_ms < 0 ? pthread_cond_wait(&self->news, &self->lock)
                                 : pthread_cond_timedwait(&self->news, &self->lock, &until);
    pthread_mutex_unlock(&self->lock);
}

void control_on_news(control *self, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&self->lock);
    self->wake = wake;
    self->wake_arg = arg;
    pthread_mutex_unlock(&self->lock);
}

void control_on_orphaned(control *self, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&self->lock);
    self->orphaned = fn;
    self->orphaned_arg = arg;
    pthread_mutex_unlock(&self->lock);
}
