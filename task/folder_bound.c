#include "task/folder_bound.h"

#include "task/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 250,
    REST_SHARE = 20, /* a look that took long is followed by a rest so many times as long */
    DEPTH_MAX = 64,  /* of folders; one that is deeper counts as too much: each level holds a descriptor */
    BLOCK_BYTES = 512,
};

struct folder_bound {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t closing_changed;
    bool closing; /* under the lock */
    int folder_fd;
    int64_t max_bytes;
    atomic_bool stop; /* the same as closing, for a look that is under way */
    atomic_bool passed;
};

/* Bytes on disk below the folder, or more than the bound as soon as that is known. */
static int64_t add_up(const folder_bound *self, int folder_fd, int depth)
{
    int64_t bytes = 0;
    struct stat info;
    int fd = depth < DEPTH_MAX ? openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return depth < DEPTH_MAX ? 0 : self->max_bytes + 1;
    }
    for (struct dirent *entry; bytes <= self->max_bytes && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (atomic_load(&self->stop))
            break;
        bytes += (int64_t)info.st_blocks * BLOCK_BYTES;
        if (!S_ISDIR(info.st_mode))
            continue;
        int below = openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            bytes += add_up(self, below, depth + 1);
            close(below);
        }
    }
    closedir(dir);
    return bytes;
}

static void rest(folder_bound *self, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&self->lock);
    while (!self->closing &&
           pthread_cond_clockwait(&self->closing_changed, &self->lock, CLOCK_MONOTONIC, &until) == 0)
        continue;
    pthread_mutex_unlock(&self->lock);
}

static void *watch(void *arg)
{
    folder_bound *self = arg;
    while (!atomic_load(&self->stop)) {
        int64_t begun_ms = clock_ms();
        if (add_up(self, self->folder_fd, 0) > self->max_bytes)
            atomic_store(&self->passed, true);
        int64_t took_ms = clock_ms() - begun_ms;
        rest(self, LOOK_EVERY_MS + took_ms * REST_SHARE);
    }
    return NULL;
}

mr_err folder_bound_open(int folder_fd, int64_t max_bytes, folder_bound **ret_bound, mr_error *ret_error)
{
    folder_bound *self = calloc(1, sizeof *self);
    if (self == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->folder_fd = folder_fd;
    self->max_bytes = max_bytes;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->closing_changed, NULL);
    int failed = pthread_create(&self->thread, NULL, watch, self);
    if (failed != 0) {
        pthread_cond_destroy(&self->closing_changed);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return mr_fail_errno(ret_error, failed, "thread");
    }
    *ret_bound = self;
    return MR_OK;
}

bool folder_bound_passed(const folder_bound *self)
{
    return self != NULL && atomic_load(&self->passed);
}

void folder_bound_close(folder_bound **bound)
{
    folder_bound *self = *bound;
    if (self == NULL)
        return;
    atomic_store(&self->stop, true);
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_cond_signal(&self->closing_changed);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->closing_changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *bound = NULL;
}
