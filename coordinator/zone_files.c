/* zone_files.c - zones by name, from the system's zone data. A name leads nowhere else: its characters cannot
 * form `.` or `..`, and it begins with a letter. */
#include "coordinator/time_zone.h"
#include "core/options.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 64 * 1024 };

static const char *folder(void)
{
    const char *dir = getenv("TZDIR");
    return dir != NULL && *dir == '/' ? dir : "/usr/share/zoneinfo";
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Europe/Helsinki, Etc/GMT+5: parts that begin with a letter. */
static bool name_valid(const char *name)
{
    bool begins = true;
    for (; *name != '\0'; name++) {
        if (begins && !is_letter(*name))
            return false;
        begins = *name == '/';
        if (!is_letter(*name) && strchr("0123456789_+-/", *name) == NULL)
            return false;
    }
    return !begins;
}

/* Reads a whole regular file. MR_ENOTFOUND: there is none. */
static mr_err read_zone(const char *name, char *bytes, size_t *ret_size, mr_error *ret_error)
{
    char path[512];
    struct stat status;
    snprintf(path, sizeof path, "%.400s/%s", folder(), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? MR_ENOTFOUND
                   : mr_fail(ret_error, MR_EIO, "time zone %s: %s: %s", name, path, strerror(errno));
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    size_t size = 0;
    ssize_t count = 0;
    while (regular && size < MAX_FILE_BYTES &&
           ((count = read(fd, bytes + size, MAX_FILE_BYTES - size)) > 0 || (count < 0 && errno == EINTR)))
        size += count > 0 ? (size_t)count : 0;
    close(fd);
    if (!regular)
        return MR_ENOTFOUND; /* "Europe" */
    if (count < 0 || size == MAX_FILE_BYTES)
        return mr_fail(ret_error, MR_EIO, "time zone %s: %s cannot be read, or is too large", name, path);
    *ret_size = size;
    return MR_OK;
}

/* The name of an installed zone that is nearest; false: none is near. */
static bool nearest_zone(const char *name, char nearest[MR_ZONE_NAME_BYTES])
{
    char root[512];
    snprintf(root, sizeof root, "%.400s", folder());
    char *const roots[] = {root, NULL};
    size_t skip = strlen(root) + 1;
    nearest[0] = '\0';
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return false;
    for (FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_D && entry->fts_level == 1 &&
            (strcmp(entry->fts_name, "posix") == 0 || strcmp(entry->fts_name, "right") == 0))
            fts_set(walk, entry, FTS_SKIP);
        if (entry->fts_info != FTS_F || strlen(entry->fts_path) - skip >= MR_ZONE_NAME_BYTES ||
            !name_valid(entry->fts_path + skip))
            continue;
        const char *known[] = {nearest, entry->fts_path + skip};
        const bool first = nearest[0] == '\0';
        const char *best = mr_nearest_name(name, first ? known + 1 : known, first ? 1 : 2);
        if (best == known[1])
            snprintf(nearest, MR_ZONE_NAME_BYTES, "%s", best);
    }
    fts_close(walk);
    return nearest[0] != '\0';
}

static mr_err refuse(const char *name, mr_error *ret_error)
{
    char nearest[MR_ZONE_NAME_BYTES], hint[MR_ZONE_NAME_BYTES + 20] = "";
    if (access(folder(), R_OK) != 0)
        return mr_fail(ret_error, MR_EIO, "time zone %.80s: there is no zone data in %s (package tzdata)",
                       name, folder());
    if (nearest_zone(name, nearest))
        snprintf(hint, sizeof hint, ", did you mean %s?", nearest);
    return mr_fail(ret_error, MR_EINVALID, "there is no time zone \"%.80s\"%s", name,
                   hint[0] != '\0' ? hint : "; write a name such as Europe/Helsinki");
}

mr_err mr_time_zone_open(const char *name, mr_time_zone **ret_zone, mr_error *ret_error)
{
    if (strlen(name) >= MR_ZONE_NAME_BYTES || !name_valid(name))
        return refuse(name, ret_error);
    char *bytes = malloc(MAX_FILE_BYTES);
    if (bytes == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "time zone %s: out of memory", name);
    size_t size = 0;
    mr_err err = read_zone(name, bytes, &size, ret_error);
    if (err == MR_ENOTFOUND)
        err = refuse(name, ret_error);
    else if (err == MR_OK)
        err = mr_time_zone_parse(name, (mr_slice){bytes, size}, ret_zone, ret_error);
    free(bytes);
    return err;
}
