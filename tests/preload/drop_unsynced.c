/* drop_unsynced.c - LD_PRELOAD library: when the process kills itself, it loses what a power cut would take.
 *
 * kill -9 leaves the page cache, so a forgotten fsync goes unnoticed. Here, below MR_PRELOAD_ROOT, every
 * change to a file or folder is remembered with its undo until an fsync covers it: data and size by fsync of
 * the file, names (create, rename, unlink, mkdir) by fsync of every folder they stand in. kill(getpid(),
 * SIGKILL) - the way a fault point dies - first undoes what is left, newest first. Shared memory files of
 * SQLite (-shm) are left alone: they are rebuilt by the first one to open the database. Not seen: stdio's own
 * writes, mmap, other processes' changes.
 *
 * The files opened here to read old bytes stay open: closing any descriptor of a file drops the POSIX locks
 * that SQLite holds on it in this process.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real_function(#name))

enum { FOLDERS_OF_A_CHANGE = 2 };

typedef enum change_kind { CHANGED_DATA, CREATED, RENAMED, REMOVED } change_kind;

typedef struct change {
    struct change *older;
    change_kind kind;
    bool durable;
    dev_t device;
    ino_t inode; /* of the file */
    struct {
        bool pending; /* its folder has not been synced since */
        dev_t device;
        ino_t inode;
    } folders[FOLDERS_OF_A_CHANGE];
    int fd;         /* to write old bytes back, or the removed file's content; -1 */
    off_t old_size; /* CHANGED_DATA */
    off_t offset;
    size_t size;
    char *bytes;
    mode_t mode;
    char *path;     /* where it stands now (CREATED, RENAMED) or stood (REMOVED) */
    char *old_path; /* RENAMED */
} change;

