/* program_task.c - one attempt of a tenant's program: copies in, program, seal. One process is one attempt;
 * only a manifest that is there already is reported again. A disk that refuses uses up no attempt: what the
 * program has made is sealed later, and a program that failed while there was no room runs again. */
#include "connectors/files/manifest.h"
#include "core/fault.h"
#include "core/log.h"
#include "task/attempt_folder.h"
#include "task/folder.h"
#include "task/folder_bound.h"
#include "task/process_tree.h"
#include "task/program_process.h"
#include "task/seal.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ORPHAN_KILL_MS = 5000, LEAST_ROOM_BYTES = 1024 * 1024, FILES_MAX = 100000 };

#define PROBE ".probe"

typedef struct step {
    task_context *task;
    const assignment *work;
    const char *run_dir;
    int run_fd;
    int log_fd;
    seal_spec seal;
    attempt_folder folder;
    mr_account account;
    const mr_account *user; /* whom the program runs as; NULL: as this process */
    json_t *command;
    json_t *environment;    /* array of texts NAME=VALUE */
    int64_t disk_max_bytes; /* copies of the run's files included; 0: no bound */
    Mr__Proto__ProgramProgress progress;
} step;

static char out_of_memory[] = "out of memory";

/* --- what is run --- */

static mr_err put_environment(step *self, const char *name, const char *value, mr_error *ret_error)
{
    mr_buf line = {0};
    mr_err err = mr_buf_printf(&line, "%s=%s", name, value);
    if (err == MR_OK && json_array_append_new(self->environment, json_stringn(line.data, line.size)) != 0)
        err = MR_ENOMEM;
    mr_buf_fini(&line);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "%s", out_of_memory);
}

