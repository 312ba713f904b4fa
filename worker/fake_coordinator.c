#include "worker/fake_coordinator.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 3, TASKS = 600, DEADLINE_S = 10, PARK_MS = 100 };

/* A thread that serves one context. */
typedef struct server {
    fake_coordinator *owner;
    pthread_t thread;
    nng_ctx ctx;
    nng_aio *aio;
} server;

struct fake_coordinator {
    nng_socket socket;
    server servers[THREADS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Mr__Proto__Assignment *tasks[TASKS];
    size_t task_count;
    uint64_t version;
    Mr__Proto__Request *latest; /* the report */
    int reports;
    bool acknowledge;
    bool closing;
    const char *refusal;
    mr_slice odd; /* data NULL: none */
};

static struct timespec after_ms(long ms)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

static void acknowledge_ended(const fake_coordinator *f, const Mr__Proto__Report *report, Mr__Proto__Ack *ack,
                              Mr__Proto__TaskId **ids, int64_t *epochs)
{
    ack->ids = ids;
    ack->epochs = epochs;
    for (size_t i = 0; f->acknowledge && i < report->n_tasks; i++) {
        if (!mr_state_final(report->tasks[i]->state))
            continue;
        ids[ack->n_ids++] = report->tasks[i]->id;
        epochs[ack->n_epochs++] = report->tasks[i]->epoch;
    }
}

/* NULL: none came for a while. */
static nng_msg *receive(const server *s)
{
    nng_aio_set_timeout(s->aio, PARK_MS);
    nng_ctx_recv(s->ctx, s->aio);
    nng_aio_wait(s->aio);
    return nng_aio_result(s->aio) == 0 ? nng_aio_get_msg(s->aio) : NULL;
}

static void answer_bytes(const server *s, mr_slice bytes)
{
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0)
        abort();
    nng_msg_append(message, bytes.data, bytes.size);
    nng_aio_set_msg(s->aio, message);
    nng_ctx_send(s->ctx, s->aio);
    nng_aio_wait(s->aio);
    if (nng_aio_result(s->aio) != 0)
        nng_msg_free(message);
}

static void answer(const server *s, Mr__Proto__Reply *reply)
{
    mr_buf packed = {0};
    reply->protocol = MR_PROTOCOL;
    if (mr_reply_pack(reply, &packed, NULL) != MR_OK)
        abort();
    answer_bytes(s, mr_buf_slice(&packed));
    mr_buf_fini(&packed);
}

/* Under the lock. */
static void answer_report(fake_coordinator *f, const server *s, Mr__Proto__Request *request)
{
    static Mr__Proto__TaskId *ids[TASKS];
    static int64_t epochs[TASKS];
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    Mr__Proto__Ack ack = MR__PROTO__ACK__INIT;
    mr_request_close(&f->latest);
    f->latest = request;
    f->reports++;
    if (f->refusal != NULL)
        reply.refused = (char *)f->refusal;
    f->refusal = NULL;
    acknowledge_ended(f, request->report, &ack, ids, epochs);
    reply.ack = &ack;
    if (f->odd.data != NULL)
        answer_bytes(s, f->odd);
    else
        answer(s, &reply);
    f->odd = (mr_slice){0};
    pthread_cond_broadcast(&f->changed);
}

