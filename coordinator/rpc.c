/* rpc.c - see rpc.h. */
#include "coordinator/rpc.h"

#include "coordinator/complaints.h"
#include "coordinator/name_map.h"
#include "coordinator/rpc_queue.h"
#include "core/fault.h"
#include "core/holder.h"
#include "core/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WATCH_MS = 5000, HEADER_BYTES = 64, NAME_BYTES = 201, PEERS = 4096, TRIM_MS = 1000 };

/* What is known of an incarnation here: its connections, its parked watch, its process. */
typedef struct rpc_peer {
    char incarnation[NAME_BYTES];
    char who[MR_PIPE_PEER_BYTES]; /* the process or machine that it was first heard from */
    mr_rpc *rpc;
    uint32_t pipes[2];                  /* its reports and its watches may come on different connections */
    unsigned char header[HEADER_BYTES]; /* of the parked watch; header_size 0: none */
    size_t header_size;
    uint64_t version; /* that the watch has seen */
    int64_t parked_ms;
    int64_t heard_ms;
    uv_poll_t exit; /* on its pidfd */
    int pidfd;      /* -1: none */
} rpc_peer;

struct mr_rpc {
    uv_loop_t *loop;
    uv_async_t ready;
    mr_service *service;
    mr_rpc_queue *queue;
    mr_name_map peers;
    char boot_id[64];
    int64_t now_ms;
    int64_t trimmed_ms;
    mr_complaints complaints;
    bool closing;
};

static int64_t wall_ms(void)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* --- peers --- */

static void on_peer_closed(uv_handle_t *handle)
{
    rpc_peer *peer = handle->data;
    close(peer->pidfd);
    free(peer);
}

static void drop_peer(mr_rpc *rpc, rpc_peer *gone)
{
    mr_name_map_remove(&rpc->peers, gone->incarnation);
    if (gone->pidfd < 0)
        free(gone);
    else
        uv_close((uv_handle_t *)&gone->exit, on_peer_closed);
}

/* Those that have not been heard for long make room; live workers report each second. */
static void drop_silent_peers(mr_rpc *rpc)
{
    rpc_peer *peer;
    for (size_t at = 0; (peer = mr_name_map_next(&rpc->peers, &at)) != NULL;) {
        if (rpc->now_ms - peer->heard_ms > 60000) {
            drop_peer(rpc, peer);
            at = 0;
        }
    }
}

static rpc_peer *find_peer(mr_rpc *rpc, const char *incarnation, bool watch, uint32_t pipe)
{
    rpc_peer *found = mr_name_map_get(&rpc->peers, incarnation);
    if (found == NULL) {
        if (rpc->peers.count >= PEERS / 2)
            drop_silent_peers(rpc);
        found = rpc->peers.count < PEERS ? calloc(1, sizeof *found) : NULL;
        if (found == NULL)
            return NULL;
        *found = (rpc_peer){.rpc = rpc, .pidfd = -1};
        snprintf(found->incarnation, sizeof found->incarnation, "%s", incarnation);
        mr_rpc_pipes_peer(mr_rpc_queue_pipes(rpc->queue), pipe, found->who);
        if (mr_name_map_put(&rpc->peers, found->incarnation, found) != MR_OK) {
            free(found);
            return NULL;
        }
    }
    found->pipes[watch] = pipe;
    found->heard_ms = rpc->now_ms;
    return found;
}

/* An incarnation is one life of one process: nobody else speaks for it. */
static mr_err check_speaker(mr_rpc *rpc, const char *incarnation, uint32_t pipe, mr_error *ret_error)
{
    const rpc_peer *known = mr_name_map_get(&rpc->peers, incarnation);
    char who[MR_PIPE_PEER_BYTES];
    mr_rpc_pipes_peer(mr_rpc_queue_pipes(rpc->queue), pipe, who);
    if (known == NULL || known->who[0] == '\0' || who[0] == '\0' || strcmp(known->who, who) == 0)
        return MR_OK;
    return mr_fail(ret_error, MR_EREFUSED, "incarnation %s is of %s, not of %s", incarnation, known->who,
                   who);
}

/* --- a worker's process, when it is on this machine --- */

static void on_exit_seen(uv_poll_t *handle, int status, int events)
{
    rpc_peer *peer = handle->data;
    (void)status, (void)events;
    uv_poll_stop(handle);
    mr_service_set_now(peer->rpc->service, wall_ms());
    mr_service_died(peer->rpc->service, peer->incarnation);
}

