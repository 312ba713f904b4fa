#include "worker/task_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_FD = 3, PACKETS_PER_TURN = 16 };

extern char **environ;

struct task_process {
    uv_poll_t poll;
    const task_process_events *events;
    void *arg;
    int fd;
    int pid;
    bool deaf;     /* end of the socket, or broken */
    mr_buf unsent; /* packed packet with the latest assignment */
    bool unsent_stop;
};

static mr_err fail_spawn(mr_error *ret_error, int errnum, const char *binary)
{
    mr_err err = mr_fail_errno(ret_error, errnum, "task.binary %s cannot be started", binary);
    bool ours_to_mend = errnum == ENOENT || errnum == EACCES || errnum == ENOEXEC || errnum == ENOTDIR;
    return mr_classify(ret_error, err, ours_to_mend ? MR_CONFIG : MR_TRANSIENT);
}

static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawnattr_init(attributes);
    if (failed == 0)
        failed = posix_spawnattr_setsigmask(attributes, &none);
    if (failed == 0)
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (failed == 0)
        failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                          POSIX_SPAWN_SETSIGDEF);
    return failed;
}

static int prepare_files(posix_spawn_file_actions_t *files, int control_fd)
{
    int failed = posix_spawn_file_actions_init(files);
    if (failed == 0)
        failed = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(files, control_fd, CONTROL_FD);
    if (failed == 0)
        failed = posix_spawn_file_actions_addclosefrom_np(files, CONTROL_FD + 1);
    return failed;
}

/* Ours, and where the control socket is. The strings are borrowed. */
static char **make_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **made = calloc(count + 2, sizeof *made);
    if (made == NULL)
        return NULL;
    memcpy(made, environ, count * sizeof *made);
    made[count] = "MILLRACE_CONTROL_FD=3";
    return made;
}

/* The parent is not copied: glibc spawns like vfork. Returns an errno. */
static int spawn(const char *binary, int control_fd, int *ret_pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    char *const argv[] = {(char *)binary, NULL};
    char **environment = make_environment();
    if (environment == NULL)
        return ENOMEM;
    int failed = prepare_attributes(&attributes);
    if (failed == 0 && (failed = prepare_files(&files, control_fd)) == 0) {
        failed = posix_spawn(ret_pid, binary, &files, &attributes, argv, environment);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
    free(environment);
    return failed;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(task_process *p)
{
    int events = UV_READABLE | (p->unsent.size > 0 || p->unsent_stop ? UV_WRITABLE : 0);
    if (p->deaf)
        uv_poll_stop(&p->poll);
    else
        uv_poll_start(&p->poll, events, on_poll);
}

/* True when the packet is gone, sent or pointless. */
static bool send_packet(const task_process *p, mr_slice packet)
{
    ssize_t sent = send(p->fd, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS);
}

static bool send_stop(const task_process *p)
{
    Mr__Proto__WorkerToTask packet = MR__PROTO__WORKER_TO_TASK__INIT;
    uint8_t bytes[16];
    packet.stop = 1;
    return send_packet(p, (mr_slice){(char *)bytes, mr__proto__worker_to_task__pack(&packet, bytes)});
}

static void send_unsent(task_process *p)
{
    if (p->unsent.size > 0 && send_packet(p, mr_buf_slice(&p->unsent)))
        mr_buf_fini(&p->unsent);
    if (p->unsent.size == 0 && p->unsent_stop && send_stop(p))
        p->unsent_stop = false;
    watch(p);
}

static void become_deaf(task_process *p)
{
    p->deaf = true;
    watch(p);
}

/* False when there is no more for now. */
static bool receive_packet(task_process *p)
{
    static char packet[MR_PACKET_MAX_BYTES]; /* one loop, one thread */
    Mr__Proto__TaskToWorker *message;
    mr_error error;
    ssize_t size = recv(p->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (size <= 0) {
        become_deaf(p);
        p->events->hung_up(p->arg);
        return false;
    }
    mr_err err = size > (ssize_t)sizeof packet
                     ? mr_fail(&error, MR_ETOOLARGE, "a packet of %zd bytes from the task, at most %d", size,
                               MR_PACKET_MAX_BYTES)
                     : mr_from_task_unpack((mr_slice){packet, (size_t)size}, &message, &error);
    if (err == MR_OK) {
        p->events->said(p->arg, message);
        return true;
    }
    become_deaf(p);
    mr_wrap(&error, err, "from the task");
    mr_classify(&error, err, MR_BUG);
    p->events->broken(p->arg, &error);
    return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    task_process *p = poll->data;
    if (status < 0) {
        become_deaf(p);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        send_unsent(p);
    for (int i = 0; i < PACKETS_PER_TURN && !p->deaf && receive_packet(p); i++)
        ;
}

void task_process_drain(task_process *p)
{
    while (!p->deaf && receive_packet(p))
        ;
}

mr_err task_process_open(uv_loop_t *loop, const char *binary, const task_process_events *events, void *arg,
                         task_process **ret_process, mr_error *ret_error)
{
    int pair[2];
    task_process *p = malloc(sizeof *p);
    if (p == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a task");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        free(p);
        return mr_fail_errno(ret_error, errno, "socketpair");
    }
    *p = (task_process){.events = events, .arg = arg, .fd = pair[0]};
    int failed = spawn(binary, pair[1], &p->pid);
    close(pair[1]);
    if (failed == 0 && (failed = -uv_poll_init(loop, &p->poll, p->fd)) != 0)
        kill(p->pid, SIGKILL);
    if (failed != 0) {
        close(p->fd);
        free(p);
        return fail_spawn(ret_error, failed, binary);
    }
    p->poll.data = p;
    watch(p);
    *ret_process = p;
    return MR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void task_process_close(task_process **p)
{
    if (*p == NULL)
        return;
    uv_poll_stop(&(*p)->poll);
    close((*p)->fd);
    mr_buf_fini(&(*p)->unsent);
    uv_close((uv_handle_t *)&(*p)->poll, on_closed);
    *p = NULL;
}

int task_process_pid(const task_process *p)
{
    return p->pid;
}

mr_err task_process_assign(task_process *p, const Mr__Proto__Assignment *assignment, mr_error *ret_error)
{
    Mr__Proto__WorkerToTask packet = MR__PROTO__WORKER_TO_TASK__INIT;
    mr_buf packed = {0};
    packet.assignment = (Mr__Proto__Assignment *)assignment;
    mr_err err = mr_to_task_pack(&packet, &packed, ret_error);
    if (err != MR_OK)
        return mr_classify(ret_error, err, err == MR_ETOOLARGE ? MR_CONFIG : MR_TRANSIENT);
    mr_buf_fini(&p->unsent);
    p->unsent = packed;
    if (!p->deaf)
        send_unsent(p);
    return MR_OK;
}

void task_process_stop(task_process *p)
{
    p->unsent_stop = true;
    if (!p->deaf)
        send_unsent(p);
}

void task_process_kill(task_process *p)
{
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL);
}