/* Under the lock; parks the watch. */
static void answer_watch(fake_coordinator *f, const server *s, const Mr__Proto__Watch *watch)
{
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    Mr__Proto__Assignments all = MR__PROTO__ASSIGNMENTS__INIT;
    struct timespec until = after_ms(PARK_MS);
    while (!f->closing && f->version == watch->version &&
           pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    all.version = f->version;
    all.assignments = f->tasks;
    all.n_assignments = f->task_count;
    if (f->version != watch->version)
        reply.assignments = &all;
    answer(s, &reply);
}

static bool is_closing(fake_coordinator *f)
{
    pthread_mutex_lock(&f->lock);
    bool closing = f->closing;
    pthread_mutex_unlock(&f->lock);
    return closing;
}

static void *serve(void *arg)
{
    server *s = arg;
    fake_coordinator *f = s->owner;
    while (!is_closing(f)) {
        Mr__Proto__Request *request = NULL;
        mr_error error;
        nng_msg *message = receive(s);
        if (message == NULL)
            continue;
        if (mr_request_unpack((mr_slice){nng_msg_body(message), nng_msg_len(message)}, &request, &error) !=
            MR_OK)
            abort();
        nng_msg_free(message);
        pthread_mutex_lock(&f->lock);
        if (request->report != NULL) {
            answer_report(f, s, request);
        } else {
            answer_watch(f, s, request->watch);
            mr_request_close(&request);
        }
        pthread_mutex_unlock(&f->lock);
    }
    return NULL;
}

static void start_server(fake_coordinator *f, server *s)
{
    s->owner = f;
    if (nng_ctx_open(&s->ctx, f->socket) != 0 || nng_aio_alloc(&s->aio, NULL, NULL) != 0 ||
        pthread_create(&s->thread, NULL, serve, s) != 0)
        abort();
}

fake_coordinator *fake_open(const char *url)
{
    fake_coordinator *f = calloc(1, sizeof *f);
    f->version = 1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    if (nng_rep0_open(&f->socket) != 0 || nng_listen(f->socket, url, NULL, 0) != 0)
        abort();
    for (int i = 0; i < THREADS; i++)
        start_server(f, &f->servers[i]);
    return f;
}

static void *close_socket(void *arg)
{
    const nng_socket socket = {.id = (uint32_t)(uintptr_t)arg};
    nng_close(socket);
    return NULL;
}

/* nng_close may wait for ever for a connection that ends meanwhile: what matters, the end of listening, is
 * done by then. */
static void close_patiently(nng_socket socket)
{
    pthread_t thread;
    struct timespec until = after_ms(1000);
    if (pthread_create(&thread, NULL, close_socket, (void *)(uintptr_t)socket.id) == 0 &&
        pthread_timedjoin_np(thread, NULL, &until) != 0)
        pthread_detach(thread);
}

void fake_close(fake_coordinator **handle)
{
    fake_coordinator *f = *handle;
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < THREADS; i++) /* first: nng 1.5 may hang when a socket is closed while it is used */
        pthread_join(f->servers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        nng_aio_free(f->servers[i].aio);
    close_patiently(f->socket);
    for (size_t i = 0; i < f->task_count; i++)
        mr_assignment_close(&f->tasks[i]);
    mr_request_close(&f->latest);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
    *handle = NULL;
}

static void remove_locked(fake_coordinator *f, const char *connector)
{
    for (size_t i = 0; i < f->task_count; i++) {
        if (strcmp(f->tasks[i]->id->connector, connector) != 0)
            continue;
        mr_assignment_close(&f->tasks[i]);
        f->tasks[i] = f->tasks[--f->task_count];
        break;
    }
    f->version++;
    pthread_cond_broadcast(&f->changed);
}

void fake_assign(fake_coordinator *f, const char *connector, Mr__Proto__TaskKind kind, int64_t epoch,
                 uint64_t revision, const char *behave, const char *pid_file, uint64_t memory_limit_bytes)
{
    Mr__Proto__Assignment assignment = MR__PROTO__ASSIGNMENT__INIT;
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    Mr__Proto__Property how = MR__PROTO__PROPERTY__INIT, where = MR__PROTO__PROPERTY__INIT;
    Mr__Proto__Property *config[] = {&how, &where};
    id.tenant = "client_a";
    id.connector = (char *)connector;
    how.key = "behave";
    how.value = (char *)behave;
    where.key = "pid.file";
    where.value = (char *)pid_file;
    assignment.id = &id;
    assignment.epoch = epoch;
    assignment.kind = kind;
    assignment.revision = revision;
    assignment.memory_limit_bytes = memory_limit_bytes;
    assignment.config = config;
    assignment.n_config = 2;
    pthread_mutex_lock(&f->lock);
    remove_locked(f, connector);
    if (mr_assignment_copy(&assignment, &f->tasks[f->task_count++]) != MR_OK)
        abort();
    pthread_mutex_unlock(&f->lock);
}

void fake_unassign(fake_coordinator *f, const char *connector)
{
    pthread_mutex_lock(&f->lock);
    remove_locked(f, connector);
    pthread_mutex_unlock(&f->lock);
}

void fake_acknowledge(fake_coordinator *f, bool on)
{
    pthread_mutex_lock(&f->lock);
    f->acknowledge = on;
    pthread_mutex_unlock(&f->lock);
}

void fake_refuse_once(fake_coordinator *f, const char *reason)
{
    pthread_mutex_lock(&f->lock);
    f->refusal = reason;
    pthread_mutex_unlock(&f->lock);
}

void fake_answer_once(fake_coordinator *f, mr_slice bytes)
{
    pthread_mutex_lock(&f->lock);
    f->odd = bytes;
    pthread_mutex_unlock(&f->lock);
}

static const Mr__Proto__TaskStatus *find(const fake_coordinator *f, const char *connector)
{
    const Mr__Proto__Report *report = f->latest == NULL ? NULL : f->latest->report;
    for (size_t i = 0; report != NULL && i < report->n_tasks; i++)
        if (strcmp(report->tasks[i]->id->connector, connector) == 0)
            return report->tasks[i];
    return NULL;
}

Mr__Proto__TaskStatus *fake_wait(fake_coordinator *f, const char *connector, Mr__Proto__TaskState state)
{
    struct timespec until = after_ms(DEADLINE_S * 1000);
    Mr__Proto__TaskStatus *copy = NULL;
    const Mr__Proto__TaskStatus *found;
    pthread_mutex_lock(&f->lock);
    while (((found = find(f, connector)) == NULL || found->state != state) &&
           pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    if (found != NULL && found->state == state && mr_status_copy(found, &copy) != MR_OK)
        abort();
    pthread_mutex_unlock(&f->lock);
    return copy;
}

bool fake_wait_gone(fake_coordinator *f, const char *connector)
{
    struct timespec until = after_ms(DEADLINE_S * 1000);
    pthread_mutex_lock(&f->lock);
    while ((f->latest == NULL || find(f, connector) != NULL) &&
           pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    bool gone = f->latest != NULL && find(f, connector) == NULL;
    pthread_mutex_unlock(&f->lock);
    return gone;
}

bool fake_wait_incarnation(fake_coordinator *f, char incarnation[static 64])
{
    struct timespec until = after_ms(DEADLINE_S * 1000);
    pthread_mutex_lock(&f->lock);
    while ((f->latest == NULL || strcmp(f->latest->report->incarnation, incarnation) == 0) &&
           pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    bool found = f->latest != NULL && strcmp(f->latest->report->incarnation, incarnation) != 0;
    if (found) {
        strncpy(incarnation, f->latest->report->incarnation, 63);
        incarnation[63] = '\0';
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool fake_wait_reports(fake_coordinator *f, int count)
{
    struct timespec until = after_ms(DEADLINE_S * 1000);
    pthread_mutex_lock(&f->lock);
    int wanted = f->reports + count;
    while (f->reports < wanted && pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    bool came = f->reports >= wanted;
    pthread_mutex_unlock(&f->lock);
    return came;
}

bool fake_wait_leaving(fake_coordinator *f)
{
    struct timespec until = after_ms(DEADLINE_S * 1000);
    pthread_mutex_lock(&f->lock);
    while ((f->latest == NULL || !f->latest->report->leaving) &&
           pthread_cond_timedwait(&f->changed, &f->lock, &until) == 0)
        ;
    bool leaving = f->latest != NULL && f->latest->report->leaving;
    pthread_mutex_unlock(&f->lock);
    return leaving;
}