static void watch_process(mr_rpc *rpc, rpc_peer *peer)
{
    int pid;
    uint64_t start_time;
    if (peer->pidfd >= 0 ||
        !mr_service_worker_pid(rpc->service, peer->incarnation, rpc->boot_id, &pid, &start_time))
        return;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    /* The pid may be another process's by now, or be one of another pid namespace. */
    if (mr_process_start_time(pid) != start_time || uv_poll_init(rpc->loop, &peer->exit, fd) != 0) {
        close(fd);
        return;
    }
    peer->pidfd = fd;
    peer->exit.data = peer;
    uv_poll_start(&peer->exit, UV_READABLE, on_exit_seen);
}

/* --- answers --- */

static void refuse(mr_rpc *rpc, const void *header, size_t header_size, const char *why)
{
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    mr_buf body = {0};
    reply.protocol = MR_PROTOCOL;
    reply.refused = (char *)why;
    if (mr_reply_pack(&reply, &body, NULL) == MR_OK)
        mr_rpc_queue_send(rpc->queue, header, header_size, body.data, body.size);
    mr_buf_fini(&body);
}

/* Stray and hostile peers are told, and logged now and then. */
static void refuse_message(mr_rpc *rpc, uint32_t pipe, const void *header, size_t header_size,
                           const mr_error *error)
{
    char who[MR_PIPE_PEER_BYTES];
    mr_rpc_pipes_peer(mr_rpc_queue_pipes(rpc->queue), pipe, who);
    mr_complain(&rpc->complaints, rpc->now_ms, "message refused", error->text, who);
    refuse(rpc, header, header_size, error->text);
}

static void take_report(mr_rpc *rpc, const Mr__Proto__Report *report, uint32_t pipe, const void *header,
                        size_t header_size)
{
    mr_ack ack;
    mr_error error;
    bool new_one = false;
    if (mr_service_report(rpc->service, report, &ack, &new_one, &error) != MR_OK) {
        refuse_message(rpc, pipe, header, header_size, &error);
        mr_ack_fini(&ack);
        return;
    }
    rpc_peer *peer = find_peer(rpc, report->incarnation, false, pipe);
    if (peer != NULL)
        watch_process(rpc, peer);
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    mr_buf body = {0};
    reply.protocol = MR_PROTOCOL;
    reply.ack = &ack.ack;
    MR_FAULT("report_unanswered");
    if (mr_reply_pack(&reply, &body, &error) == MR_OK)
        mr_rpc_queue_send(rpc->queue, header, header_size, body.data, body.size);
    mr_buf_fini(&body);
    mr_ack_fini(&ack);
}

static void take_watch(mr_rpc *rpc, const Mr__Proto__Watch *watch, uint32_t pipe, const void *header,
                       size_t header_size)
{
    if (mr_service_desired_version(rpc->service, watch->incarnation) == 0) {
        refuse(rpc, header, header_size, "this incarnation has not reported yet");
        return;
    }
    rpc_peer *peer = find_peer(rpc, watch->incarnation, true, pipe);
    if (peer == NULL || header_size > sizeof peer->header) {
        refuse(rpc, header, header_size, "too many workers");
        return;
    }
    mr_service_heard(rpc->service, watch->incarnation);
    memcpy(peer->header, header, header_size);
    peer->header_size = header_size;
    peer->version = watch->version;
    peer->parked_ms = rpc->now_ms;
}

static void take_message(mr_rpc *rpc, nng_msg *message, uint32_t pipe)
{
    Mr__Proto__Request *request;
    mr_error error;
    mr_slice body = {nng_msg_body(message), nng_msg_len(message)};
    const void *header = nng_msg_header(message);
    size_t header_size = nng_msg_header_len(message);
    if (mr_request_unpack(body, &request, &error) != MR_OK) {
        refuse_message(rpc, pipe, header, header_size, &error);
        return;
    }
    const char *incarnation =
        request->report != NULL ? request->report->incarnation : request->watch->incarnation;
    mr_rpc_pipes_heard(mr_rpc_queue_pipes(rpc->queue), pipe, rpc->now_ms);
    if (check_speaker(rpc, incarnation, pipe, &error) != MR_OK)
        refuse_message(rpc, pipe, header, header_size, &error);
    else if (request->report != NULL)
        take_report(rpc, request->report, pipe, header, header_size);
    else
        take_watch(rpc, request->watch, pipe, header, header_size);
    mr_request_close(&request);
}

static void take_end(mr_rpc *rpc, uint32_t pipe)
{
    rpc_peer *peer;
    for (size_t at = 0; (peer = mr_name_map_next(&rpc->peers, &at)) != NULL;) {
        if (peer->pipes[0] != pipe && peer->pipes[1] != pipe)
            continue;
        if (peer->pipes[1] == pipe)
            peer->header_size = 0; /* the parked watch went with it */
        mr_service_disconnected(rpc->service, peer->incarnation);
    }
    mr_rpc_pipes_remove(mr_rpc_queue_pipes(rpc->queue), pipe);
}

