#include "task/program_process.h"

#include "core/fault.h"
#include "core/priority.h"
#include "core/text_value.h"
#include "task/clock.h"
#include "task/process_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 50,
    PASS_OVER_MS = 5,      /* between reads of what is not logged any more: about 100 MB/s */
    COUNT_EVERY_MS = 1000, /* processes; at once when many have been started on this machine */
    MANY_STARTED = 64,
    FILES_SOFT = 1024, /* what programs expect; a worker has more */
    FILES_HARD = 4096,
    PROCESSES_OF_USER = 4096,
    KILL_MS = 10000,
    STOP_GRACE_MS = 3000,
    BLOCK_BYTES = 8192,
    BLOCKS_AT_ONCE = 64,
    PIPE_BYTES = 1 << 20, /* what one may have (fs.pipe-max-size) */
    FULL_PIPE_READS = PIPE_BYTES / (BLOCK_BYTES * BLOCKS_AT_ONCE),
};

typedef struct program {
    const program_spec *spec;
    pid_t pid;
    int output; /* our end of its stdout and stderr */
    int64_t logged_bytes;
    bool cut;
    int64_t started_ms;
    int64_t term_ms; /* when SIGTERM was sent; 0: not */
    int64_t grace_ms;
    int64_t counted_ms; /* when its processes were */
    int last_pid;       /* that this machine had given away by then */
    program_result result;
} program;

/* --- in the child: only what is safe after fork in a process with threads --- */

_Noreturn static void give_up(void)
{
    int errnum = errno;
    (void)!write(3, &errnum, sizeof errnum);
    _exit(127);
}

static int limit(__rlimit_resource_t resource, int64_t most)
{
    const struct rlimit both = {(rlim_t)most, (rlim_t)most};
    return most > 0 ? setrlimit(resource, &both) : 0;
}

/* It computes with what tasks leave it: alone, and as a session where the kernel shares the processors out
 * between sessions (sched(7), "The autogroup feature"). */
static void stand_back(void)
{
    static const char nice_text[] = "10";
    int group = open("/proc/self/autogroup", O_WRONLY);
    (void)setpriority(PRIO_PROCESS, 0, 10);
    if (group < 0)
        return;
    (void)!write(group, nice_text, sizeof nice_text - 1);
    close(group);
}

