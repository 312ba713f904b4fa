#include "coordinator/inspect_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CONFIG_FD = 3, HANDLES = 3, TICK_MS = 500 };

struct mr_inspect_child {
    uv_process_t process;
    uv_timer_t ticks;
    uint64_t deadline; /* of uv_now */
    uv_poll_t output;
    int fd;
    int open_handles;
    bool exited, succeeded, closing, late;
    void (*on_exit)(void *arg);
    void *exit_arg;
    void (*on_readable)(void *arg);
    void *readable_arg;
    bool (*wanted)(void *arg);
    void *wanted_arg;
    void (*on_gone)(void *arg);
    void *gone_arg;
};

/* --- configuration --- */

/* As core/props.h reads it again. */
static mr_err append_value(mr_buf *text, const char *value)
{
    mr_err err = *value == ' ' ? mr_buf_append(text, "\\", 1) : MR_OK;
    for (; *value != '\0' && err == MR_OK; value++) {
        const char *escape = *value == '\\' ? "\\\\" : *value == '\n' ? "\\n" : *value == '\r' ? "\\r" : NULL;
        err = escape != NULL ? mr_buf_append(text, escape, 2) : mr_buf_append(text, value, 1);
    }
    return err;
}

static mr_err write_config(const mr_props *config, mr_buf *text)
{
    mr_err err = MR_OK;
    for (size_t i = 0; i < mr_props_count(config) && err == MR_OK; i++) {
        const char *key, *value;
        mr_props_at(config, i, &key, &value);
        err = mr_buf_printf(text, "%s=", key);
        if (err == MR_OK)
            err = append_value(text, value);
        if (err == MR_OK)
            err = mr_buf_append(text, "\n", 1);
    }
    return err;
}

static mr_err config_descriptor(const mr_props *config, int *ret_fd, mr_error *ret_error)
{
    mr_buf text = {0};
    mr_err err = write_config(config, &text);
    const int fd = err == MR_OK ? memfd_create("inspect", MFD_CLOEXEC) : -1;
    if (err != MR_OK)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    else if (fd < 0 || write(fd, text.data, text.size) != (ssize_t)text.size)
        err = mr_fail_errno(ret_error, errno, "inspect: configuration");
    mr_buf_fini(&text);
    if (err == MR_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return err;
}

/* --- life --- */

static void on_closed(uv_handle_t *handle)
{
    mr_inspect_child *child = handle->data;
    if (--child->open_handles > 0)
        return;
    close(child->fd);
    if (child->on_gone != NULL)
        child->on_gone(child->gone_arg);
    free(child);
}

static void close_handles(mr_inspect_child *child)
{
    uv_close((uv_handle_t *)&child->process, on_closed);
    uv_close((uv_handle_t *)&child->ticks, on_closed);
    uv_close((uv_handle_t *)&child->output, on_closed);
}

static void on_exit_of_child(uv_process_t *process, int64_t status, int signal_number)
{
    mr_inspect_child *child = process->data;
    child->exited = true;
    child->succeeded = status == 0 && signal_number == 0;
    if (child->closing)
        close_handles(child);
    else if (child->on_exit != NULL)
        child->on_exit(child->exit_arg);
}

static void on_tick(uv_timer_t *timer)
{
    mr_inspect_child *child = timer->data;
    if (child->exited || child->closing)
        return;
    child->late = uv_now(timer->loop) >= child->deadline;
    if (child->late || !child->wanted(child->wanted_arg))
        (void)uv_process_kill(&child->process, SIGKILL);
}

static int spawn(uv_loop_t *loop, const mr_inspect_request *request, mr_inspect_child *child, int config_fd,
                 int output_fd)
{
    char *arguments[] = {
        (char *)request->task_binary, "--inspect", (char *)request->kind, "--config", "/dev/fd/3", NULL};
    uv_stdio_container_t stdio[CONFIG_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = output_fd},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = config_fd},
    };
    const uv_process_options_t options = {.exit_cb = on_exit_of_child,
                                          .file = request->task_binary,
                                          .args = arguments,
                                          .stdio = stdio,
                                          .stdio_count = CONFIG_FD + 1};
    return uv_spawn(loop, &child->process, &options);
}

