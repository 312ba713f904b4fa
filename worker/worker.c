#include "worker/worker.h"

#include "core/log.h"
#include "worker/children.h"
#include "worker/conversation.h"
#include "worker/host.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LEAVE_PATIENCE_MS = 10 * 1000,
    FILES_MAX = 65536, /* a socket per task */
};

typedef struct worker {
    uv_loop_t loop;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t patience;
    orphans *orphans;
    task_children *children;
    conversation *conversation;
    bool leaving;
} worker;

static void on_changed(void *arg, supervisor_change change)
{
    worker *w = arg;
    if (w->conversation != NULL)
        conversation_changed(w->conversation, change);
}

static void end(void *arg)
{
    worker *w = arg;
    uv_stop(&w->loop);
}

static void on_patience(uv_timer_t *timer)
{
    mr_log(MR_WARN, "tasks did not stop in time, they are killed", MR_INT("waited_ms", LEAVE_PATIENCE_MS));
    end(timer->data);
}

static void on_signal(uv_signal_t *signal, int number)
{
    worker *w = signal->data;
    mr_log(MR_INFO, w->leaving ? "leaving at once" : "leaving", MR_INT("signal", number));
    if (w->leaving) {
        end(w);
        return;
    }
    w->leaving = true;
    uv_timer_start(&w->patience, on_patience, LEAVE_PATIENCE_MS, 0);
    conversation_leave(w->conversation, end, w);
    supervisor_leave(children_supervisor(w->children), (int64_t)uv_now(&w->loop));
    children_settle(w->children);
}

/* What a task leaves behind comes to us, and writing to a task that is gone is an error, not a signal. */
static mr_err prepare_process(mr_error *ret_error)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return mr_fail_errno(ret_error, errno, "prctl");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* with fewer, fewer tasks fit */
    }
    return MR_OK;
}

static mr_err end_former_life(worker *w, mr_error *ret_error)
{
    size_t killed = 0;
    mr_err err = orphans_kill(w->orphans, &killed, ret_error);
    if (err == MR_OK && killed > 0)
        mr_log(MR_WARN, "tasks of a former life of this worker are killed", MR_INT("processes", killed));
    return err;
}

static mr_err open_parts(worker *w, const worker_config *config, mr_error *ret_error)
{
    mr_err err = orphans_open(config->state_dir, &w->orphans, ret_error);
    if (err == MR_OK)
        err = end_former_life(w, ret_error);
    if (err == MR_OK)
        err = children_open(&w->loop, config->task_binary, config->program_user, w->orphans, uv_hrtime(),
                            on_changed, w, &w->children, ret_error);
    if (err == MR_OK)
        err = conversation_open(&w->loop, config, w->children, &w->conversation, ret_error);
    return err;
}

static void open_handles(worker *w)
{
    uv_signal_init(&w->loop, &w->terminate);
    uv_signal_init(&w->loop, &w->interrupt);
    uv_timer_init(&w->loop, &w->patience);
    w->terminate.data = w->interrupt.data = w->patience.data = w;
    uv_signal_start(&w->terminate, on_signal, SIGTERM);
    uv_signal_start(&w->interrupt, on_signal, SIGINT);
}

static void close_handles(worker *w)
{
    uv_close((uv_handle_t *)&w->terminate, NULL);
    uv_close((uv_handle_t *)&w->interrupt, NULL);
    uv_close((uv_handle_t *)&w->patience, NULL);
}

mr_err worker_run(const worker_config *config, mr_error *ret_error)
{
    worker w = {0};
    mr_err err = prepare_process(ret_error);
    if (err != MR_OK)
        return err;
    int failed = uv_loop_init(&w.loop);
    if (failed != 0)
        return mr_fail(ret_error, MR_EIO, "event loop: %s", uv_strerror(failed));
    open_handles(&w);
    err = open_parts(&w, config, ret_error);
    if (err == MR_OK) {
        mr_log(MR_INFO, "worker started", MR_STR("coordinator", config->coordinator),
               MR_INT("cpu_millis", config->cpu_millis), MR_INT("memory_bytes", config->memory_bytes));
        if (config->program_user == NULL && geteuid() == 0)
            mr_log(MR_WARN, "programs of tenants run as root: name an account for them by program.user");
        uv_run(&w.loop, UV_RUN_DEFAULT);
        mr_log(MR_INFO, "worker ended");
    }
    conversation_close(&w.conversation);
    children_close(&w.children);
    orphans_close(&w.orphans);
    close_handles(&w);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    uv_loop_close(&w.loop);
    return err;
}