static void trim_pipes(mr_rpc *rpc)
{
    mr_rpc_pipes *pipes = mr_rpc_queue_pipes(rpc->queue);
    const char *why = NULL;
    char who[MR_PIPE_PEER_BYTES];
    rpc->trimmed_ms = rpc->now_ms;
    for (uint32_t id; (id = mr_rpc_pipes_unwanted(pipes, rpc->now_ms, &why)) != 0;) {
        mr_rpc_pipes_peer(pipes, id, who);
        mr_complain(&rpc->complaints, rpc->now_ms, "connection refused", why, who);
        (void)nng_pipe_close((nng_pipe){.id = id});
    }
}

static void on_ready(uv_async_t *async)
{
    mr_rpc *rpc = async->data;
    if (rpc->closing)
        return;
    rpc->now_ms = wall_ms();
    mr_service_set_now(rpc->service, rpc->now_ms);
    for (mr_rpc_event *event = mr_rpc_queue_take(rpc->queue), *next; event != NULL; event = next) {
        next = event->next;
        if (event->message != NULL) {
            take_message(rpc, event->message, event->pipe);
            nng_msg_free(event->message);
        } else {
            take_end(rpc, event->pipe);
        }
        free(event);
    }
}

/* --- parked watches --- */

static void answer_watch(mr_rpc *rpc, rpc_peer *peer, bool known)
{
    mr_buf body = {0};
    mr_error error;
    if (!known)
        refuse(rpc, peer->header, peer->header_size, "this incarnation has not reported yet");
    else if (mr_service_desired(rpc->service, peer->incarnation, &body, &error) == MR_OK)
        mr_rpc_queue_send(rpc->queue, peer->header, peer->header_size, body.data, body.size);
    else
        mr_complain(&rpc->complaints, rpc->now_ms, "assignments not sent", error.text, peer->who);
    peer->header_size = 0;
    mr_buf_fini(&body);
}

int64_t mr_rpc_answer(mr_rpc *rpc, int64_t now_ms)
{
    int64_t wake_ms = INT64_MAX;
    rpc_peer *peer;
    rpc->now_ms = now_ms;
    if (now_ms - rpc->trimmed_ms >= TRIM_MS)
        trim_pipes(rpc);
    for (size_t at = 0; (peer = mr_name_map_next(&rpc->peers, &at)) != NULL;) {
        if (peer->header_size == 0)
            continue;
        uint64_t version = mr_service_desired_version(rpc->service, peer->incarnation);
        int64_t until_ms = peer->parked_ms + WATCH_MS;
        if ((version != 0 && version != peer->version) || until_ms <= now_ms)
            answer_watch(rpc, peer, version != 0);
        else if (until_ms < wake_ms)
            wake_ms = until_ms;
    }
    return wake_ms;
}

/* --- open, close --- */

static void read_boot_id(mr_rpc *rpc)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* no worker is known to be local then */
    ssize_t size = read(fd, rpc->boot_id, sizeof rpc->boot_id - 1);
    rpc->boot_id[size > 0 ? size : 0] = '\0';
    rpc->boot_id[strcspn(rpc->boot_id, "\n")] = '\0';
    close(fd);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

mr_err mr_rpc_open(uv_loop_t *loop, const char *url, mr_service *service, mr_rpc **ret_rpc,
                   mr_error *ret_error)
{
    mr_rpc *rpc = calloc(1, sizeof *rpc);
    if (rpc == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "rpc: out of memory");
    rpc->loop = loop;
    rpc->service = service;
    rpc->ready.data = rpc;
    read_boot_id(rpc);
    if (uv_async_init(loop, &rpc->ready, on_ready) != 0) {
        free(rpc);
        return mr_fail(ret_error, MR_EIO, "rpc: no async handle");
    }
    mr_err err = mr_rpc_queue_open(url, &rpc->ready, &rpc->queue, ret_error);
    if (err != MR_OK) {
        mr_rpc_close(&rpc);
        return err;
    }
    *ret_rpc = rpc;
    return MR_OK;
}

void mr_rpc_close(mr_rpc **rpc)
{
    if (*rpc == NULL)
        return;
    mr_rpc *it = *rpc;
    it->closing = true;
    mr_rpc_queue_close(&it->queue);
    rpc_peer *peer;
    for (size_t at = 0; (peer = mr_name_map_next(&it->peers, &at)) != NULL; at = 0)
        drop_peer(it, peer);
    mr_name_map_fini(&it->peers);
    uv_close((uv_handle_t *)&it->ready, on_closed);
    *rpc = NULL;
}
