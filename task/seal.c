#include "task/seal.h"

#include "core/fault.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/text_value.h"
#include "task/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    NAME_BYTES = 64,
    SYNC_EACH = 100,
    TELL_EVERY_S = 10,
};

typedef struct seal {
    const seal_spec *spec;
    const char *prefix; /* of paths in the manifest: the folder below the run */
    const char *shown;  /* the folder, as messages name it */
    json_t *datasets;
    mr_buf text; /* of the manifest, as far as it goes */
    seal_result result;
    bool many; /* files are not synced one by one */
} seal;

static mr_err refuse(const seal *self, mr_error *ret_error, const char *name, const char *why)
{
    return mr_classify(ret_error, mr_fail(ret_error, MR_EREFUSED, "%s/%s %s", self->shown, name, why),
                       MR_DATA);
}

/* What lies there is the program's doing; the disk is not. */
static mr_err blame(mr_error *ret_error, mr_err err)
{
    if (err != MR_EINVALID && err != MR_ENOTFOUND && err != MR_ETOOLARGE)
        return err;
    if (ret_error != NULL)
        ret_error->code = MR_EREFUSED;
    return mr_classify(ret_error, MR_EREFUSED, MR_DATA);
}

/* A name becomes text in messages, logs and lists. */
static mr_err check_name(const seal *self, const char *name, mr_error *ret_error)
{
    char shown[4 * 255 + 1];
    bool control = false, text = mr_utf8_valid(mr_slice_of(name));
    size_t used = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0' && used + 5 < sizeof shown; c++) {
        bool odd = *c < 0x20 || *c == 0x7f;
        control = control || odd;
        used += (size_t)snprintf(shown + used, sizeof shown - used,
                                 odd || (!text && *c >= 0x80) ? "\\x%02x" : "%c", *c);
    }
    if (!text)
        return refuse(self, ret_error, shown, "has a name that is not UTF-8");
    return control ? refuse(self, ret_error, shown, "has a control character in its name") : MR_OK;
}

/* --- one file --- */

/* The only dataset, or the one whose pattern fits. */
static mr_err dataset_of(const seal *self, const char *name, const char **ret_dataset, mr_error *ret_error)
{
    size_t i;
    json_t *item;
    const char *found = NULL;
    bool single = json_array_size(self->datasets) == 1;
    json_array_foreach(self->datasets, i, item)
    {
        const char *dataset = json_string_value(json_object_get(item, "name"));
        const char *pattern = json_string_value(json_object_get(item, "pattern"));
        if (!single && (pattern == NULL || fnmatch(pattern, name, 0) != 0))
            continue;
        if (found != NULL && dataset != NULL && strcmp(found, dataset) != 0)
            return refuse(self, ret_error, name, "fits the file_pattern of two datasets");
        found = dataset;
    }
    if (found == NULL)
        return refuse(self, ret_error, name, "fits the file_pattern of no dataset");
    *ret_dataset = found;
    return MR_OK;
}

static mr_err check_file(const seal *self, int folder, const char *name, mr_error *ret_error)
{
    struct stat info;
    char shown[300];
    mr_err err = check_name(self, name, ret_error);
    if (err != MR_OK)
        return err;
    snprintf(shown, sizeof shown, "%s/%s", self->shown, name);
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        err = mr_fail_errno(ret_error, errno, "%s", shown);
    else
        err = folder_check_plain(&info, shown, ret_error);
    return blame(ret_error, err);
}

/* Bytes that were never written are NULs, which no data file has; and a file of many of them is read for
 * ever. */
static mr_err check_holes(const seal *self, int fd, const struct stat *info, const char *name,
                          mr_error *ret_error)
{
    off_t hole;
    if (info->st_size == 0 || info->st_blocks * 512 >= info->st_size || (hole = lseek(fd, 0, SEEK_HOLE)) < 0)
        return MR_OK;
    if (lseek(fd, 0, SEEK_SET) != 0)
        return mr_fail_errno(ret_error, errno, "%s", name);
    if (hole == info->st_size)
        return MR_OK;
    char why[100];
    snprintf(why, sizeof why, "has holes: of its %jd bytes some, from %jd on, were never written",
             (intmax_t)info->st_size, (intmax_t)hole);
    return refuse(self, ret_error, name, why);
}