static struct {
    pthread_mutex_t lock;
    change *newest;
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One descriptor for each file whose old bytes were read, never closed and not open for writing: a program
 * among them may be started. */
typedef struct known_file {
    struct known_file *next;
    dev_t device;
    ino_t inode;
    int fd;
} known_file;

static known_file *known_files; /* under the journal's lock */

static __thread bool inside; /* our own calls are not recorded */

static void *real_function(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

static bool below_root(const char *path)
{
    const char *root = getenv("MR_PRELOAD_ROOT");
    size_t size = strlen(path);
    if (root == NULL || strncmp(path, root, strlen(root)) != 0)
        return false;
    return !(size > 4 && strcmp(path + size - 4, "-shm") == 0);
}

/* Absolute path of name below a folder descriptor; false when it cannot be told. */
static bool path_of(int folder, const char *name, char path[PATH_MAX])
{
    char base[PATH_MAX] = "";
    if (name[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, base, sizeof base - 1);
        if (size < 0)
            return false;
        base[size] = '\0';
    }
    int size = snprintf(path, PATH_MAX, "%s%s%s", base, name[0] == '/' ? "" : "/", name);
    return size > 0 && size < PATH_MAX && below_root(path);
}

static bool path_of_fd(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    return below_root(path);
}

static change *change_open(change_kind kind)
{
    change *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->kind = kind;
    c->fd = -1;
    return c;
}

static void remember(change *c)
{
    pthread_mutex_lock(&journal.lock);
    c->older = journal.newest;
    journal.newest = c;
    pthread_mutex_unlock(&journal.lock);
}

static void stands_in(change *c, int slot, const char *path)
{
    char folder[PATH_MAX];
    struct stat status;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    if (stat(folder, &status) == 0) {
        c->folders[slot].pending = true;
        c->folders[slot].device = status.st_dev;
        c->folders[slot].inode = status.st_ino;
    }
}

/* The descriptor of this file that stays open. */
static int known_fd(int fd, const struct stat *status)
{
    char link[64];
    pthread_mutex_lock(&journal.lock);
    known_file *file = known_files;
    while (file != NULL && (file->device != status->st_dev || file->inode != status->st_ino))
        file = file->next;
    if (file == NULL && (file = calloc(1, sizeof *file)) != NULL) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        *file =
            (known_file){known_files, status->st_dev, status->st_ino, REAL(open)(link, O_RDONLY | O_CLOEXEC)};
        known_files = file;
    }
    pthread_mutex_unlock(&journal.lock);
    return file == NULL ? -1 : file->fd;
}

/* --- what is about to change --- */

static void before_data_change(int fd, off_t offset, size_t size)
{
    struct stat status;
    char path[PATH_MAX];
    if (inside || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    inside = true;
    if (path_of_fd(fd, path)) {
        change *c = change_open(CHANGED_DATA);
        c->fd = known_fd(fd, &status);
        c->device = status.st_dev;
        c->inode = status.st_ino;
        c->old_size = status.st_size;
        c->offset = offset;
        if (offset < status.st_size) {
            c->size = (size_t)(status.st_size - offset) < size ? (size_t)(status.st_size - offset) : size;
            c->bytes = malloc(c->size);
            if (c->bytes == NULL || pread(c->fd, c->bytes, c->size, offset) != (ssize_t)c->size)
                c->size = 0;
        }
        remember(c);
    }
    inside = false;
}

static off_t write_place(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat status;
    if (flags >= 0 && (flags & O_APPEND) != 0 && fstat(fd, &status) == 0)
        return status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static void after_create(int folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    if (inside)
        return;
    inside = true;
    if (path_of(folder, name, path) && lstat(path, &status) == 0) {
        change *c = change_open(CREATED);
        c->device = status.st_dev;
        c->inode = status.st_ino;
        c->mode = status.st_mode;
        c->path = strdup(path);
        stands_in(c, 0, path);
        remember(c);
    }
    inside = false;
}

/* A name that goes away or is replaced: its content is kept by an open descriptor. */
static change *before_remove(int folder, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    change *c = NULL;
    if (inside)
        return NULL;
    inside = true;
    if (path_of(folder, name, path) && lstat(path, &status) == 0 &&
        (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
        c = change_open(REMOVED);
        c->mode = status.st_mode;
        c->path = strdup(path);
        if (S_ISREG(status.st_mode))
            c->fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
        stands_in(c, 0, path);
    }
    inside = false;
    return c;
}

static void change_close(change *c)
{
    if (c == NULL)
        return;
    free(c->bytes);
    free(c->path);
    free(c->old_path);
    free(c);
}

static void after_remove(change *c, bool done)
{
    if (c != NULL && done)
        remember(c);
    else
        change_close(c);
}

static int renamed(int old_folder, const char *old_name, int new_folder, const char *new_name, unsigned flags)
{
    char old_path[PATH_MAX], new_path[PATH_MAX];
    struct stat status;
    if (inside || !path_of(old_folder, old_name, old_path) || !path_of(new_folder, new_name, new_path))
        return REAL(renameat2)(old_folder, old_name, new_folder, new_name, flags);
    change *replaced = (flags & RENAME_NOREPLACE) != 0 ? NULL : before_remove(new_folder, new_name);
    int result = REAL(renameat2)(old_folder, old_name, new_folder, new_name, flags);
    int saved = errno;
    after_remove(replaced, result == 0);
    if (result == 0) {
        inside = true;
        change *c = change_open(RENAMED);
        c->path = strdup(new_path);
        c->old_path = strdup(old_path);
        if (lstat(new_path, &status) == 0) {
            c->device = status.st_dev;
            c->inode = status.st_ino;
        }
        stands_in(c, 0, new_path);
        stands_in(c, 1, old_path);
        remember(c);
        inside = false;
    }
    errno = saved;
    return result;
}

/* --- what becomes durable, and what is lost --- */

static void synced(int fd)
{
    struct stat status;
    if (inside || fstat(fd, &status) != 0)
        return;
    pthread_mutex_lock(&journal.lock);
    for (change *c = journal.newest; c != NULL; c = c->older) {
        if (c->kind == CHANGED_DATA) {
            if (c->device == status.st_dev && c->inode == status.st_ino)
                c->durable = true;
            continue;
        }
        bool pending = false;
        for (int i = 0; i < FOLDERS_OF_A_CHANGE; i++) {
            if (c->folders[i].device == status.st_dev && c->folders[i].inode == status.st_ino)
                c->folders[i].pending = false;
            pending = pending || c->folders[i].pending;
        }
        c->durable = !pending;
    }
    change **link = &journal.newest;
    while (*link != NULL) {
        change *c = *link;
        if (c->durable) {
            *link = c->older;
            change_close(c);
        } else {
            link = &c->older;
        }
    }
    pthread_mutex_unlock(&journal.lock);
}

static void put_back(const change *c)
{
    char block[65536];
    ssize_t size;
    off_t offset = 0;
    if (S_ISDIR(c->mode)) {
        REAL(mkdir)(c->path, c->mode & 07777);
        return;
    }
    int fd = REAL(open)(c->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, c->mode & 07777);
    while (fd >= 0 && (size = pread(c->fd, block, sizeof block, offset)) > 0) {
        if (REAL(pwrite)(fd, block, (size_t)size, offset) != size)
            break;
        offset += size;
    }
}

static void write_back(const change *c)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", c->fd);
    int fd = REAL(open)(link, O_RDWR | O_CLOEXEC);
    if (c->size > 0 && REAL(pwrite)(fd, c->bytes, c->size, c->offset) < 0)
        perror("drop_unsynced: pwrite");
    if (REAL(ftruncate)(fd, c->old_size) != 0)
        perror("drop_unsynced: ftruncate");
    close(fd);
}

static void undo(const change *c)
{
    struct stat status;
    switch (c->kind) {
    case CHANGED_DATA:
        write_back(c);
        return;
    case CREATED:
        if (lstat(c->path, &status) == 0 && status.st_ino == c->inode)
            REAL(unlinkat)(AT_FDCWD, c->path, S_ISDIR(c->mode) ? AT_REMOVEDIR : 0);
        return;
    case RENAMED:
        if (lstat(c->path, &status) == 0 && status.st_ino == c->inode)
            REAL(renameat2)(AT_FDCWD, c->path, AT_FDCWD, c->old_path, RENAME_NOREPLACE);
        return;
    case REMOVED:
        put_back(c);
        return;
    }
}

static void lose_power(void)
{
    inside = true;
    pthread_mutex_lock(&journal.lock);
    size_t count = 0;
    for (const change *c = journal.newest; c != NULL; c = c->older, count++)
        undo(c);
    fprintf(stderr, "drop_unsynced: %zu changes were not synced and are lost\n", count);
}

int kill(pid_t pid, int number)
{
    if (pid == getpid() && number == SIGKILL)
        lose_power();
    return REAL(kill)(pid, number);
}

/* --- the calls --- */

static bool missing(int folder, const char *name)
{
    struct stat status;
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0;
}

static int opened(int folder, const char *name, int flags, mode_t mode)
{
    bool creates = (flags & O_CREAT) != 0 && (flags & O_TMPFILE) != O_TMPFILE && missing(folder, name);
    if ((flags & O_TRUNC) != 0 && !creates && !inside) {
        inside = true;
        int old = REAL(openat)(folder, name, O_RDWR | O_CLOEXEC); /* stays open, see above */
        inside = false;
        struct stat status;
        if (old >= 0 && fstat(old, &status) == 0)
            before_data_change(old, 0, (size_t)status.st_size);
    }
    int fd = REAL(openat)(folder, name, flags, mode);
    int saved = errno;
    if (fd >= 0 && creates)
        after_create(folder, name);
    errno = saved;
    return fd;
}

#define MODE_ARGUMENT(flags)                                                                                 \
    mode_t mode = 0;                                                                                         \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                            \
        va_list args;                                                                                        \
        va_start(args, flags);                                                                               \
        mode = va_arg(args, mode_t);                                                                         \
        va_end(args);                                                                                        \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return opened(folder, path, flags, mode);
}

/* openat2 has no wrapper in the C library. */
long syscall(long number, ...)
{
    va_list args;
    long a[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    bool creates = false;
    if (number == SYS_openat2)
        creates =
            (((const struct open_how *)a[2])->flags & O_CREAT) != 0 && missing((int)a[0], (const char *)a[1]);
    long result = REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int saved = errno;
    if (creates && result >= 0)
        after_create((int)a[0], (const char *)a[1]);
    errno = saved;
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    before_data_change(fd, write_place(fd), size);
    return REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    before_data_change(fd, write_place(fd), size);
    return REAL(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    before_data_change(fd, offset, size);
    return REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    before_data_change(fd, offset, size);
    return REAL(pwrite)(fd, data, size, offset);
}

int ftruncate(int fd, off_t size)
{
    before_data_change(fd, size, SSIZE_MAX);
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off_t size)
{
    before_data_change(fd, size, SSIZE_MAX);
    return REAL(ftruncate)(fd, size);
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned flags)
{
    before_data_change(out, out_offset != NULL ? *out_offset : write_place(out), size);
    return REAL(copy_file_range)(in, in_offset, out, out_offset, size, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (request == FICLONE)
        before_data_change(fd, 0, SSIZE_MAX);
    return REAL(ioctl)(fd, request, argument);
}

int fsync(int fd)
{
    int result = REAL(fsync)(fd);
    if (result == 0)
        synced(fd);
    return result;
}

int fdatasync(int fd)
{
    int result = REAL(fdatasync)(fd);
    if (result == 0)
        synced(fd);
    return result;
}

int rename(const char *from, const char *to)
{
    return renamed(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return renamed(from_folder, from, to_folder, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return renamed(from_folder, from, to_folder, to, flags);
}

int unlinkat(int folder, const char *name, int flags)
{
    change *c = before_remove(folder, name);
    int result = REAL(unlinkat)(folder, name, flags);
    int saved = errno;
    after_remove(c, result == 0);
    errno = saved;
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    int result = REAL(mkdirat)(folder, name, mode);
    int saved = errno;
    if (result == 0)
        after_create(folder, name);
    errno = saved;
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}
