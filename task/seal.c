#include "task/seal.h"

#include "core/fault.h"
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
#include <unistd.h>

enum { MANIFEST_MAX_BYTES = 16 * 1024 * 1024, NAME_BYTES = 64 };

typedef struct seal {
    const seal_spec *spec;
    const char *prefix; /* of paths in the manifest: the folder below the run */
    json_t *datasets;
    json_t *files;
    seal_result result;
} seal;

static mr_err refuse(mr_error *ret_error, const char *name, const char *why)
{
    return mr_classify(ret_error, mr_fail(ret_error, MR_EREFUSED, "out/%s %s", name, why), MR_DATA);
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
            return refuse(ret_error, name, "fits the file_pattern of two datasets");
        found = dataset;
    }
    if (found == NULL)
        return refuse(ret_error, name, "fits the file_pattern of no dataset");
    *ret_dataset = found;
    return MR_OK;
}

static mr_err check_file(int folder, const char *name, mr_error *ret_error)
{
    struct stat info;
    if (!mr_utf8_valid(mr_slice_of(name)))
        return refuse(ret_error, "(a file)", "has a name that is not UTF-8");
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return mr_fail_errno(ret_error, errno, "out/%s", name);
    if (S_ISLNK(info.st_mode))
        return refuse(ret_error, name, "is a symbolic link: only plain files are taken");
    if (S_ISDIR(info.st_mode))
        return refuse(ret_error, name, "is a folder: only plain files directly in out/ are taken");
    if (!S_ISREG(info.st_mode))
        return refuse(ret_error, name, "is a device, socket or pipe: only plain files are taken");
    if (info.st_nlink != 1)
        return refuse(ret_error, name, "has more than one hard link: only plain files are taken");
    return MR_OK;
}

/* Reads what now lies where no program reaches it, and lists it. */
static mr_err add_file(seal *self, int folder, const char *name, mr_error *ret_error)
{
    char hex[MR_SHA256_HEX_SIZE];
    int64_t size = 0;
    const char *dataset;
    int fd = -1;
    mr_err err = dataset_of(self, name, &dataset, ret_error);
    if (err == MR_OK)
        err = folder_open_below(folder, name, false, &fd, ret_error);
    if (err != MR_OK)
        return err;
    err = mr_sha256_file(fd, name, hex, &size, ret_error);
    if (err == MR_OK && fsync(fd) != 0)
        err = mr_fail_errno(ret_error, errno, "%s cannot be made durable", name);
    close(fd);
    if (err != MR_OK)
        return err;
    mr_buf path = {0};
    json_t *file = mr_buf_printf(&path, "%s/%s", self->prefix, name) != MR_OK
                       ? NULL
                       : json_pack("{s:s, s:s, s:s%, s:I, s:s}", "dataset", dataset, "name", name, "path",
                                   path.data, path.size, "size", (json_int_t)size, "sha256", hex);
    mr_buf_fini(&path);
    if (json_array_append_new(self->files, file) != 0)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->result.files++;
    self->result.bytes += (uint64_t)size;
    return MR_OK;
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
    json_t *json = json_pack("{s:s, s:O}", "run_uid", self->spec->run_uid, "files", self->files);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    mr_err err = MR_OK;
    if (strlen(text) > MANIFEST_MAX_BYTES) /* nobody could read it */
        err = mr_classify(ret_error,
                          mr_fail(ret_error, MR_ETOOLARGE,
                                  "%s: the list of its %" PRIu64 " files is longer than %d bytes; make fewer",
                                  self->prefix, self->result.files, MANIFEST_MAX_BYTES),
                          MR_DATA);
    if (err == MR_OK)
        err = mr_sha256_hex(mr_slice_of(text), self->result.manifest_sha256, ret_error);
    if (err == MR_OK)
        err = write_manifest(self->spec, mr_slice_of(text), ret_error);
    free(text);
    return err;
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
    if (fstat(fd, &info) != 0 || info.st_size > MANIFEST_MAX_BYTES)
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
    self->files = json_array();
    if (json_array_size(self->datasets) == 0)
        return mr_fail(ret_error, MR_EINVALID, "datasets: not a JSON array of {\"name\", \"pattern\"}");
    return MR_OK;
}

static void seal_close(seal *self)
{
    json_decref(self->datasets);
    json_decref(self->files);
}

/* Checked as a whole before the first is moved, so that a refusal names what the tenant sees in out/. */
static mr_err move_files(seal *self, int out, int sealed, const folder_names *names, mr_error *ret_error)
{
    mr_err err = MR_OK;
    const char *dataset;
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        err = check_file(out, names->names[i], ret_error);
        if (err == MR_OK)
            err = dataset_of(self, names->names[i], &dataset, ret_error);
    }
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        if (renameat(out, names->names[i], sealed, names->names[i]) != 0)
            err = mr_fail_errno(ret_error, errno, "out/%s cannot be sealed", names->names[i]);
        else
            MR_FAULT("seal_file_moved");
    }
    for (size_t i = 0; err == MR_OK && i < names->count; i++) {
        err = check_file(sealed, names->names[i], ret_error);
        if (err == MR_OK && fchmodat(sealed, names->names[i], 0444, 0) != 0)
            err = mr_fail_errno(ret_error, errno, "%s", names->names[i]);
        if (err == MR_OK)
            err = add_file(self, sealed, names->names[i], ret_error);
    }
    if (err == MR_OK && fsync(sealed) != 0)
        err = mr_fail_errno(ret_error, errno, "%s cannot be made durable", self->prefix);
    return err;
}

mr_err seal_folder(const seal_spec *spec, const char *out_path, seal_result *ret_result, mr_error *ret_error)
{
    char prefix[NAME_BYTES];
    int out = -1, sealed = -1;
    folder_names names = {0};
    seal self = {.spec = spec, .prefix = prefix};
    snprintf(prefix, sizeof prefix, "sealed-%" PRId64, spec->epoch);
    mr_err err = seal_open(&self, ret_error);
    folder_remove(spec->run_fd, prefix); /* of a try that did not get as far as its manifest */
    if (err == MR_OK && (err = folder_open_below(spec->run_fd, out_path, true, &out, ret_error)) != MR_OK)
        err = mr_classify(ret_error, mr_wrap(ret_error, err, "the program's out folder"), MR_DATA);
    if (err == MR_OK)
        err = folder_make(spec->run_fd, prefix, 0755, &sealed, ret_error);
    if (err == MR_OK)
        err = folder_list(out, &names, ret_error);
    if (err == MR_OK)
        err = move_files(&self, out, sealed, &names, ret_error);
    if (err == MR_OK)
        err = finish(&self, ret_error);
    if (err == MR_OK)
        *ret_result = self.result;
    folder_names_free(&names);
    if (out >= 0)
        close(out);
    if (sealed >= 0)
        close(sealed);
    seal_close(&self);
    return err;
}

mr_err seal_claimed(const seal_spec *spec, seal_result *ret_result, mr_error *ret_error)
{
    int claimed = -1;
    folder_names names = {0};
    seal self = {.spec = spec, .prefix = "claimed"};
    mr_err err = seal_open(&self, ret_error);
    if (err == MR_OK)
        err = folder_open_below(spec->run_fd, "claimed", true, &claimed, ret_error);
    if (err == MR_OK)
        err = folder_list(claimed, &names, ret_error);
    for (size_t i = 0; err == MR_OK && i < names.count; i++) {
        err = check_file(claimed, names.names[i], ret_error);
        if (err == MR_OK)
            err = add_file(&self, claimed, names.names[i], ret_error);
    }
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
