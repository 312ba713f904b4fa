#include "connectors/files/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static mr_err read_all(int fd, mr_buf *out, mr_error *ret_error)
{
    for (;;) {
        if (mr_buf_reserve(out, 64 * 1024) != MR_OK)
            return mr_fail(ret_error, MR_ENOMEM, "no memory for the manifest");
        ssize_t got = read(fd, out->data + out->size, 64 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mr_fail_errno(ret_error, errno, "read");
        if (got == 0)
            return MR_OK;
        out->size += (size_t)got;
        if (out->size > MANIFEST_MAX_BYTES)
            return mr_fail(ret_error, MR_ETOOLARGE, "over %d bytes", MANIFEST_MAX_BYTES);
    }
}

static mr_err read_file(const char *path, mr_buf *out, mr_error *ret_error)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "open");
    mr_err err = MR_OK;
    if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
        err = mr_fail(ret_error, MR_EINVALID, "is not a regular file");
    if (err == MR_OK)
        err = read_all(fd, out, ret_error);
    close(fd);
    return err;
}

static mr_err check_hash(files_manifest *manifest, mr_slice bytes, const char *expected, mr_error *ret_error)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) != 1 || size != 32)
        return mr_fail(ret_error, MR_EBUG, "SHA-256 is not available");
    for (size_t i = 0; i < size; i++)
        snprintf(manifest->sha256 + 2 * i, 3, "%02x", digest[i]);
    if (strcasecmp(manifest->sha256, expected) != 0)
        return mr_fail(ret_error, MR_EREFUSED, "has the SHA-256 %s, expected %s", manifest->sha256, expected);
    return MR_OK;
}

static const char *copy_text(mr_arena *arena, const char *text)
{
    return mr_arena_copy(arena, mr_slice_of(text)).data;
}

static mr_err read_entry(files_manifest *manifest, size_t index, json_t *entry, const char *dataset,
                         mr_error *ret_error)
{
    const char *of, *name, *path, *sha256 = "";
    json_int_t size_bytes, changed_ns = 0;
    json_error_t where;
    if (json_unpack_ex(entry, &where, 0, "{s:s, s:s, s:s, s:I, s?s, s?I}", "dataset", &of, "name", &name,
                       "path", &path, "size", &size_bytes, "sha256", &sha256, "changed_ns", &changed_ns) != 0)
        return mr_fail(ret_error, MR_EINVALID, "files[%zu]: %s", index, where.text);
    if (strcmp(of, dataset) != 0)
        return MR_OK;
    if (size_bytes < 0)
        return mr_fail(ret_error, MR_EINVALID, "files[%zu].size is negative", index);
    manifest_file *file = &manifest->files[manifest->count];
    *file = (manifest_file){.index = index,
                            .name = copy_text(&manifest->arena, name),
                            .path = copy_text(&manifest->arena, path),
                            .sha256 = copy_text(&manifest->arena, sha256),
                            .size_bytes = size_bytes,
                            .changed_ns = changed_ns};
    if (file->name == NULL || file->path == NULL || file->sha256 == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for the manifest");
    manifest->count++;
    return MR_OK;
}

static mr_err read_files(files_manifest *manifest, json_t *root, const char *dataset, mr_error *ret_error)
{
    json_t *files = json_object_get(root, "files");
    if (!json_is_array(files))
        return mr_fail(ret_error, MR_EINVALID, "has no array \"files\"");
    manifest->total = json_array_size(files);
    manifest->files = mr_arena_alloc(&manifest->arena, (manifest->total + 1) * sizeof *manifest->files);
    if (manifest->files == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for the manifest");
    for (size_t i = 0; i < manifest->total; i++) {
        mr_err err = read_entry(manifest, i, json_array_get(files, i), dataset, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static mr_err parse(files_manifest *manifest, mr_slice bytes, const char *dataset, mr_error *ret_error)
{
    json_error_t where;
    json_t *root = json_loadb(bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return mr_fail(ret_error, MR_EINVALID, "line %d, column %d: %s", where.line, where.column,
                       where.text);
    mr_err err = read_files(manifest, root, dataset, ret_error);
    json_decref(root);
    return err;
}

mr_err manifest_load(files_manifest *manifest, const char *path, const char *sha256, const char *dataset,
                     mr_error *ret_error)
{
    mr_buf bytes = {0};
    mr_err err = read_file(path, &bytes, ret_error);
    if (err == MR_OK)
        err = check_hash(manifest, mr_buf_slice(&bytes), sha256, ret_error);
    if (err == MR_OK)
        err = parse(manifest, mr_buf_slice(&bytes), dataset, ret_error);
    mr_buf_fini(&bytes);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "manifest %s", path);
}

void manifest_fini(files_manifest *manifest)
{
    mr_arena_fini(&manifest->arena);
    manifest->files = NULL;
    manifest->count = manifest->total = 0;
}
