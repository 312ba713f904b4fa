#include "worker/rpc.h"

#include "proto/rpc_socket.h"

#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>

enum { RECONNECT_MIN_MS = 20, RECONNECT_MAX_MS = 500 };

typedef enum exchange_step {
    EXCHANGE_FREE,
    EXCHANGE_SENDING,
    EXCHANGE_RECEIVING,
    EXCHANGE_DONE
} exchange_step;

/* The aio's callbacks run one at a time; `step`, `result` and `message` are under the lock of the rpc. */
typedef struct exchange {
    struct rpc *rpc;
    nng_ctx ctx;
    nng_aio *aio;
    exchange_step step;
    int result;
    nng_msg *message;
} exchange;

struct rpc {
    nng_socket socket;
    const char *url;
    uv_async_t wake;
    uv_mutex_t lock;
    const rpc_events *events;
    void *arg;
    exchange exchanges[RPC_CHANNELS];
};

static mr_err fail_nng(mr_error *ret_error, int result, const char *what)
{
    mr_err code = result == NNG_ETIMEDOUT ? MR_ETIMEDOUT : result == NNG_ENOMEM ? MR_ENOMEM : MR_EUNAVAILABLE;
    return mr_fail(ret_error, code, "%s: %s", what, nng_strerror(result));
}

static void finish(exchange *x, int result, nng_msg *message)
{
    uv_mutex_lock(&x->rpc->lock);
    x->step = EXCHANGE_DONE;
    x->result = result;
    x->message = message;
    uv_mutex_unlock(&x->rpc->lock);
    uv_async_send(&x->rpc->wake);
}

/* Thread: nng's. */
static void on_aio(void *arg)
{
    exchange *x = arg;
    int result = nng_aio_result(x->aio);
    uv_mutex_lock(&x->rpc->lock);
    bool sent = x->step == EXCHANGE_SENDING;
    if (sent && result == 0)
        x->step = EXCHANGE_RECEIVING;
    uv_mutex_unlock(&x->rpc->lock);
    if (sent && result != 0) {
        nng_msg_free(nng_aio_get_msg(x->aio));
        finish(x, result, NULL);
    } else if (sent) {
        nng_ctx_recv(x->ctx, x->aio);
    } else {
        finish(x, result, result == 0 ? nng_aio_get_msg(x->aio) : NULL);
    }
}

static void deliver(rpc *r, rpc_channel channel, int result, nng_msg *message)
{
    Mr__Proto__Reply *reply;
    mr_error error;
    mr_err err = result != 0 ? fail_nng(&error, result, "no answer from the coordinator") : MR_OK;
    if (err == MR_OK) {
        err = mr_reply_unpack((mr_slice){nng_msg_body(message), nng_msg_len(message)}, &reply, &error);
        nng_msg_free(message);
    }
    if (err == MR_OK)
        r->events->replied(r->arg, channel, reply);
    else
        r->events->failed(r->arg, channel, &error);
}

static void on_wake(uv_async_t *wake)
{
    rpc *r = wake->data;
    for (int i = 0; i < RPC_CHANNELS; i++) {
        exchange *x = &r->exchanges[i];
        uv_mutex_lock(&r->lock);
        bool done = x->step == EXCHANGE_DONE;
        int result = x->result;
        nng_msg *message = x->message;
        if (done)
            x->step = EXCHANGE_FREE;
        x->message = done ? NULL : message;
        uv_mutex_unlock(&r->lock);
        if (done)
            deliver(r, (rpc_channel)i, result, message);
    }
}

