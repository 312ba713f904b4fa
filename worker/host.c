#include "worker/host.h"

#include "proto/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line of a small file, which must be a valid name. */
static mr_err read_id(const char *path, char out[static HOST_ID_BYTES], mr_error *ret_error)
{
    char text[HOST_ID_BYTES];
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "%s", path);
    ssize_t size = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? read(fd, text, sizeof text - 1) : -1;
    close(fd);
    if (size < 0)
        return mr_fail(ret_error, MR_EIO, "%s: cannot be read", path);
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (!mr_name_valid(text))
        return mr_fail(ret_error, MR_EINVALID, "%s: holds no valid id", path);
    memcpy(out, text, sizeof text);
    return MR_OK;
}

mr_err host_boot_id(char out[static HOST_ID_BYTES], mr_error *ret_error)
{
    return read_id("/proc/sys/kernel/random/boot_id", out, ret_error);
}

uint32_t host_cpu_millis(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint32_t)CPU_COUNT(&set) * 1000;
    return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
}

uint64_t host_memory_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

mr_err host_random_id(char out[static HOST_ID_BYTES], mr_error *ret_error)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return mr_fail_errno(ret_error, errno, "getrandom");
    snprintf(out, HOST_ID_BYTES, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    return MR_OK;
}

mr_err host_staging_id(const char *staging_dir, char out[static HOST_ID_BYTES], mr_error *ret_error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/.staging-id", staging_dir);
    return read_id(path, out, ret_error);
}