static mr_err put_own_environment(step *self, json_t *own, mr_error *ret_error)
{
    const char *name;
    json_t *value;
    if (!json_is_object(own))
        return mr_fail(ret_error, MR_EINVALID, "program.env: not a JSON object of texts");
    json_object_foreach(own, name, value)
    {
        if (!json_is_string(value) || strchr(name, '=') != NULL || *name == '\0')
            return mr_fail(ret_error, MR_EINVALID, "program.env: \"%s\" is not a name with a text", name);
        mr_err err = put_environment(self, name, json_string_value(value), ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static const char *client_of(const step *self)
{
    const char *client = assignment_text(self->work, "client");
    return client == NULL ? self->work->identity.tenant : client;
}

/* Own variables come last and win. */
static mr_err build_environment(step *self, mr_error *ret_error)
{
    const char *const fixed[][2] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", self->folder.path},
        {"LANG", "C.UTF-8"},
        {"TZ", "UTC"},
        {"CLIENT_ID", client_of(self)},
        {"SOURCE_PATH", self->folder.path},
        {"PROGRAM_DIR", assignment_text(self->work, "program.dir")}, /* NULL: a command without a folder */
    };
    json_t *own = json_loads(assignment_text(self->work, "program.env"), JSON_REJECT_DUPLICATES, NULL);
    mr_err err = MR_OK;
    self->environment = json_array();
    for (size_t i = 0; err == MR_OK && i < sizeof fixed / sizeof fixed[0]; i++)
        if (fixed[i][1] != NULL && json_object_get(own, fixed[i][0]) == NULL)
            err = put_environment(self, fixed[i][0], fixed[i][1], ret_error);
    if (err == MR_OK)
        err = put_own_environment(self, own, ret_error);
    json_decref(own);
    return err;
}

/* A first word with a slash lies in the program's folder, unless it is absolute. */
static mr_err build_command(step *self, mr_error *ret_error)
{
    self->command = json_loads(assignment_text(self->work, "program.command"), JSON_REJECT_DUPLICATES, NULL);
    const char *first = json_string_value(json_array_get(self->command, 0));
    if (first == NULL || *first == '\0')
        return mr_fail(ret_error, MR_EINVALID, "program.command is empty");
    if (*first == '/' || strchr(first, '/') == NULL)
        return MR_OK;
    if (assignment_text(self->work, "program.dir") == NULL)
        return mr_fail(ret_error, MR_EINVALID,
                       "program.command: %s lies in no folder: program.dir is missing", first);
    mr_buf path = {0};
    mr_err err = mr_buf_printf(&path, "%s/%s", assignment_text(self->work, "program.dir"),
                               strncmp(first, "./", 2) == 0 ? first + 2 : first);
    if (err == MR_OK && json_array_set_new(self->command, 0, json_stringn(path.data, path.size)) != 0)
        err = MR_ENOMEM;
    mr_buf_fini(&path);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "%s", out_of_memory);
}

/* Borrowed texts with a NULL behind them; the array is the caller's. */
static char **texts_of(const json_t *list)
{
    size_t count = json_array_size(list);
    char **texts = calloc(count + 1, sizeof *texts);
    for (size_t i = 0; texts != NULL && i < count; i++)
        texts[i] = (char *)json_string_value(json_array_get(list, i));
    return texts;
}

static bool stopping(void *arg)
{
    return control_stopping(arg);
}

/* --- the attempt --- */

static void describe(const step *self, const program_result *result, char *how, size_t size)
{
    const int64_t disk_mib = self->disk_max_bytes >> 20;
    switch (result->end) {
    case PROGRAM_LATE:
        snprintf(how, size, "ran past its deadline of %" PRId64 " s",
                 assignment_integer(self->work, "program.deadline.seconds"));
        return;
    case PROGRAM_STOPPED:
        snprintf(how, size, "was ended because the task was told to stop");
        return;
    case PROGRAM_CROWDED:
        snprintf(how, size, "had more than %" PRId64 " processes at a time (resources.limits.processes)",
                 assignment_integer(self->work, "program.processes.max"));
        return;
    case PROGRAM_FULL:
        snprintf(how, size, "filled its folder with more than %" PRId64 " MiB (resources.limits.disk)",
                 disk_mib);
        return;
    case PROGRAM_EXITED:
        break;
    }
    if (result->exit_code == -SIGXFSZ)
        snprintf(how, size, "wrote a file of more than %" PRId64 " MiB (resources.limits.disk)", disk_mib);
    else if (result->exit_code < 0)
        snprintf(how, size, "was killed by signal %d (%s)", -result->exit_code,
                 strsignal(-result->exit_code));
    else
        snprintf(how, size, "ended with exit code %d", result->exit_code);
}

/* Why an attempt did not win, in words for the run. */
static mr_err judge(step *self, const program_result *result, mr_error *ret_error)
{
    char how[200], with[64] = "";
    self->progress.exit_code = result->exit_code;
    status_program(self->task->status, &self->progress);
    if (result->exit_code == 0 && result->end == PROGRAM_EXITED) {
        if (result->processes > 0)
            dprintf(self->log_fd, "--- %d processes that it left behind were ended\n", result->processes);
        return MR_OK;
    }
    if (result->processes > 0)
        snprintf(with, sizeof with, ", ended with %d process%s", result->processes,
                 result->processes == 1 ? "" : "es");
    describe(self, result, how, sizeof how);
    dprintf(self->log_fd, "--- %s%s\n", how, with);
    mr_err err = mr_fail(ret_error, MR_EREFUSED, "program %s%s%s%s", how, with,
                         result->tail[0] == '\0' ? "" : "; last output: ", result->tail);
    return mr_classify(ret_error, err, MR_DATA);
}

/* The worker is gone, and so are we in a moment: what cannot be killed by then does not end. */
static void kill_tree(void *arg)
{
    int killed;
    (void)arg;
    (void)process_tree_end(ORPHAN_KILL_MS, &killed, NULL);
}

static bool is_full(void *arg)
{
    return folder_bound_passed(arg);
}

static mr_err run_program(step *self, mr_error *ret_error)
{
    program_result result = {.exit_code = 0};
    int64_t written_max_bytes = assignment_integer(self->work, "program.disk.max.bytes");
    if (written_max_bytes > 0 && (uint64_t)written_max_bytes < INT64_MAX - self->folder.bytes)
        self->disk_max_bytes = written_max_bytes + (int64_t)self->folder.bytes;
    char **arguments = texts_of(self->command), **environment = texts_of(self->environment);
    program_spec spec = {
        .arguments = arguments,
        .environment = environment,
        .folder = self->folder.path,
        .user = self->user,
        .deadline_ms = assignment_integer(self->work, "program.deadline.seconds") * 1000,
        .grace_ms = assignment_integer(self->work, "program.grace.seconds") * 1000,
        .log_fd = self->log_fd,
        .log_max_bytes = assignment_integer(self->work, "log.max.bytes"),
        .data_max_bytes = assignment_integer(self->work, "program.data.max.bytes"),
        .file_max_bytes = self->disk_max_bytes,
        .processes_max = (int)assignment_integer(self->work, "program.processes.max"),
        .full = is_full,
        .stopping = stopping,
        .stopping_arg = self->task->control,
    };
    folder_bound *bound = NULL;
    mr_err err =
        arguments == NULL || environment == NULL ? mr_fail(ret_error, MR_ENOMEM, "%s", out_of_memory) : MR_OK;
    if (err == MR_OK && self->disk_max_bytes > 0)
        err = folder_bound_open(self->folder.fd, self->disk_max_bytes, &bound, ret_error);
    spec.full_arg = bound;
    status_step(self->task->status, "program");
    control_on_orphaned(self->task->control, kill_tree, NULL);
    if (err == MR_OK)
        err = program_run(&spec, &result, ret_error);
    control_on_orphaned(self->task->control, NULL, NULL);
    folder_bound_close(&bound);
    free(arguments);
    free(environment);
    return err == MR_OK ? judge(self, &result, ret_error) : err;
}

/* Can it be written, and has it so much room? */
static mr_err check_disk(const step *self, int64_t needed_bytes, mr_error *ret_error)
{
    struct statvfs disk;
    static const char bytes[4096];
    int fd = openat(self->run_fd, PROBE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool fails = fd < 0 || write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fsync(fd) != 0;
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    (void)unlinkat(self->run_fd, PROBE, 0);
    if (fails)
        return mr_fail_errno(ret_error, errnum, "staging %s", self->run_dir);
    if (fstatvfs(self->run_fd, &disk) != 0)
        return mr_fail_errno(ret_error, errno, "staging %s", self->run_dir);
    int64_t free_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
    if (free_bytes >= needed_bytes)
        return MR_OK;
    return mr_fail_errno(ret_error, ENOSPC, "staging %s: %" PRId64 " bytes are free, %" PRId64 " are needed",
                         self->run_dir, free_bytes, needed_bytes);
}

/* A disk without room is to blame, unless there is enough for another attempt once this one's files are gone:
 * then the program has filled it. */
static mr_err blame_disk(step *self, mr_err err, mr_error *ret_error)
{
    mr_error disk;
    int64_t needed_bytes =
        2 * (int64_t)self->folder.bytes + LEAST_ROOM_BYTES; /* copies, and what is made of them */
    if (check_disk(self, LEAST_ROOM_BYTES, &disk) == MR_OK)
        return err;
    attempt_folder_close(&self->folder);
    if (check_disk(self, needed_bytes, &disk) == MR_OK)
        return err;
    disk.code = mr_wrap(ret_error, disk.code, "%.300s", disk.text);
    ret_error->code = disk.code;
    return mr_classify(ret_error, disk.code, MR_TRANSIENT);
}

/* What the program has made is kept while the disk refuses. */
static mr_err seal_patiently(step *self, const char *out, seal_result *result, mr_error *ret_error)
{
    for (;;) {
        mr_err err = seal_folder(&self->seal, out, result, ret_error);
        if (err == MR_OK || ret_error->class != MR_TRANSIENT || control_stopping(self->task->control))
            return err;
        mr_wrap(ret_error, err, "staging %s", self->run_dir);
        int wait_ms = mr_backoff_next_ms(&self->task->backoff);
        mr_log_failure(MR_WARN, "sealing failed, another try follows", ret_error, MR_INT("wait_ms", wait_ms));
        status_failure(self->task->status, ret_error);
        control_wait(self->task->control, wait_ms);
    }
}

static mr_err open_log(step *self, mr_error *ret_error)
{
    self->log_fd =
        openat(self->run_fd, "program.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (self->log_fd < 0)
        return mr_fail_errno(ret_error, errno, "program.log");
    dprintf(self->log_fd, "--- attempt %s, epoch %" PRId64 "\n",
            assignment_text(self->work, "program.attempt"), self->work->identity.epoch);
    return MR_OK;
}

static mr_err find_user(step *self, mr_error *ret_error)
{
    const char *name = assignment_text(self->work, "program.user");
    if (name == NULL)
        return MR_OK;
    self->user = &self->account;
    return mr_account_find(name, &self->account, ret_error);
}

static mr_err with_program(step *self, seal_result *result, mr_error *ret_error)
{
    mr_buf out = {0};
    status_step(self->task->status, "copy");
    mr_err err = process_tree_adopt(ret_error);
    if (err == MR_OK)
        err = find_user(self, ret_error);
    if (err == MR_OK)
        err = attempt_folder_open(self->run_dir, self->run_fd, self->work->identity.epoch, client_of(self),
                                  self->user, &self->folder, ret_error);
    if (err == MR_OK)
        err = build_command(self, ret_error);
    if (err == MR_OK)
        err = build_environment(self, ret_error);
    if (err == MR_OK)
        err = open_log(self, ret_error);
    MR_FAULT("program_folder_ready");
    if (err == MR_OK)
        err = run_program(self, ret_error);
    if (err != MR_OK && ret_error->class == MR_DATA)
        err = blame_disk(self, err, ret_error);
    status_step(self->task->status, "seal");
    if (err == MR_OK && mr_buf_printf(&out, "%s/%s/out", self->folder.name, client_of(self)) != MR_OK)
        err = mr_fail(ret_error, MR_ENOMEM, "%s", out_of_memory);
    if (err == MR_OK)
        err = seal_patiently(self, out.data, result, ret_error);
    mr_buf_fini(&out);
    return err;
}

static mr_err report(step *self, const seal_result *result, bool has_program, mr_error *ret_error)
{
    const char *run_name = strrchr(self->run_dir, '/');
    mr_buf sealed = {0};
    mr_err err =
        attempt_count_claimed(self->run_fd, &self->progress.files_in, &self->progress.bytes_in, ret_error);
    if (err == MR_OK && has_program)
        err = mr_buf_printf(&sealed, "runs/%s/sealed-%" PRId64,
                            run_name == NULL ? self->run_dir : run_name + 1, self->work->identity.epoch);
    if (err != MR_OK)
        return err;
    self->progress.sealed = true;
    if (sealed.data != NULL)
        self->progress.sealed_dir = sealed.data;
    self->progress.manifest_sha256 = (char *)result->manifest_sha256;
    self->progress.files_out = result->files;
    self->progress.bytes_out = result->bytes;
    status_program(self->task->status, &self->progress);
    mr_log(MR_INFO, "attempt sealed", MR_STR("run", self->work->run_uid),
           MR_INT("files_in", self->progress.files_in), MR_INT("files_out", result->files),
           MR_INT("bytes_out", result->bytes), MR_STR("manifest_sha256", result->manifest_sha256));
    mr_buf_fini(&sealed);
    return MR_OK;
}

static mr_err fulfil(step *self, mr_error *ret_error)
{
    seal_result result;
    bool has_program = mr_props_get(self->work->props, "program.dir") != NULL ||
                       mr_props_get(self->work->props, "program.command") != NULL;
    mr_err err = seal_read(&self->seal, &result, ret_error);
    if (err == MR_ENOTFOUND)
        err = has_program ? with_program(self, &result, ret_error)
                          : seal_claimed(&self->seal, &result, ret_error);
    return err == MR_OK ? report(self, &result, has_program, ret_error) : err;
}

mr_err program_attempt(task_context *task, task_outcome *ret_outcome, int64_t *ret_stored_epoch,
                       mr_error *ret_error)
{
    step self = {.task = task, .work = task->assignment, .run_fd = -1, .log_fd = -1, .folder = {.fd = -1}};
    (void)ret_stored_epoch; /* who may win is the coordinator's to say, by the epoch in the manifest's name */
    self.run_dir = assignment_text(self.work, "run.dir");
    mr__proto__program_progress__init(&self.progress);
    self.progress.run_uid = (char *)self.work->run_uid;
    status_state(task->status, MR__PROTO__TASK_STATE__RUNNING);
    mr_err err = folder_open(self.run_dir, &self.run_fd, ret_error);
    self.seal = (seal_spec){.run_fd = self.run_fd,
                            .epoch = self.work->identity.epoch,
                            .run_uid = self.work->run_uid,
                            .datasets = assignment_text(self.work, "datasets"),
                            .files_max = FILES_MAX,
                            .manifest_max_bytes = MANIFEST_MAX_BYTES - 1024};
    if (err == MR_OK)
        err = fulfil(&self, ret_error);
    if (err == MR_OK)
        *ret_outcome = TASK_ENDED;
    else if (ret_error->class == MR_TRANSIENT && strstr(ret_error->text, self.run_dir) == NULL)
        mr_wrap(ret_error, err, "staging %s", self.run_dir);
    attempt_folder_close(&self.folder);
    json_decref(self.command);
    json_decref(self.environment);
    if (self.log_fd >= 0)
        close(self.log_fd);
    if (self.run_fd >= 0)
        close(self.run_fd);
    return err;
}