/* Descriptor 3 tells the parent why there is no program; exec closes it. */
_Noreturn static void become(const program_spec *spec, pid_t parent, int output, int report)
{
    static const struct rlimit no_core = {0}, files = {FILES_SOFT, FILES_HARD},
                               processes = {PROCESSES_OF_USER, PROCESSES_OF_USER};
    sigset_t none;
    sigemptyset(&none);
    int null = open("/dev/null", O_RDONLY);
    /* First out of the way of 0..3, then into place. */
    int far_output = fcntl(output, F_DUPFD, 10), far_report = fcntl(report, F_DUPFD, 10);
    if (null < 0 || far_output < 0 || far_report < 0 || dup2(null, 0) < 0 || dup2(far_output, 1) < 0 ||
        dup2(far_output, 2) < 0 || dup3(far_report, 3, O_CLOEXEC) < 0)
        _exit(127);
    syscall(SYS_close_range, 4U, ~0U, 0U);
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        (void)signal(signal_number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    (void)setrlimit(RLIMIT_NPROC, &processes); /* of all programs of this user; root is not bound by it */
    if (spec->user != NULL && mr_account_become(spec->user) != 0)
        give_up();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of the user undoes */
    if (getppid() != parent)          /* it died before it could be told */
        _exit(127);
    if (limit(RLIMIT_DATA, spec->data_max_bytes) != 0 || limit(RLIMIT_FSIZE, spec->file_max_bytes) != 0 ||
        setrlimit(RLIMIT_CORE, &no_core) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0)
        give_up();
    if (setsid() < 0 || chdir(spec->folder) != 0)
        give_up();
    stand_back();
    execvpe(spec->arguments[0], spec->arguments, spec->environment);
    give_up();
}

/* --- output --- */

static void keep_tail(program *self, const char *data, size_t size)
{
    char *tail = self->result.tail;
    size_t had = strlen(tail);
    if (size >= PROGRAM_TAIL_BYTES) {
        data += size - PROGRAM_TAIL_BYTES;
        size = PROGRAM_TAIL_BYTES;
    }
    size_t keep = had + size > PROGRAM_TAIL_BYTES ? PROGRAM_TAIL_BYTES - size : had;
    memmove(tail, tail + had - keep, keep);
    for (size_t i = 0; i < size; i++)
        tail[keep + i] = data[i] >= 0 && data[i] < ' ' ? ' ' : data[i];
    tail[keep + size] = '\0';
}

static void log_output(program *self, const char *data, size_t size)
{
    static const char note[] = "\n[the rest of the output is left out: log.max.bytes]\n";
    int64_t room = self->spec->log_max_bytes - self->logged_bytes;
    size_t part = (int64_t)size < room ? size : (size_t)(room > 0 ? room : 0);
    if (part > 0)
        (void)!write(self->spec->log_fd, data, part);
    self->logged_bytes += (int64_t)part;
    if (part < size && !self->cut) {
        (void)!write(self->spec->log_fd, note, sizeof note - 1);
        self->cut = true;
    }
}

/* False when the other end is closed. */
static bool read_output(program *self)
{
    char block[BLOCK_BYTES];
    for (int i = 0; i < BLOCKS_AT_ONCE; i++) { /* then look at the time again */
        ssize_t size = read(self->output, block, sizeof block);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (size < 0)
            return true;
        log_output(self, block, (size_t)size);
        keep_tail(self, block, (size_t)size);
    }
    return true;
}

/* --- life
 * ---------------------------------------------------------------------------------------------------------
 */

static mr_err start(program *self, mr_error *ret_error)
{
    int output[2], report[2], errnum = 0;
    if (pipe2(output, O_CLOEXEC) != 0)
        return mr_fail_errno(ret_error, errno, "pipe");
    if (pipe2(report, O_CLOEXEC) != 0) {
        close(output[0]);
        close(output[1]);
        return mr_fail_errno(ret_error, errno, "pipe");
    }
    (void)fcntl(output[1], F_SETPIPE_SZ, PIPE_BYTES);
    /* So that a script may open /dev/stdout. */
    if (self->spec->user != NULL)
        (void)!fchown(output[1], self->spec->user->uid, self->spec->user->gid);
    self->started_ms = clock_ms();
    pid_t parent = getpid();
    self->pid = fork();
    if (self->pid == 0)
        become(self->spec, parent, output[1], report[1]);
    int fork_errnum = errno;
    close(output[1]);
    close(report[1]);
    self->output = output[0];
    (void)fcntl(self->output, F_SETFL, O_NONBLOCK);
    ssize_t size = self->pid < 0 ? 0 : read(report[0], &errnum, sizeof errnum);
    close(report[0]);
    if (self->pid < 0)
        return mr_fail_errno(ret_error, fork_errnum, "fork");
    if (size != sizeof errnum)
        return MR_OK;
    waitpid(self->pid, NULL, 0);
    self->pid = -1;
    return mr_classify(ret_error, mr_fail_errno(ret_error, errnum, "program %s", self->spec->arguments[0]),
                       MR_DATA);
}

/* The pid that was given away last: how fast it grows tells of a fork bomb long before a look at all of
 * /proc. */
static int newest_pid(void)
{
    char text[128], *last;
    int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    return (last = strrchr(text, ' ')) == NULL ? 0 : atoi(last);
}

static bool is_crowded(program *self, int64_t now)
{
    int last_pid = newest_pid();
    if (self->spec->processes_max == 0 ||
        (now - self->counted_ms < COUNT_EVERY_MS && abs(last_pid - self->last_pid) < MANY_STARTED))
        return false;
    self->counted_ms = now;
    self->last_pid = last_pid;
    int count = process_tree_count();
    if (count <= self->spec->processes_max)
        return false;
    self->result.processes = count;
    return true;
}

static program_end takes_too_much(program *self, int64_t now)
{
    if (self->spec->full != NULL && self->spec->full(self->spec->full_arg))
        return PROGRAM_FULL;
    return is_crowded(self, now) ? PROGRAM_CROWDED : PROGRAM_EXITED;
}

static program_end why_end(program *self, int64_t now)
{
    if (self->spec->stopping(self->spec->stopping_arg))
        return PROGRAM_STOPPED;
    if (now - self->started_ms >= self->spec->deadline_ms)
        return PROGRAM_LATE;
    return takes_too_much(self, now);
}

/* The leader of its process group is signalled with its group: shells pass nothing on. What takes more than
 * it may gets no time to take still more. */
static void end_if_due(program *self)
{
    int64_t now = clock_ms();
    if (self->result.end == PROGRAM_EXITED) {
        self->result.end = why_end(self, now);
        if (self->result.end == PROGRAM_EXITED)
            return;
        self->grace_ms = self->spec->grace_ms;
        if (self->result.end == PROGRAM_STOPPED && self->grace_ms > STOP_GRACE_MS)
            self->grace_ms = STOP_GRACE_MS; /* whoever stops us does not wait for long */
        self->term_ms = now;
        if (self->result.end != PROGRAM_CROWDED)
            self->result.processes = process_tree_count();
        if (self->result.end == PROGRAM_CROWDED || self->result.end == PROGRAM_FULL)
            self->grace_ms = 0;
        else
            (void)(kill(-self->pid, SIGTERM),
                   kill(-self->pid, SIGCONT)); /* one that is stopped hears nothing */
    }
    if (now - self->term_ms >= self->grace_ms || takes_too_much(self, now) != PROGRAM_EXITED)
        (void)process_tree_kill();
}

static bool is_over(program *self)
{
    int state;
    if (waitpid(self->pid, &state, WNOHANG) != self->pid)
        return false;
    self->result.exit_code = WIFSIGNALED(state) ? -WTERMSIG(state) : WEXITSTATUS(state);
    return true;
}

static void watch(program *self, int pidfd)
{
    bool open = true;
    mr_priority former = mr_priority_raise(); /* little to do, and that before any runaway */
    while (!is_over(self)) {
        /* Whoever prints without end waits for us, so that others do not wait for both. */
        bool passed_over = open && self->cut;
        struct pollfd fds[] = {{.fd = open && !passed_over ? self->output : -1, .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};
        (void)poll(fds, 2, passed_over ? PASS_OVER_MS : LOOK_EVERY_MS);
        if (passed_over || (open && fds[0].revents != 0))
            open = read_output(self);
        end_if_due(self);
    }
    mr_priority_restore(&former);
}

/* The tail was cut at a byte: what is no whole character at its start goes. */
static void mend_tail(program_result *result)
{
    char *tail = result->tail;
    size_t size = strlen(tail), skip = 0;
    while (skip < 4 && skip < size && !mr_utf8_valid((mr_slice){tail + skip, size - skip}))
        skip++;
    if (!mr_utf8_valid((mr_slice){tail + skip, size - skip}))
        for (size_t i = 0; i < size; i++)
            if (tail[i] < 0)
                tail[i] = '?';
    if (skip < 4)
        memmove(tail, tail + skip, size - skip + 1);
    for (size = strlen(tail); size > 0 && tail[size - 1] == ' '; size--)
        tail[size - 1] = '\0';
}

mr_err program_run(const program_spec *spec, program_result *ret_result, mr_error *ret_error)
{
    program self = {.spec = spec, .output = -1};
    mr_err err = start(&self, ret_error);
    if (err == MR_OK) {
        int pidfd = (int)syscall(SYS_pidfd_open, self.pid, 0);
        watch(&self, pidfd);
        if (pidfd >= 0)
            close(pidfd);
        MR_FAULT("program_ended");
        int left = 0;
        err = process_tree_end(KILL_MS, &left, ret_error);
        if (self.result.processes < left)
            self.result.processes = left;
        /* What was written before the end: at most a full pipe. Who else may hold its other end is not heard.
         */
        for (int i = 0; err == MR_OK && i < FULL_PIPE_READS && read_output(&self); i++)
            continue;
        mend_tail(&self.result);
    }
    if (self.output >= 0)
        close(self.output);
    if (err == MR_OK)
        *ret_result = self.result;
    return err;
}
