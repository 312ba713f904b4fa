/* manifest_fuzz.c - the list of a run's files, a NUL, and a position within them. No file lies outside the
 * run. */
#include "connectors/files/manifest.h"
#include "connectors/files/position.h"
#include "core/sha256.h"
#include "fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static void check(const files_manifest *manifest)
{
    FUZZ_CHECK(manifest->count <= manifest->total);
    for (size_t i = 0; i < manifest->count; i++) {
        const manifest_file *file = &manifest->files[i];
        FUZZ_CHECK(file->index < manifest->total && file->size_bytes >= 0 && file->name[0] != '\0');
        FUZZ_CHECK(i == 0 || file->index > manifest->files[i - 1].index);
    }
}

static void load(mr_slice text, const char *sha256)
{
    char path[40];
    files_manifest manifest = {0};
    mr_error error;
    const int fd = memfd_create("manifest", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (manifest_load(&manifest, path, sha256, "d", &error) == MR_OK)
        check(&manifest);
    manifest_fini(&manifest);
    close(fd);
}

static void locate(mr_slice text, const char *sha256)
{
    mr_arena arena = {0};
    mr_error error;
    file_position position, again;
    if (position_parse(text, sha256, &position, &error) == MR_OK) {
        FUZZ_CHECK(position.byte >= 0 && position.line >= 1);
        FUZZ_CHECK(position_parse(position_format(&position, sha256, &arena), sha256, &again, &error) ==
                   MR_OK);
        FUZZ_CHECK(again.file == position.file && again.byte == position.byte && again.line == position.line);
    }
    mr_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_slice position = {(const char *)data, size};
    const mr_slice text = fuzz_take(&position, '\0');
    mr_sha256 *hash;
    char sha256[65];
    if (mr_sha256_open(&hash, NULL) != MR_OK || mr_sha256_add(hash, text, NULL) != MR_OK ||
        mr_sha256_finish(hash, sha256, NULL) != MR_OK)
        abort();
    mr_sha256_close(&hash);
    load(text, sha256);
    locate(position, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    return 0;
}
