#include "coordinator/rest_connections.h"

#include "coordinator/complaints.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { FULL_SLOW_MS = 1000 }; /* how long one may be slow when there is no room */

typedef struct bytes {
    uint64_t in, out; /* received; taken by the peer */
} bytes;

struct mr_connection {
    mr_connections *all;
    mr_connection *previous, *next;
    int fd;
    mr_connection_phase phase;
    int64_t since_ms;    /* of the phase */
    int64_t checked_ms;  /* when these two were reckoned */
    int64_t patience_ms; /* with a body or answer; below zero it is cut off */
    bytes before;
    bool slow; /* as of then: may make room */
    bool held;
    bool cut;
    bool refused;
};

struct mr_connections {
    mr_connection_limits limits;
    mr_connection *first;
    size_t count; /* those that are cut, but not closed yet, included */
    size_t cut;
    mr_complaints complaints;
};

mr_connections *mr_connections_open(const mr_connection_limits *limits)
{
    mr_connections *all = calloc(1, sizeof *all);
    if (all != NULL)
        all->limits = *limits;
    return all;
}

void mr_connections_close(mr_connections **connections)
{
    free(*connections);
    *connections = NULL;
}

size_t mr_connections_count(const mr_connections *connections)
{
    return connections->count;
}

static bytes moved(const mr_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return (bytes){0};
    return (bytes){info.tcpi_bytes_received, info.tcpi_bytes_acked};
}

void mr_connection_complain(mr_connection *connection, const char *why, int64_t now_ms)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64], port[16], peer[90] = "unknown";
    if (getpeername(connection->fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(peer, sizeof peer, "%s port %s", host, port);
    mr_complain(&connection->all->complaints, now_ms, "connection refused", why, peer);
}

/* `why` NULL: nothing is wrong with it. */
static void cut(mr_connection *connection, const char *why, int64_t now_ms)
{
    if (why != NULL)
        mr_connection_complain(connection, why, now_ms);
    connection->cut = true;
    connection->all->cut++;
    (void)shutdown(connection->fd, SHUT_RDWR);
}

static bool waits(const mr_connection *connection)
{
    return connection->phase == MR_CONNECTION_HEAD || connection->phase == MR_CONNECTION_IDLE;
}

/* --- how slow --- */

/* How long it may still be slow: time takes it away, bytes bring it back, but never more than slow_ms. */
static void reckon(mr_connection *connection, int64_t now_ms)
{
    const int64_t most = connection->all->limits.slow_ms;
    const bytes now = moved(connection), before = connection->before;
    const int64_t count = (int64_t)(now.in - before.in + now.out - before.out);
    const int64_t patience = connection->patience_ms - (now_ms - connection->checked_ms);
    connection->patience_ms = patience + count * 1000 / MR_SLOW_BYTES;
    if (connection->patience_ms > most)
        connection->patience_ms = most;
    connection->before = now;
    connection->checked_ms = now_ms;
}

static void check_one(mr_connection *connection, int64_t now_ms)
{
    const mr_connection_limits *limits = &connection->all->limits;
    const int64_t age_ms = now_ms - connection->since_ms;
    if (connection->cut || connection->held)
        return;
    if (!waits(connection)) {
        reckon(connection, now_ms);
        connection->slow = connection->patience_ms < limits->slow_ms - FULL_SLOW_MS;
    }
    if (connection->phase == MR_CONNECTION_HEAD && age_ms > limits->head_ms)
        cut(connection, "its request did not come in time", now_ms);
    else if (connection->phase == MR_CONNECTION_IDLE && age_ms > limits->idle_ms)
        cut(connection, NULL, now_ms);
    else if (connection->patience_ms < 0 && connection->phase == MR_CONNECTION_BODY)
        cut(connection, "its request comes too slowly", now_ms);
    else if (connection->patience_ms < 0)
        cut(connection, "its answer is read too slowly", now_ms);
}

void mr_connections_check(mr_connections *connections, int64_t now_ms)
{
    for (mr_connection *it = connections->first; it != NULL; it = it->next)
        check_one(it, now_ms);
}

/* --- how many --- */

static bool cut_a_slow_one(mr_connections *all, int64_t now_ms)
{
    for (mr_connection *it = all->first; it != NULL; it = it->next) {
        if (!it->slow || it->cut || it->held)
            continue;
        cut(it, "there are too many, and it is slow", now_ms);
        return true;
    }
    return false;
}

static bool cut_one_that_waits(mr_connections *all, const mr_connection *newcomer, int64_t now_ms)
{
    mr_connection *oldest = NULL;
    for (mr_connection *it = all->first; it != NULL; it = it->next)
        if (it != newcomer && !it->cut && waits(it) && (oldest == NULL || it->since_ms <= oldest->since_ms))
            oldest = it;
    if (oldest != NULL)
        cut(oldest, "there are too many, and it has waited longest", now_ms);
    return oldest != NULL;
}

/* A quarter is left to those that wait, so that one is not cut off before it could ask. */
static bool too_many_bodies(const mr_connections *all)
{
    size_t busy = 0;
    for (const mr_connection *it = all->first; it != NULL; it = it->next)
        busy += !waits(it) && !it->cut;
    return busy > all->limits.most - all->limits.most / 4;
}

mr_connection *mr_connection_begin(mr_connections *connections, int fd, int64_t now_ms)
{
    mr_connection *it = calloc(1, sizeof *it);
    if (it == NULL)
        return NULL;
    *it = (mr_connection){.all = connections, .fd = fd, .since_ms = now_ms, .next = connections->first};
    if (it->next != NULL)
        it->next->previous = it;
    connections->first = it;
    if (++connections->count - connections->cut > connections->limits.most)
        it->refused = !cut_one_that_waits(connections, it, now_ms) && !cut_a_slow_one(connections, now_ms);
    return it;
}

void mr_connection_end(mr_connection *connection, int64_t now_ms)
{
    mr_connections *all = connection->all;
    /* The end of the stream counts as a byte. */
    if (!connection->cut && waits(connection) && moved(connection).in > connection->before.in + 1)
        mr_connection_complain(connection, "what it sent is no HTTP request", now_ms);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        all->first = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    all->count--;
    all->cut -= connection->cut;
    free(connection);
}

bool mr_connection_admit(mr_connection *connection, bool has_body, int64_t now_ms)
{
    mr_connections *all = connection->all;
    return !connection->refused && (!has_body || !too_many_bodies(all) || cut_a_slow_one(all, now_ms));
}

/* --- what it is at --- */

void mr_connection_enter(mr_connection *connection, mr_connection_phase phase, int64_t now_ms)
{
    connection->phase = phase;
    connection->since_ms = connection->checked_ms = now_ms;
    connection->patience_ms = connection->all->limits.slow_ms;
    connection->before = moved(connection);
    connection->slow = false;
}

void mr_connection_hold(mr_connection *connection, bool hold, int64_t now_ms)
{
    connection->held = hold;
    if (!hold)
        connection->checked_ms = now_ms;
}
