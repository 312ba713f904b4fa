/* rpc_queue.c - see rpc_queue.h. At most QUEUED messages or QUEUED_BYTES wait; then receiving pauses until
 * the loop has taken them, and nng holds the peers back. */
#include "coordinator/rpc_queue.h"

#include "coordinator/complaints.h"
#include "core/log.h"
#include "proto/rpc_socket.h"

#include <arpa/inet.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/transport/ipc/ipc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { QUEUED = 2048, QUEUED_BYTES = 16 * 1024 * 1024, CLOSE_PATIENCE_S = 1 };

struct mr_rpc_queue {
    nng_socket socket;
    nng_aio *aio;
    uv_async_t *ready;
    bool ipc;
    mr_rpc_pipes *pipes;
    pthread_mutex_t lock; /* of all below */
    mr_rpc_event *first, **last;
    size_t count, bytes;
    mr_complaints complaints;
    bool paused;
    bool closed;
};

/* Thread: nng's. */
static void push(mr_rpc_queue *queue, nng_msg *message, uint32_t pipe)
{
    mr_rpc_event *event = malloc(sizeof *event);
    if (event == NULL) {
        nng_msg_free(message);
        return;
    }
    *event = (mr_rpc_event){.message = message, .pipe = pipe};
    pthread_mutex_lock(&queue->lock);
    *queue->last = event;
    queue->last = &event->next;
    queue->count++;
    queue->bytes += message != NULL ? nng_msg_len(message) : 0;
    if (!queue->closed)
        uv_async_send(queue->ready);
    pthread_mutex_unlock(&queue->lock);
}

/* Thread: nng's. */
static void on_received(void *arg)
{
    mr_rpc_queue *queue = arg;
    if (nng_aio_result(queue->aio) != 0)
        return; /* the socket is closed */
    nng_msg *message = nng_aio_get_msg(queue->aio);
    push(queue, message, (uint32_t)nng_pipe_id(nng_msg_get_pipe(message)));
    pthread_mutex_lock(&queue->lock);
    bool more = !queue->closed && queue->count < QUEUED && queue->bytes < QUEUED_BYTES;
    queue->paused = !more;
    pthread_mutex_unlock(&queue->lock);
    if (more)
        nng_recv_aio(queue->socket, queue->aio);
}

static int64_t wall_ms(void)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* Only our own user, and root, may talk to us. */
static bool is_of_our_user(const mr_rpc_queue *queue, nng_pipe pipe)
{
    uint64_t uid = 0;
    return !queue->ipc || (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0 &&
                           (uid == 0 || uid == (uint64_t)geteuid()));
}

/* "" where it cannot be told, as of a process of another pid namespace. */
static void name_peer(const mr_rpc_queue *queue, nng_pipe pipe, char out[static MR_PIPE_PEER_BYTES])
{
    uint64_t pid = 0;
    nng_sockaddr address;
    char host[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (queue->ipc) {
        if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) == 0 && pid != 0)
            snprintf(out, MR_PIPE_PEER_BYTES, "process %llu", (unsigned long long)pid);
        return;
    }
    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address) != 0)
        return;
    if (address.s_family == NNG_AF_INET)
        inet_ntop(AF_INET, &address.s_in.sa_addr, host, sizeof host);
    else if (address.s_family == NNG_AF_INET6)
        inet_ntop(AF_INET6, &address.s_in6.sa_addr, host, sizeof host);
    snprintf(out, MR_PIPE_PEER_BYTES, "%s", host);
}

/* Thread: nng's. */
static void on_connected(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    mr_rpc_queue *queue = arg;
    char peer[MR_PIPE_PEER_BYTES];
    const char *why = NULL;
    (void)event;
    name_peer(queue, pipe, peer);
    if (!is_of_our_user(queue, pipe))
        why = "it is of another user";
    else if (!mr_rpc_pipes_add(queue->pipes, (uint32_t)nng_pipe_id(pipe), peer, wall_ms()))
        why = "there are too many connections";
    if (why == NULL)
        return;
    pthread_mutex_lock(&queue->lock);
    mr_complain(&queue->complaints, wall_ms(), "connection refused", why, peer);
    pthread_mutex_unlock(&queue->lock);
    nng_pipe_close(pipe);
}

static void on_disconnected(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)event;
    push(arg, NULL, (uint32_t)nng_pipe_id(pipe));
}

