#include "coordinator/program_store.h"

#include "core/fault.h"
#include "core/sha256.h"
#include "core/text_value.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_BYTES = 64 * 1024 * 1024,
    MAX_ENTRIES = 10000,
    MAX_PATH_BYTES = 1000,
    CHUNK_BYTES = 64 * 1024,
};

static const char unpacking_prefix[] = ".unpack-";

/* One line of what is hashed: "x path" or "- path" for a file, "d path" for a folder, then the hash of its
 * bytes. */
typedef struct program_entry {
    char *path;
    char kind;
    char content[MR_SHA256_HEX_SIZE];
} program_entry;

typedef struct unpacking {
    struct archive *archive;
    int folder; /* where it goes */
    program_entry *entries;
    size_t count;
    size_t bytes;
    bool has_run;
    mr_error *error;
} unpacking;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- paths --- */

/* Takes "./" and trailing "/" off; NULL with a reason when the path could leave the folder or is not one. */
static char *clean_path(const char *raw, const char **ret_reason)
{
    while (raw[0] == '.' && raw[1] == '/')
        raw += 2;
    size_t size = strlen(raw);
    while (size > 1 && raw[size - 1] == '/')
        size--;
    *ret_reason = NULL;
    if (size == 0 || (size == 1 && raw[0] == '.'))
        return strdup("");
    if (raw[0] == '/')
        *ret_reason = "is absolute";
    else if (size > MAX_PATH_BYTES)
        *ret_reason = "is longer than 1,000 bytes";
    for (size_t start = 0; start < size && *ret_reason == NULL;) {
        const size_t part = strcspn(raw + start, "/");
        if (part == 0 || (part == 1 && raw[start] == '.'))
            *ret_reason = "has an empty part";
        else if (part == 2 && raw[start] == '.' && raw[start + 1] == '.')
            *ret_reason = "leads out of the program folder";
        else if (part > 255)
            *ret_reason = "has a part longer than 255 bytes";
        start += part + 1;
    }
    for (size_t i = 0; i < size && *ret_reason == NULL; i++)
        if ((unsigned char)raw[i] < 0x20 || raw[i] == 0x7f)
            *ret_reason = "holds a control character";
    return *ret_reason == NULL ? strndup(raw, size) : NULL;
}

/* Readable by whom programs run as, whatever our umask. */
static int make_folder(const unpacking *u, const char *path)
{
    if (mkdirat(u->folder, path, 0755) != 0)
        return errno == EEXIST ? 0 : -1;
    return fchmodat(u->folder, path, 0755, 0);
}

static mr_err make_parents(unpacking *u, const char *path)
{
    char parent[MAX_PATH_BYTES + 1];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const size_t size = (size_t)(slash - path);
        memcpy(parent, path, size);
        parent[size] = '\0';
        if (make_folder(u, parent) != 0)
            return mr_fail_errno(u->error, errno, "program: %.200s", parent);
    }
    return MR_OK;
}

/* --- one entry --- */

static mr_err write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        const ssize_t written = write(fd, at, size);
        if (written < 0 && errno != EINTR)
            return MR_EIO;
        if (written > 0) {
            at += written;
            size -= (size_t)written;
        }
    }
    return MR_OK;
}

static mr_err copy_content(unpacking *u, const char *path, int fd, mr_sha256 *hash)
{
    char chunk[CHUNK_BYTES];
    for (;;) {
        const la_ssize_t size = archive_read_data(u->archive, chunk, sizeof chunk);
        if (size == 0)
            return MR_OK;
        if (size < 0)
            return mr_fail(u->error, MR_EINVALID, "program: the archive is damaged at %.200s: %.100s", path,
                           archive_error_string(u->archive));
        u->bytes += (size_t)size;
        if (u->bytes > MAX_BYTES)
            return mr_fail(u->error, MR_ETOOLARGE, "program: more than 64 MiB");
        if (write_all(fd, chunk, (size_t)size) != MR_OK)
            return mr_fail_errno(u->error, errno, "program: writing %.200s", path);
        const mr_err err = mr_sha256_add(hash, (mr_slice){chunk, (size_t)size}, u->error);
        if (err != MR_OK)
            return err;
    }
}

static mr_err unpack_file(unpacking *u, struct archive_entry *header, program_entry *entry)
{
    mr_err err = make_parents(u, entry->path);
    if (err != MR_OK)
        return err;
    const bool executable = (archive_entry_perm(header) & 0111) != 0;
    entry->kind = executable ? 'x' : '-';
    if (executable && strcmp(entry->path, "run") == 0)
        u->has_run = true;
    const int fd = openat(u->folder, entry->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          executable ? 0755 : 0644);
    if (fd < 0 && errno == EEXIST)
        return mr_fail(u->error, MR_EINVALID, "program: %.200s is in the archive twice", entry->path);
    if (fd < 0)
        return mr_fail_errno(u->error, errno, "program: creating %.200s", entry->path);
    mr_sha256 *hash = NULL;
    err = mr_sha256_open(&hash, u->error);
    if (err == MR_OK)
        err = copy_content(u, entry->path, fd, hash);
    if (err == MR_OK)
        err = mr_sha256_finish(hash, entry->content, u->error);
    mr_sha256_close(&hash);
    if (err == MR_OK && (fchmod(fd, executable ? 0755 : 0644) != 0 || fsync(fd) != 0))
        err = mr_fail_errno(u->error, errno, "program: writing %.200s", entry->path);
    close(fd);
    return err;
}