static mr_err start(uv_loop_t *loop, const mr_inspect_request *request, mr_inspect_child *child,
                    mr_error *ret_error)
{
    int config_fd, ends[2];
    mr_err err = config_descriptor(request->config, &config_fd, ret_error);
    if (err != MR_OK)
        return err;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        close(config_fd);
        return mr_fail_errno(ret_error, errno, "inspect");
    }
    const int problem = spawn(loop, request, child, config_fd, ends[1]);
    close(config_fd);
    close(ends[1]);
    if (problem != 0) {
        close(ends[0]);
        return mr_fail(ret_error, MR_EIO, "inspect: %s: %s", request->task_binary, uv_strerror(problem));
    }
    child->fd = ends[0];
    return MR_OK;
}

/* The child bounds itself; this is the net below. A sanitizer's shadow memory counts as data. */
static void limit_memory(const mr_inspect_child *child, size_t bytes)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
    (void)child;
    (void)bytes;
#else
    const struct rlimit memory = {bytes, bytes};
    (void)prlimit(child->process.pid, RLIMIT_DATA, &memory, NULL);
#endif
}

/* uv_spawn failed: the handle is initialised all the same and must be closed. */
static void on_stillborn(uv_handle_t *handle)
{
    free(handle->data);
}

mr_err mr_inspect_child_open(uv_loop_t *loop, const mr_inspect_request *request, mr_inspect_child **ret_child,
                             mr_error *ret_error)
{
    mr_inspect_child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    child->process.data = child->ticks.data = child->output.data = child;
    const mr_err err = start(loop, request, child, ret_error);
    if (err != MR_OK) {
        if (child->process.loop != NULL)
            uv_close((uv_handle_t *)&child->process, on_stillborn);
        else
            free(child);
        return err;
    }
    limit_memory(child, request->memory_bytes);
    (void)fcntl(child->fd, F_SETFL, O_NONBLOCK);
    uv_timer_init(loop, &child->ticks);
    uv_timer_start(&child->ticks, on_tick, TICK_MS, TICK_MS);
    child->deadline = uv_now(loop) + (uint64_t)request->deadline_ms;
    uv_poll_init(loop, &child->output, child->fd);
    child->open_handles = HANDLES;
    child->on_gone = request->on_gone;
    child->gone_arg = request->gone_arg;
    child->wanted = request->wanted;
    child->wanted_arg = request->wanted_arg;
    *ret_child = child;
    return MR_OK;
}

int mr_inspect_child_fd(const mr_inspect_child *child)
{
    return child->fd;
}

bool mr_inspect_child_late(const mr_inspect_child *child)
{
    return child->late;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error is read as the end */
    (void)events;
    mr_inspect_child *child = poll->data;
    uv_poll_stop(poll);
    child->on_readable(child->readable_arg);
}

void mr_inspect_child_wait(mr_inspect_child *child, void (*fn)(void *arg), void *arg)
{
    child->on_readable = fn;
    child->readable_arg = arg;
    uv_poll_start(&child->output, UV_READABLE | UV_DISCONNECT, on_output);
}

void mr_inspect_child_wait_exit(mr_inspect_child *child, void (*fn)(void *arg), void *arg)
{
    child->on_exit = fn;
    child->exit_arg = arg;
    if (child->exited)
        fn(arg);
}

bool mr_inspect_child_exited(const mr_inspect_child *child)
{
    return child->exited;
}

bool mr_inspect_child_succeeded(const mr_inspect_child *child)
{
    return child->succeeded;
}

void mr_inspect_child_close(mr_inspect_child **child_handle)
{
    mr_inspect_child *child = *child_handle;
    *child_handle = NULL;
    if (child == NULL)
        return;
    child->closing = true;
    uv_poll_stop(&child->output);
    if (child->exited)
        close_handles(child);
    else
        (void)uv_process_kill(&child->process, SIGKILL);
}
