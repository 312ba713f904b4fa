#include "fuzz/folder.h"

#include "fuzz/fuzz.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[40];

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    static const char *const names[] = {"programs", "incoming"};
    char path[80];
    if (folder[0] != '\0')
        return folder;
    strcpy(folder, "/dev/shm/millrace-fuzz-XXXXXX");
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FUZZ_CHECK(mkdir(path, 0700) == 0);
    }
    atexit(remove_folder);
    return folder;
}

int fuzz_folder_entries(const char *name)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    DIR *entries = opendir(path);
    int count = -2; /* . and .. */
    FUZZ_CHECK(entries != NULL);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}