/* `info` is what the file was when it was opened, and then when it was read. */
static mr_err read_file(const seal *self, int fd, struct stat *info, const char *name,
                        char hex[MR_SHA256_HEX_SIZE], mr_error *ret_error)
{
    int64_t size = 0;
    mr_err err = mr_sha256_file(fd, name, hex, &size, ret_error);
    if (err == MR_OK && size != info->st_size)
        err = refuse(self, ret_error, name, "changes while it is read: something still writes to it");
    if (err == MR_OK && !self->many && fsync(fd) != 0)
        err = mr_fail_errno(ret_error, errno, "%s cannot be made durable", name);
    if (err == MR_OK && fstat(fd, info) != 0)
        err = mr_fail_errno(ret_error, errno, "%s", name);
    return err;
}

/* As text at once: a hundred thousand files as a tree would take a hundred megabytes. */
static mr_err list_file(seal *self, const char *dataset, const char *name, const struct stat *info,
                        const char *hex, mr_error *ret_error)
{
    mr_buf path = {0};
    json_t *file =
        mr_buf_printf(&path, "%s/%s", self->prefix, name) != MR_OK
            ? NULL
            : json_pack("{s:s, s:s, s:s%, s:I, s:s, s:I}", "dataset", dataset, "name", name, "path",
                        path.data, path.size, "size", (json_int_t)info->st_size, "sha256", hex, "changed_ns",
                        (json_int_t)info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec);
    char *text = file == NULL ? NULL : json_dumps(file, JSON_COMPACT);
    json_decref(file);
    mr_buf_fini(&path);
    bool kept = text != NULL && mr_buf_append(&self->text, ",", self->result.files > 0 ? 1 : 0) == MR_OK &&
                mr_buf_append(&self->text, text, strlen(text)) == MR_OK;
    free(text);
    if (!kept)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (self->text.size > self->spec->manifest_max_bytes) /* nobody could read it */
        return mr_classify(ret_error,
                           mr_fail(ret_error, MR_ETOOLARGE,
                                   "%s: the list of its files is longer than %zu bytes; make fewer",
                                   self->shown, self->spec->manifest_max_bytes),
                           MR_DATA);
    return MR_OK;
}

/* Reads what now lies where no program reaches it, and lists it. */
static mr_err add_file(seal *self, int folder, const char *name, mode_t mode, mr_error *ret_error)
{
    char hex[MR_SHA256_HEX_SIZE];
    const char *dataset;
    struct stat info;
    int fd = -1;
    mr_err err = dataset_of(self, name, &dataset, ret_error);
    if (err == MR_OK && (err = folder_open_plain(folder, name, mode, &info, &fd, ret_error)) != MR_OK)
        err = blame(ret_error, mr_wrap(ret_error, err, "%s", self->shown));
    if (err != MR_OK)
        return err;
    err = check_holes(self, fd, &info, name, ret_error);
    if (err == MR_OK)
        err = read_file(self, fd, &info, name, hex, ret_error);
    close(fd);
    if (err != MR_OK)
        return err;
    if ((err = list_file(self, dataset, name, &info, hex, ret_error)) != MR_OK)
        return err;
    self->result.files++;
    self->result.bytes += (uint64_t)info.st_size;
    return MR_OK;
}

/* All names of the folder; many files are made durable by one call for their disk. */
static mr_err add_files(seal *self, int folder, const folder_names *names, mode_t mode, mr_error *ret_error)
{
    mr_err err = MR_OK;
    time_t told = time(NULL);
    self->many = names->count > SYNC_EACH;
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        err = add_file(self, folder, names->names[i], mode, ret_error);
        if (time(NULL) - told < TELL_EVERY_S)
            continue;
        told = time(NULL);
        mr_log(MR_INFO, "sealing", MR_STR("run", self->spec->run_uid), MR_INT("files", self->result.files),
               MR_INT("of", names->count), MR_INT("bytes", self->result.bytes));
    }
    if (err == MR_OK && self->many && syncfs(folder) != 0)
        err = mr_fail_errno(ret_error, errno, "%s cannot be made durable", self->prefix);
    return err;
}

/* --- the manifest --- */

static void manifest_name(const seal_spec *spec, const char *suffix, char *name)
{
    snprintf(name, NAME_BYTES, "manifest-%" PRId64 ".json%s", spec->epoch, suffix);
}

