#include "worker/orphans.h"

#include "core/fault.h"
#include "core/process_end.h"
#include "core/slice.h"
#include "worker/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORDS_MAX = 20000, PATIENCE_MS = 5000, LOOK_AGAIN_MS = 10 };

struct orphans {
    char *dir;
    int lock_fd;
    int dir_fd;
    char boot_id[HOST_ID_BYTES];
};

mr_err orphans_open(const char *state_dir, orphans **ret_orphans, mr_error *ret_error)
{
    orphans *o = malloc(sizeof *o);
    if (o == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    *o = (orphans){.dir = strdup(state_dir), .lock_fd = -1, .dir_fd = -1};
    mr_err err =
        o->dir == NULL ? mr_fail(ret_error, MR_ENOMEM, "no memory") : host_boot_id(o->boot_id, ret_error);
    if (err == MR_OK && mkdir(state_dir, 0700) != 0 && errno != EEXIST)
        err = mr_fail_errno(ret_error, errno, "state.dir %s", state_dir);
    if (err == MR_OK && (o->dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err = mr_fail_errno(ret_error, errno, "state.dir %s", state_dir);
    if (err == MR_OK &&
        (o->lock_fd = openat(o->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        err = mr_fail_errno(ret_error, errno, "state.dir %s: lock", state_dir);
    if (err == MR_OK && flock(o->lock_fd, LOCK_EX | LOCK_NB) != 0)
        err = mr_fail(ret_error, MR_EREFUSED,
                      "state.dir %s is used by another worker: give each a folder of its own", state_dir);
    if (err == MR_OK)
        *ret_orphans = o;
    else
        orphans_close(&o);
    return err;
}

void orphans_close(orphans **o)
{
    if (*o == NULL)
        return;
    if ((*o)->lock_fd >= 0)
        close((*o)->lock_fd);
    if ((*o)->dir_fd >= 0)
        close((*o)->dir_fd);
    free((*o)->dir);
    free(*o);
    *o = NULL;
}

/* What was recorded in this life of the machine; lines that are no records are passed over. */
static size_t load(const orphans *o, task_record *records)
{
    char line[256];
    size_t count = 0;
    int fd = openat(o->dir_fd, "tasks", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL)
        return 0;
    bool ours = fgets(line, sizeof line, file) != NULL &&
                strncmp(line, o->boot_id, strlen(o->boot_id)) == 0 && line[strlen(o->boot_id)] == '\n';
    while (ours && count < RECORDS_MAX && fgets(line, sizeof line, file) != NULL) {
        task_record record;
        char end;
        if (sscanf(line, "%d %" SCNu64 "%c", &record.pid, &record.start_time, &end) == 3 && end == '\n' &&
            record.pid > 1)
            records[count++] = record;
    }
    fclose(file);
    return count;
}

static int by_pid(const void *a, const void *b)
{
    const task_record *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

typedef struct former_life {
    const task_record *records; /* by pid */
    size_t count;
} former_life;

/* Whether the process is a recorded task or of its session. A session whose leader is gone keeps its number
 * from being given away; where the leader lives it must be the recorded one. */
static bool is_left_behind(void *arg, const mr_process_table *table, const mr_process_info *process)
{
    const former_life *former = arg;
    task_record wanted = {.pid = process->session};
    const task_record *record =
        bsearch(&wanted, former->records, former->count, sizeof *former->records, by_pid);
    if (record == NULL || process->state == 'Z' || process->start_time < record->start_time)
        return false;
    const mr_process_info *leader = mr_process_table_find(table, record->pid);
    return leader == NULL || leader->start_time == record->start_time;
}

/* Until a look finds none: what was killed may have started others meanwhile. */
static mr_err kill_all(const task_record *records, size_t count, size_t *ret_killed, mr_error *ret_error)
{
    mr_process_table table = {0};
    former_life former = {records, count};
    mr_err err = MR_OK;
    *ret_killed = 0;
    for (int waited_ms = 0;; waited_ms += LOOK_AGAIN_MS) {
        size_t killed = mr_process_trees_kill(&table, is_left_behind, &former);
        if (killed > *ret_killed)
            *ret_killed = killed;
        if (killed == 0)
            break;
        if (waited_ms >= PATIENCE_MS) {
            err = mr_fail(ret_error, MR_ETIMEDOUT,
                          "%zu processes of former tasks are still there after %d ms", killed, PATIENCE_MS);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
    }
    mr_process_table_fini(&table);
    return err;
}

mr_err orphans_kill(orphans *o, size_t *ret_killed, mr_error *ret_error)
{
    task_record *records = calloc(RECORDS_MAX, sizeof *records);
    if (records == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    size_t count = load(o, records), killed = 0;
    mr_err err = MR_OK;
    if (count > 0) {
        qsort(records, count, sizeof *records, by_pid);
        err = kill_all(records, count, &killed, ret_error);
    }
    free(records);
    if (err == MR_OK)
        *ret_killed = killed;
    return err;
}

static mr_err write_whole(int fd, mr_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t size = write(fd, bytes.data, bytes.size);
        if (size < 0 && errno != EINTR)
            return MR_EIO;
        if (size > 0)
            bytes = (mr_slice){bytes.data + size, bytes.size - (size_t)size};
    }
    return MR_OK;
}

mr_err orphans_record(orphans *o, const task_record *tasks, size_t count, mr_error *ret_error)
{
    mr_buf text = {0};
    mr_err err = mr_buf_printf(&text, "%s\n", o->boot_id);
    for (size_t i = 0; err == MR_OK && i < count; i++)
        err = mr_buf_printf(&text, "%d %" PRIu64 "\n", tasks[i].pid, tasks[i].start_time);
    int fd = openat(o->dir_fd, "tasks.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (err != MR_OK)
        err = mr_fail(ret_error, err, "no memory");
    else if (fd < 0 || write_whole(fd, mr_buf_slice(&text)) != MR_OK ||
             renameat(o->dir_fd, "tasks.new", o->dir_fd, "tasks") != 0)
        err = mr_fail_errno(ret_error, errno, "state.dir %s: tasks", o->dir);
    if (fd >= 0)
        close(fd);
    mr_buf_fini(&text);
    if (err == MR_OK)
        MR_FAULT("worker_orphans_recorded");
    return err;
}
