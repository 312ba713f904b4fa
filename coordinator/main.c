/* main.c - millrace-coordinator: one loop drives the service with real time, real workers and real requests.
 */
#include "coordinator/config.h"
#include "coordinator/drive.h"
#include "coordinator/program_store.h"
#include "coordinator/rpc.h"
#include "core/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { FILES_MAX = 1 << 17 };

typedef struct coordinator {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_signal_t signals[2];
    uv_work_t sweep;
    bool sweeping;
    int64_t wake_ms;
    mr_service *service;
    mr_rpc *rpc;
    mr_rest *rest;
} coordinator;

static int64_t wall_ms(void)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static void sweep(uv_work_t *work)
{
    mr_service_sweep(work->data);
}

static void on_swept(uv_work_t *work, int status)
{
    coordinator *it = (coordinator *)((char *)work - offsetof(coordinator, sweep));
    (void)status;
    it->sweeping = false;
}

static void start_sweep(coordinator *it)
{
    if (it->sweeping || it->rest == NULL || !mr_service_wants_sweep(it->service))
        return;
    it->sweep.data = it->service;
    it->sweeping = uv_queue_work(&it->loop, &it->sweep, sweep, on_swept) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* the loop turns: on_turn does the rest */
}

/* Before the loop waits: whatever came in has been recorded, and what follows from it is done now. */
static void on_turn(uv_prepare_t *prepare)
{
    coordinator *it = prepare->data;
    int64_t now_ms = wall_ms();
    mr_service_set_now(it->service, now_ms);
    if (mr_service_pending(it->service) || it->wake_ms <= now_ms)
        it->wake_ms = mr_service_reconcile(it->service);
    start_sweep(it);
    int64_t wake_ms = mr_rpc_answer(it->rpc, now_ms);
    if (it->wake_ms < wake_ms)
        wake_ms = it->wake_ms;
    uv_timer_start(&it->timer, on_timer, wake_ms > now_ms ? (uint64_t)(wake_ms - now_ms) : 0, 0);
}

static void close_any(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void stop(coordinator *it)
{
    mr_rest_close(&it->rest);
    mr_rpc_close(&it->rpc);
    uv_close((uv_handle_t *)&it->prepare, NULL);
    uv_close((uv_handle_t *)&it->timer, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&it->signals[i], NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    coordinator *it = handle->data;
    mr_log(MR_INFO, "stopping", MR_INT("signal", number));
    stop(it);
}

static mr_err start(coordinator *it, const mr_coordinator_config *config, mr_error *ret_error)
{
    mr_err err = mr_service_open(&config->service, wall_ms(), &it->service, ret_error);
    if (err == MR_OK)
        err = mr_program_store_open(config->staging_dir, ret_error);
    /* Runs go on, and tasks are planned, before the first worker asks. */
    if (err == MR_OK)
        it->wake_ms = mr_service_reconcile(it->service);
    if (err == MR_OK)
        err = mr_rpc_open(&it->loop, config->rpc, it->service, &it->rpc, ret_error);
    if (err == MR_OK)
        err = mr_rest_open(&it->loop, &config->rest, it->service, &it->rest, ret_error);
    if (err != MR_OK)
        return err;
    mr_log(MR_INFO, "coordinator started", MR_STR("version", MR_VERSION), MR_STR("rpc", config->rpc),
           MR_INT("port", mr_rest_port(it->rest)), MR_STR("staging_dir", config->staging_dir));
    return MR_OK;
}

static void watch_signals(coordinator *it)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&it->loop, &it->signals[i]);
        it->signals[i].data = it;
        uv_signal_start(&it->signals[i], on_signal, numbers[i]);
    }
}

/* Each peer costs a file. */
static void allow_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* with fewer, fewer peers fit */
}

static int run(const mr_coordinator_config *config)
{
    coordinator it = {0};
    mr_error error;
    uv_loop_init(&it.loop);
    uv_prepare_init(&it.loop, &it.prepare);
    uv_timer_init(&it.loop, &it.timer);
    it.prepare.data = &it;
    allow_files();
    watch_signals(&it);
    mr_err err = start(&it, config, &error);
    if (err == MR_OK) {
        uv_prepare_start(&it.prepare, on_turn);
    } else {
        mr_log_failure(MR_ERROR, "the coordinator cannot start", &error);
        stop(&it);
    }
    uv_run(&it.loop, UV_RUN_DEFAULT);
    mr_service_close(&it.service);
    uv_walk(&it.loop, close_any, NULL);
    uv_run(&it.loop, UV_RUN_DEFAULT);
    uv_loop_close(&it.loop);
    return err == MR_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    umask(066); /* files are ours alone; folders may be passed by who knows the way: programs do */
    mr_coordinator_config config;
    mr_error error;
    bool help;
    mr_err err = mr_coordinator_config_init(&config, argc, argv, &help, &error);
    if (err == MR_OK && !help)
        err = mr_log_configure(config.log_format, config.log_level, &error);
    if (err != MR_OK)
        fprintf(stderr, "millrace-coordinator: %s\n", error.text);
    int status = err == MR_EINVALID ? 2 : err != MR_OK ? 1 : help ? 0 : run(&config);
    mr_coordinator_config_fini(&config);
    return status;
}