static mr_err write_all(int fd, mr_slice bytes)
{
    for (size_t done = 0; done < bytes.size;) {
        ssize_t step = write(fd, bytes.data + done, bytes.size - done);
        if (step < 0 && errno != EINTR)
            return MR_EIO;
        done += step > 0 ? (size_t)step : 0;
    }
    return fsync(fd) == 0 ? MR_OK : MR_EIO;
}

static mr_err write_manifest(const seal_spec *spec, mr_slice text, mr_error *ret_error)
{
    char temporary[NAME_BYTES], final[NAME_BYTES];
    manifest_name(spec, ".tmp", temporary);
    manifest_name(spec, "", final);
    int fd = openat(spec->run_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || write_all(fd, text) != MR_OK) {
        mr_err err = mr_fail_errno(ret_error, errno, "%s cannot be written", final);
        if (fd >= 0)
            close(fd);
        return err;
    }
    close(fd);
    /* The sealed folder's name first: a manifest never lists what a crash could take back. */
    if (fsync(spec->run_fd) != 0 || renameat(spec->run_fd, temporary, spec->run_fd, final) != 0 ||
        fsync(spec->run_fd) != 0)
        return mr_fail_errno(ret_error, errno, "%s cannot be made durable", final);
    MR_FAULT("seal_manifest_written");
    return MR_OK;
}

static mr_err finish(seal *self, mr_error *ret_error)
{
    if (mr_buf_append(&self->text, "]}", 2) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_slice text = mr_buf_slice(&self->text);
    mr_err err = mr_sha256_hex(text, self->result.manifest_sha256, ret_error);
    return err == MR_OK ? write_manifest(self->spec, text, ret_error) : err;
}

static mr_err read_manifest(const seal_spec *spec, mr_buf *text, mr_error *ret_error)
{
    char name[NAME_BYTES];
    struct stat info;
    int fd = -1;
    manifest_name(spec, "", name);
    mr_err err = folder_open_below(spec->run_fd, name, false, &fd, ret_error);
    if (err != MR_OK)
        return err;
    if (fstat(fd, &info) != 0 || info.st_size > (off_t)(spec->manifest_max_bytes + 1024))
        err = mr_fail(ret_error, MR_ETOOLARGE, "%s is larger than a manifest can be", name);
    else if (mr_buf_reserve(text, (size_t)info.st_size + 1) != MR_OK)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (ssize_t step = 1; err == MR_OK && step > 0 && text->size < (size_t)info.st_size;
         text->size += (size_t)step)
        if ((step = read(fd, text->data + text->size, (size_t)info.st_size - text->size)) < 0)
            err = mr_fail_errno(ret_error, errno, "%s cannot be read", name), step = 0;
    close(fd);
    return err;
}

mr_err seal_read(const seal_spec *spec, seal_result *ret_result, mr_error *ret_error)
{
    mr_buf text = {0};
    seal_result result = {.files = 0};
    mr_err err = read_manifest(spec, &text, ret_error);
    if (err == MR_OK)
        err = mr_sha256_hex(mr_buf_slice(&text), result.manifest_sha256, ret_error);
    json_t *json = err == MR_OK ? json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *files = json_object_get(json, "files"), *file;
    size_t i;
    if (err == MR_OK && !json_is_array(files))
        err = mr_fail(ret_error, MR_EINVALID, "the manifest of epoch %" PRId64 " cannot be understood",
                      spec->epoch);
    json_array_foreach(files, i, file)
    {
        result.files++;
        result.bytes += (uint64_t)json_integer_value(json_object_get(file, "size"));
    }
    json_decref(json);
    mr_buf_fini(&text);
    if (err == MR_OK)
        *ret_result = result;
    return err;
}

/* --- the whole --- */

static mr_err seal_open(seal *self, mr_error *ret_error)
{
    self->datasets = json_loads(self->spec->datasets, JSON_REJECT_DUPLICATES, NULL);
    if (json_array_size(self->datasets) == 0)
        return mr_fail(ret_error, MR_EINVALID, "datasets: not a JSON array of {\"name\", \"pattern\"}");
    if (mr_buf_printf(&self->text, "{\"run_uid\":\"%s\",\"files\":[", self->spec->run_uid) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    return MR_OK;
}

static void seal_close(seal *self)
{
    json_decref(self->datasets);
    mr_buf_fini(&self->text);
}

/* Checked as a whole before the first is moved, so that a refusal names what the tenant sees in out/. */
static mr_err move_files(seal *self, int out, int sealed, const folder_names *names, mr_error *ret_error)
{
    mr_err err = MR_OK;
    const char *dataset;
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        err = check_file(self, out, names->names[i], ret_error);
        if (err == MR_OK)
            err = dataset_of(self, names->names[i], &dataset, ret_error);
    }
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        if (renameat(out, names->names[i], sealed, names->names[i]) == 0)
            MR_FAULT("seal_file_moved");
        else if (errno == EXDEV || errno == EBUSY)
            err = refuse(self, ret_error, names->names[i],
                         "is mounted there: only files of its own disk are taken");
        else if (errno == ENOENT || errno == EPERM || errno == EACCES)
            err = refuse(self, ret_error, names->names[i], "cannot be moved: it is gone, or locked");
        else
            err = mr_fail_errno(ret_error, errno, "out/%s cannot be sealed", names->names[i]);
    }
    return err;
}