static mr_err listen_on(mr_rpc_queue *queue, const char *url, mr_error *ret_error)
{
    nng_listener listener;
    int code = nng_rep0_open_raw(&queue->socket);
    if (code != 0)
        return mr_fail(ret_error, MR_EIO, "rpc: %s", nng_strerror(code));
    code = mr_rpc_socket_init(queue->socket);
    if (code == 0)
        code = nng_socket_set_int(queue->socket, NNG_OPT_SENDBUF, 1024);
    if (code == 0)
        code = nng_pipe_notify(queue->socket, NNG_PIPE_EV_ADD_PRE, on_connected, queue);
    if (code == 0)
        code = nng_pipe_notify(queue->socket, NNG_PIPE_EV_REM_POST, on_disconnected, queue);
    if (code == 0)
        code = nng_listener_create(&listener, queue->socket, url);
    if (code == 0 && queue->ipc)
        code = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (code == 0) {
        mode_t before = umask(0177); /* the socket exists before nng has set its mode */
        code = nng_listener_start(listener, 0);
        umask(before);
    }
    if (code != 0)
        return mr_fail(ret_error, MR_EIO, "rpc: listening on %s: %s", url, nng_strerror(code));
    return MR_OK;
}

mr_err mr_rpc_queue_open(const char *url, uv_async_t *ready, mr_rpc_queue **ret_queue, mr_error *ret_error)
{
    mr_rpc_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "rpc: out of memory");
    pthread_mutex_init(&queue->lock, NULL);
    queue->last = &queue->first;
    queue->pipes = mr_rpc_pipes_open();
    queue->ready = ready;
    queue->ipc = strncmp(url, "ipc://", 6) == 0;
    if (queue->ipc)
        unlink(url + 6); /* of a former life; the database lock tells that nobody else uses it */
    mr_err err = queue->pipes == NULL ? mr_fail(ret_error, MR_ENOMEM, "rpc: out of memory")
                                      : listen_on(queue, url, ret_error);
    if (err == MR_OK && nng_aio_alloc(&queue->aio, on_received, queue) != 0)
        err = mr_fail(ret_error, MR_ENOMEM, "rpc: out of memory");
    if (err != MR_OK) {
        mr_rpc_queue_close(&queue);
        return err;
    }
    nng_recv_aio(queue->socket, queue->aio);
    *ret_queue = queue;
    return MR_OK;
}

mr_rpc_pipes *mr_rpc_queue_pipes(mr_rpc_queue *queue)
{
    return queue->pipes;
}

mr_rpc_event *mr_rpc_queue_take(mr_rpc_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    mr_rpc_event *events = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = queue->bytes = 0;
    bool resume = queue->paused && !queue->closed;
    queue->paused = false;
    pthread_mutex_unlock(&queue->lock);
    if (resume)
        nng_recv_aio(queue->socket, queue->aio);
    return events;
}

void mr_rpc_queue_send(mr_rpc_queue *queue, const void *header, size_t header_size, const void *body,
                       size_t body_size)
{
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0)
        return;
    if (nng_msg_append(message, body, body_size) != 0 ||
        nng_msg_header_append(message, header, header_size) != 0 ||
        nng_sendmsg(queue->socket, message, NNG_FLAG_NONBLOCK) != 0)
        nng_msg_free(message);
}

static void *close_and_free(void *arg)
{
    mr_rpc_queue *it = arg;
    if (it->socket.id != 0)
        nng_close(it->socket);
    if (it->aio != NULL) {
        nng_aio_stop(it->aio);
        nng_aio_free(it->aio);
    }
    for (mr_rpc_event *event = it->first, *next; event != NULL; event = next) {
        next = event->next;
        if (event->message != NULL)
            nng_msg_free(event->message);
        free(event);
    }
    mr_rpc_pipes_close(&it->pipes);
    pthread_mutex_destroy(&it->lock);
    free(it);
    return NULL;
}

/* nng_close can wait for ever (nanomsg/nng, issue 1543): it does so on a thread of its own, which the end of
 * the process does not wait for. */
void mr_rpc_queue_close(mr_rpc_queue **queue)
{
    if (*queue == NULL)
        return;
    mr_rpc_queue *it = *queue;
    pthread_t thread;
    struct timespec until;
    *queue = NULL;
    pthread_mutex_lock(&it->lock);
    it->closed = true;
    pthread_mutex_unlock(&it->lock);
    if (pthread_create(&thread, NULL, close_and_free, it) != 0)
        return; /* the process ends soon */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_PATIENCE_S;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        mr_log(MR_WARN, "connections of workers do not end, they are left to the end of the process");
        pthread_detach(thread);
    }
}