static mr_err unpack_folder(unpacking *u, program_entry *entry)
{
    mr_err err = make_parents(u, entry->path);
    entry->kind = 'd';
    if (err == MR_OK && make_folder(u, entry->path) != 0)
        err = mr_fail_errno(u->error, errno, "program: creating %.200s", entry->path);
    struct stat status;
    if (err == MR_OK &&
        (fstatat(u->folder, entry->path, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode)))
        err = mr_fail(u->error, MR_EINVALID, "program: %.200s is in the archive twice", entry->path);
    return err;
}

static mr_err add_entry(unpacking *u, char *path, program_entry **ret_entry)
{
    if (u->count == MAX_ENTRIES) {
        free(path);
        return mr_fail(u->error, MR_ETOOLARGE, "program: more than 10,000 entries");
    }
    u->entries[u->count] = (program_entry){.path = path};
    *ret_entry = &u->entries[u->count++];
    return MR_OK;
}

static mr_err unpack_entry(unpacking *u, struct archive_entry *header)
{
    const char *raw = archive_entry_pathname_utf8(header);
    if (raw == NULL)
        raw = archive_entry_pathname(header);
    if (raw == NULL)
        return mr_fail(u->error, MR_EINVALID, "program: a path in the archive cannot be read");
    if (!mr_utf8_valid(mr_slice_of(raw)))
        return mr_fail(u->error, MR_EINVALID, "program: entry %zu: its path is not valid UTF-8",
                       u->count + 1);
    const bool folder = archive_entry_filetype(header) == AE_IFDIR;
    const bool link = archive_entry_hardlink(header) != NULL || archive_entry_symlink(header) != NULL;
    if (link || (!folder && archive_entry_filetype(header) != AE_IFREG))
        return mr_fail(u->error, MR_EINVALID, "program: %.200s is not a regular file or folder%s", raw,
                       link ? "; links are not taken" : "");
    const char *reason;
    char *path = clean_path(raw, &reason);
    if (path == NULL)
        return reason == NULL ? mr_fail(u->error, MR_ENOMEM, "program: out of memory")
                              : mr_fail(u->error, MR_EINVALID, "program: the path %.200s %s", raw, reason);
    if (*path == '\0') {
        free(path);
        return folder ? MR_OK : mr_fail(u->error, MR_EINVALID, "program: an entry without a name");
    }
    program_entry *entry = NULL;
    const mr_err err = add_entry(u, path, &entry);
    if (err != MR_OK)
        return err;
    return folder ? unpack_folder(u, entry) : unpack_file(u, header, entry);
}

static mr_err unpack_all(unpacking *u)
{
    struct archive_entry *header;
    for (;;) {
        const int result = archive_read_next_header(u->archive, &header);
        if (result == ARCHIVE_EOF)
            return MR_OK;
        if (result < ARCHIVE_WARN)
            return mr_fail(u->error, MR_EINVALID, "program: not a tar archive, or damaged: %.200s",
                           archive_error_string(u->archive));
        const mr_err err = unpack_entry(u, header);
        if (err != MR_OK)
            return err;
    }
}