static int open_socket(nng_socket *socket)
{
    int failed = nng_req0_open(socket);
    if (failed != 0)
        return failed;
    failed = nng_socket_set_ms(*socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (failed == 0)
        failed = mr_rpc_socket_init(*socket);
    if (failed == 0)
        failed = nng_socket_set_ms(*socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    if (failed == 0)
        failed = nng_socket_set_ms(*socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    if (failed != 0)
        nng_close(*socket);
    return failed;
}

static int open_exchange(rpc *r, exchange *x)
{
    x->rpc = r;
    int failed = nng_ctx_open(&x->ctx, r->socket);
    return failed != 0 ? failed : nng_aio_alloc(&x->aio, on_aio, x);
}

static void on_closed(uv_handle_t *handle)
{
    rpc *r = handle->data;
    uv_mutex_destroy(&r->lock);
    free(r);
}

void rpc_close(rpc **rpc_handle)
{
    rpc *r = *rpc_handle;
    if (r == NULL)
        return;
    for (int i = 0; i < RPC_CHANNELS && r->exchanges[i].aio != NULL; i++)
        nng_aio_stop(r->exchanges[i].aio); /* waits for the callback */
    for (int i = 0; i < RPC_CHANNELS && r->exchanges[i].aio != NULL; i++) {
        nng_aio_free(r->exchanges[i].aio);
        nng_ctx_close(r->exchanges[i].ctx); /* with the request that it keeps for sending again */
        nng_msg_free(r->exchanges[i].message);
    }
    uv_close((uv_handle_t *)&r->wake, on_closed);
    *rpc_handle = NULL;
}

mr_err rpc_open(uv_loop_t *loop, const char *url, const rpc_events *events, void *arg, rpc **ret_rpc,
                mr_error *ret_error)
{
    rpc *r = calloc(1, sizeof *r);
    if (r == NULL || uv_mutex_init(&r->lock) != 0) {
        free(r);
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    }
    r->url = url;
    r->events = events;
    r->arg = arg;
    int failed = open_socket(&r->socket);
    if (failed != 0) {
        uv_mutex_destroy(&r->lock);
        free(r);
        return fail_nng(ret_error, failed, "socket to the coordinator");
    }
    uv_async_init(loop, &r->wake, on_wake);
    r->wake.data = r;
    for (int i = 0; failed == 0 && i < RPC_CHANNELS; i++)
        failed = open_exchange(r, &r->exchanges[i]);
    if (failed == 0)
        failed = nng_dial(r->socket, url, NULL, NNG_FLAG_NONBLOCK);
    if (failed != 0) {
        rpc_close(&r);
        return mr_fail(ret_error, MR_EINVALID, "coordinator=%s: %s", url, nng_strerror(failed));
    }
    *ret_rpc = r;
    return MR_OK;
}

void rpc_redial(rpc *r)
{
    (void)nng_dial(r->socket, r->url, NULL, NNG_FLAG_NONBLOCK);
}

bool rpc_busy(const rpc *r, rpc_channel channel)
{
    rpc *shared = (rpc *)r;
    uv_mutex_lock(&shared->lock);
    bool busy = r->exchanges[channel].step != EXCHANGE_FREE;
    uv_mutex_unlock(&shared->lock);
    return busy;
}

mr_err rpc_send(rpc *r, rpc_channel channel, const Mr__Proto__Request *request, int timeout_ms,
                mr_error *ret_error)
{
    exchange *x = &r->exchanges[channel];
    nng_msg *message;
    mr_buf packed = {0};
    assert(!rpc_busy(r, channel));
    mr_err err = mr_request_pack(request, &packed, ret_error);
    if (err != MR_OK)
        return err;
    int failed = nng_msg_alloc(&message, 0);
    if (failed == 0 && (failed = nng_msg_append(message, packed.data, packed.size)) != 0)
        nng_msg_free(message);
    mr_buf_fini(&packed);
    if (failed != 0)
        return fail_nng(ret_error, failed, "request");
    uv_mutex_lock(&r->lock);
    x->step = EXCHANGE_SENDING;
    uv_mutex_unlock(&r->lock);
    nng_aio_set_timeout(x->aio, timeout_ms);
    nng_aio_set_msg(x->aio, message);
    nng_ctx_send(x->ctx, x->aio);
    return MR_OK;
}