static mr_err open_sealed(const seal *self, int *ret_fd, mr_error *ret_error)
{
    mr_err err = folder_make(self->spec->run_fd, self->prefix, 0755, ret_fd, ret_error);
    return err == MR_EEXISTS ? folder_open_below(self->spec->run_fd, self->prefix, true, ret_fd, ret_error)
                             : err;
}

/* What lies in the sealed folder: moved now, or by a try that the disk cut short. */
static mr_err list_sealed(seal *self, int sealed, mr_error *ret_error)
{
    folder_names names = {0};
    mr_err err = folder_list(sealed, self->spec->files_max, &names, ret_error);
    if (err == MR_OK)
        err = add_files(self, sealed, &names, 0400, ret_error);
    if (err == MR_OK && fsync(sealed) != 0)
        err = mr_fail_errno(ret_error, errno, "%s cannot be made durable", self->prefix);
    folder_names_free(&names);
    return err;
}

static mr_err seal_out(seal *self, const char *out_path, mr_error *ret_error)
{
    int out = -1, sealed = -1;
    folder_names names = {0};
    mr_err err = folder_open_below(self->spec->run_fd, out_path, true, &out, ret_error);
    if (err == MR_OK)
        err = folder_list(out, self->spec->files_max, &names, ret_error);
    if (err != MR_OK)
        err = blame(ret_error, mr_wrap(ret_error, err, "the program's out folder"));
    if (err == MR_OK)
        err = open_sealed(self, &sealed, ret_error);
    if (err == MR_OK)
        err = move_files(self, out, sealed, &names, ret_error);
    folder_names_free(&names);
    if (err == MR_OK)
        err = list_sealed(self, sealed, ret_error);
    if (out >= 0)
        close(out);
    if (sealed >= 0)
        close(sealed);
    return err;
}

mr_err seal_folder(const seal_spec *spec, const char *out_path, seal_result *ret_result, mr_error *ret_error)
{
    char prefix[NAME_BYTES];
    mr_error error;
    seal self = {.spec = spec, .prefix = prefix, .shown = "out"};
    snprintf(prefix, sizeof prefix, "sealed-%" PRId64, spec->epoch);
    mr_err err = seal_open(&self, &error);
    if (err == MR_OK)
        err = seal_out(&self, out_path, &error);
    if (err == MR_OK)
        err = finish(&self, &error);
    seal_close(&self);
    if (err == MR_OK)
        *ret_result = self.result;
    else if (error.class != MR_TRANSIENT)
        folder_remove(spec->run_fd, prefix);
    if (err != MR_OK && ret_error != NULL)
        *ret_error = error;
    return err;
}

mr_err seal_claimed(const seal_spec *spec, seal_result *ret_result, mr_error *ret_error)
{
    int claimed = -1;
    folder_names names = {0};
    seal self = {.spec = spec, .prefix = "claimed", .shown = "claimed"};
    mr_err err = seal_open(&self, ret_error);
    if (err == MR_OK)
        err = folder_open_below(spec->run_fd, "claimed", true, &claimed, ret_error);
    if (err == MR_OK)
        err = folder_list(claimed, SIZE_MAX, &names, ret_error);
    if (err == MR_OK)
        err = add_files(&self, claimed, &names, 0, ret_error);
    if (err == MR_OK)
        err = finish(&self, ret_error);
    if (err == MR_OK)
        *ret_result = self.result;
    folder_names_free(&names);
    if (claimed >= 0)
        close(claimed);
    seal_close(&self);
    return err;
}
