/* folder.h - a folder in memory for targets that write files. */
#ifndef MR_FUZZ_FOLDER_H
#define MR_FUZZ_FOLDER_H

/* Made at the first call, with `programs` and `incoming` in it; removed when the process exits in order. */
const char *fuzz_folder(void);
/* Names in its folder `name`. */
int fuzz_folder_entries(const char *name);

#endif
