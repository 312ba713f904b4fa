/* program_tar_fuzz.c - tars of tenants' programs. What is unpacked holds plain files and folders only, and
 * nothing stays of what is refused. */
#include "coordinator/program_store.h"
#include "fuzz/folder.h"
#include "fuzz/fuzz.h"

#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)path;
    (void)walk;
    FUZZ_CHECK(kind == FTW_F || kind == FTW_D || kind == FTW_DP);
    FUZZ_CHECK((status->st_mode & 07000) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char unpacked[MR_PROGRAM_FOLDER_BYTES], sha256[65];
    mr_error error = {.text = ""};
    const int fd = memfd_create("tar", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    if (mr_program_store_unpack(fuzz_folder(), fd, false, unpacked, sha256, &error) == MR_OK) {
        FUZZ_CHECK(strlen(sha256) == 64);
        FUZZ_CHECK(nftw(unpacked, check_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
        mr_program_store_discard(unpacked);
    } else {
        FUZZ_CHECK(strncmp(error.text, "program: ", 9) == 0);
    }
    FUZZ_CHECK(fuzz_folder_entries("programs") == 0 && fuzz_folder_entries("incoming") == 0);
    close(fd);
    return 0;
}
