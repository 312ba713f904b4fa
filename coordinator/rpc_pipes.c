#include "coordinator/rpc_pipes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 2 * MR_PIPES_MAX };

typedef struct pipe {
    uint32_t id;
    char peer[MR_PIPE_PEER_BYTES];
    bool heard;      /* ever */
    int64_t last_ms; /* when it came, or was heard */
    bool unwanted;   /* it was told, and goes */
} pipe;

struct mr_rpc_pipes {
    pthread_mutex_t lock; /* of all below */
    size_t count, unwanted;
    pipe items[KEPT_MAX];
};

mr_rpc_pipes *mr_rpc_pipes_open(void)
{
    mr_rpc_pipes *pipes = calloc(1, sizeof *pipes);
    if (pipes != NULL)
        pthread_mutex_init(&pipes->lock, NULL);
    return pipes;
}

void mr_rpc_pipes_close(mr_rpc_pipes **pipes)
{
    if (*pipes != NULL)
        pthread_mutex_destroy(&(*pipes)->lock);
    free(*pipes);
    *pipes = NULL;
}

static pipe *find(mr_rpc_pipes *pipes, uint32_t id)
{
    for (size_t i = 0; i < pipes->count; i++)
        if (pipes->items[i].id == id)
            return &pipes->items[i];
    return NULL;
}

bool mr_rpc_pipes_add(mr_rpc_pipes *pipes, uint32_t id, const char *peer, int64_t now_ms)
{
    pthread_mutex_lock(&pipes->lock);
    const bool room = pipes->count < KEPT_MAX;
    if (room) {
        pipe *it = &pipes->items[pipes->count++];
        *it = (pipe){.id = id, .last_ms = now_ms};
        snprintf(it->peer, sizeof it->peer, "%s", peer);
    }
    pthread_mutex_unlock(&pipes->lock);
    return room;
}

void mr_rpc_pipes_remove(mr_rpc_pipes *pipes, uint32_t id)
{
    pthread_mutex_lock(&pipes->lock);
    pipe *it = find(pipes, id);
    if (it != NULL) {
        pipes->unwanted -= it->unwanted;
        *it = pipes->items[--pipes->count];
    }
    pthread_mutex_unlock(&pipes->lock);
}

void mr_rpc_pipes_peer(mr_rpc_pipes *pipes, uint32_t id, char out[static MR_PIPE_PEER_BYTES])
{
    pthread_mutex_lock(&pipes->lock);
    const pipe *it = find(pipes, id);
    snprintf(out, MR_PIPE_PEER_BYTES, "%s", it != NULL ? it->peer : "");
    pthread_mutex_unlock(&pipes->lock);
}

void mr_rpc_pipes_heard(mr_rpc_pipes *pipes, uint32_t id, int64_t now_ms)
{
    pthread_mutex_lock(&pipes->lock);
    pipe *it = find(pipes, id);
    if (it != NULL) {
        it->heard = true;
        it->last_ms = now_ms;
    }
    pthread_mutex_unlock(&pipes->lock);
}

/* Those that were never heard go first, then those that were not heard for longest. */
static bool goes_before(const pipe *a, const pipe *b)
{
    return a->heard != b->heard ? !a->heard : a->last_ms < b->last_ms;
}

uint32_t mr_rpc_pipes_unwanted(mr_rpc_pipes *pipes, int64_t now_ms, const char **ret_why)
{
    pipe *first = NULL;
    pthread_mutex_lock(&pipes->lock);
    const bool too_many = pipes->count - pipes->unwanted > MR_PIPES_MAX;
    for (size_t i = 0; i < pipes->count; i++) {
        pipe *it = &pipes->items[i];
        const bool silent = !it->heard && now_ms - it->last_ms > MR_PIPE_SILENT_MS;
        if (!it->unwanted && (too_many || silent) && (first == NULL || goes_before(it, first)))
            first = it;
    }
    uint32_t id = 0;
    if (first != NULL) {
        id = first->id;
        first->unwanted = true;
        pipes->unwanted++;
        *ret_why = too_many ? "there are too many connections" : "it says nothing, or nothing of sense";
    }
    pthread_mutex_unlock(&pipes->lock);
    return id;
}