/* --- the whole --- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const program_entry *)a)->path, ((const program_entry *)b)->path);
}

static mr_err hash_entry(mr_sha256 *hash, const program_entry *entry, mr_error *ret_error)
{
    const char head[2] = {entry->kind, ' '};
    mr_err err = mr_sha256_add(hash, (mr_slice){head, sizeof head}, ret_error);
    if (err == MR_OK)
        err = mr_sha256_add(hash, (mr_slice){entry->path, strlen(entry->path) + 1}, ret_error);
    return err == MR_OK ? mr_sha256_add(hash, mr_slice_of(entry->content), ret_error) : err;
}

static mr_err hash_all(unpacking *u, char ret_sha256[65])
{
    mr_sha256 *hash = NULL;
    mr_err err = mr_sha256_open(&hash, u->error);
    qsort(u->entries, u->count, sizeof *u->entries, by_path);
    for (size_t i = 0; i < u->count && err == MR_OK; i++)
        err = hash_entry(hash, &u->entries[i], u->error);
    if (err == MR_OK)
        err = mr_sha256_finish(hash, ret_sha256, u->error);
    mr_sha256_close(&hash);
    return err;
}

static int sync_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)walk;
    if (kind != FTW_D && kind != FTW_DP)
        return 0;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

static mr_err sync_folder(const char *path, mr_error *ret_error)
{
    struct stat status;
    if (stat(path, &status) != 0 || sync_one(path, &status, FTW_D, NULL) != 0)
        return mr_fail_errno(ret_error, errno, "%s", path);
    return MR_OK;
}

static void target_of(const char *staging_dir, const char *sha256, char target[4200])
{
    snprintf(target, 4200, "%s/programs/%s", staging_dir, sha256);
}

mr_err mr_program_store_keep(const char *staging_dir, const char *folder, const char *sha256, bool *ret_new,
                             mr_error *ret_error)
{
    char programs[4096], target[4200];
    snprintf(programs, sizeof programs, "%s/programs", staging_dir);
    target_of(staging_dir, sha256, target);
    MR_FAULT("program_before_rename");
    const bool renamed = rename(folder, target) == 0;
    if (!renamed && errno != ENOTEMPTY && errno != EEXIST)
        return mr_fail_errno(ret_error, errno, "program: %s", target);
    const mr_err err = sync_folder(programs, ret_error);
    if (err != MR_OK && renamed)
        mr_program_store_take_back(staging_dir, folder, sha256);
    else
        *ret_new = renamed;
    return err;
}

void mr_program_store_take_back(const char *staging_dir, const char *folder, const char *sha256)
{
    char target[4200];
    target_of(staging_dir, sha256, target);
    if (rename(target, folder) == 0) /* so that no half of it is ever found under its hash */
        remove_tree(folder);
}

void mr_program_store_discard(const char *folder)
{
    remove_tree(folder);
}

static mr_err open_archive(unpacking *u, int tar_fd)
{
    u->archive = archive_read_new();
    if (u->archive == NULL)
        return mr_fail(u->error, MR_ENOMEM, "program: out of memory");
    if (archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
        archive_read_open_fd(u->archive, tar_fd, CHUNK_BYTES) != ARCHIVE_OK)
        return mr_fail(u->error, MR_EINVALID, "program: not a tar archive: %.200s",
                       archive_error_string(u->archive));
    return MR_OK;
}

static mr_err unpack(unpacking *u, int tar_fd, bool needs_run, char ret_sha256[65])
{
    u->entries = calloc(MAX_ENTRIES, sizeof *u->entries);
    if (u->entries == NULL)
        return mr_fail(u->error, MR_ENOMEM, "program: out of memory");
    mr_err err = open_archive(u, tar_fd);
    if (err == MR_OK)
        err = unpack_all(u);
    if (err == MR_OK && needs_run && !u->has_run)
        err =
            mr_fail(u->error, MR_EINVALID,
                    "program: it has no executable file \"run\", and the agreement names no program.command");
    return err == MR_OK ? hash_all(u, ret_sha256) : err;
}

mr_err mr_program_store_unpack(const char *staging_dir, int tar_fd, bool needs_run,
                               char ret_folder[MR_PROGRAM_FOLDER_BYTES], char ret_sha256[65],
                               mr_error *ret_error)
{
    char folder[MR_PROGRAM_FOLDER_BYTES];
    snprintf(folder, sizeof folder, "%s/programs/%sXXXXXX", staging_dir, unpacking_prefix);
    if (mkdtemp(folder) == NULL)
        return mr_fail_errno(ret_error, errno, "program: %s", folder);
    unpacking u = {.error = ret_error, .folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    mr_err err = u.folder < 0 || fchmod(u.folder, 0755) != 0
                     ? mr_fail_errno(ret_error, errno, "program: %s", folder)
                     : unpack(&u, tar_fd, needs_run, ret_sha256);
    if (err == MR_OK && nftw(folder, sync_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        err = mr_fail_errno(ret_error, errno, "program: %s", folder);
    if (err != MR_OK)
        remove_tree(folder);
    else
        memcpy(ret_folder, folder, sizeof folder);
    archive_read_free(u.archive);
    for (size_t i = 0; i < u.count; i++)
        free(u.entries[i].path);
    free(u.entries);
    if (u.folder >= 0)
        close(u.folder);
    return err;
}

mr_err mr_program_store_open(const char *staging_dir, mr_error *ret_error)
{
    char programs[4096], path[4400];
    snprintf(programs, sizeof programs, "%s/programs", staging_dir);
    if (mkdir(programs, 0755) != 0 && errno != EEXIST)
        return mr_fail_errno(ret_error, errno, "%s", programs);
    DIR *folder = opendir(programs);
    if (folder == NULL)
        return mr_fail_errno(ret_error, errno, "%s", programs);
    for (const struct dirent *name; (name = readdir(folder)) != NULL;) {
        if (strncmp(name->d_name, unpacking_prefix, sizeof unpacking_prefix - 1) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", programs, name->d_name);
        remove_tree(path);
    }
    closedir(folder);
    return MR_OK;
}
