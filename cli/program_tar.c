#include "cli/program_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static mr_err archive_problem(struct archive *archive, const char *path, mr_error *ret_error)
{
    return mr_fail(ret_error, MR_EIO, "%s: %s", path, archive_error_string(archive));
}

static mr_err copy_content(struct archive *archive, const char *path, mr_error *ret_error)
{
    char chunk[64 * 1024];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "%s", path);
    mr_err err = MR_OK;
    ssize_t size;
    while (err == MR_OK && (size = read(fd, chunk, sizeof chunk)) != 0) {
        if (size < 0)
            err = mr_fail_errno(ret_error, errno, "%s", path);
        else if (archive_write_data(archive, chunk, (size_t)size) != size)
            err = archive_problem(archive, path, ret_error);
    }
    close(fd);
    return err;
}

static mr_err add_entry(struct archive *archive, const FTSENT *found, const char *name, mr_error *ret_error)
{
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    const bool folder = found->fts_info == FTS_D;
    const bool executable = folder || (found->fts_statp->st_mode & 0111) != 0;
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, executable ? 0755 : 0644);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_size(entry, folder ? 0 : found->fts_statp->st_size);
    mr_err err = MR_OK;
    if (archive_write_header(archive, entry) != ARCHIVE_OK)
        err = archive_problem(archive, found->fts_path, ret_error);
    archive_entry_free(entry);
    return err == MR_OK && !folder ? copy_content(archive, found->fts_accpath, ret_error) : err;
}

static mr_err add_found(struct archive *archive, const FTSENT *found, size_t root, mr_error *ret_error)
{
    switch (found->fts_info) {
    case FTS_D:
    case FTS_F:
        return found->fts_level == 0 ? MR_OK
                                     : add_entry(archive, found, found->fts_path + root + 1, ret_error);
    case FTS_DP:
        return MR_OK;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return mr_fail_errno(ret_error, found->fts_errno, "%s", found->fts_path);
    default:
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: a program holds files and folders only, no links or devices", found->fts_path);
    }
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static mr_err add_all(struct archive *archive, const char *folder, mr_error *ret_error)
{
    char *roots[] = {(char *)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (walk == NULL)
        return mr_fail_errno(ret_error, errno, "%s", folder);
    mr_err err = MR_OK;
    for (FTSENT *found; err == MR_OK && (found = fts_read(walk)) != NULL;)
        err = add_found(archive, found, strlen(folder), ret_error);
    fts_close(walk);
    return err;
}

mr_err program_tar(const char *folder, FILE **ret_tar, mr_error *ret_error)
{
    FILE *file = tmpfile();
    struct archive *archive = archive_write_new();
    mr_err err = MR_OK;
    if (file == NULL)
        err = mr_fail_errno(ret_error, errno, "temporary file");
    else if (archive == NULL || archive_write_set_format_gnutar(archive) != ARCHIVE_OK ||
             archive_write_open_fd(archive, fileno(file)) != ARCHIVE_OK)
        err = mr_fail(ret_error, MR_EIO, "tar: %s",
                      archive == NULL ? "out of memory" : archive_error_string(archive));
    if (err == MR_OK)
        err = add_all(archive, folder, ret_error);
    if (err == MR_OK && archive_write_close(archive) != ARCHIVE_OK)
        err = archive_problem(archive, folder, ret_error);
    archive_write_free(archive);
    if (err == MR_OK && fseek(file, 0, SEEK_SET) != 0)
        err = mr_fail_errno(ret_error, errno, "temporary file");
    if (err == MR_OK)
        *ret_tar = file;
    else if (file != NULL)
        fclose(file);
    return err;
}
