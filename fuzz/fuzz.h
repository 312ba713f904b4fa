/* fuzz.h - what the fuzz targets share. Each X_fuzz.c feeds hostile bytes to one reader of such bytes, as the
 * program does, and checks what that reader promises about what it accepts. tests/fuzz.sh runs them.
 */
#ifndef MR_FUZZ_FUZZ_H
#define MR_FUZZ_FUZZ_H

#include "core/slice.h"

#include <stdio.h>
#include <stdlib.h>

/* Called by libFuzzer, in one thread. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that does not hold ends the run as a crash does. */
#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Takes what stands before the first `mark` from the rest; all of it when there is none. */
static inline mr_slice fuzz_take(mr_slice *rest, char mark)
{
    const char *at = rest->size > 0 ? memchr(rest->data, mark, rest->size) : NULL;
    const mr_slice taken = {rest->data, at != NULL ? (size_t)(at - rest->data) : rest->size};
    const size_t used = at != NULL ? taken.size + 1 : taken.size;
    *rest = (mr_slice){rest->data + used, rest->size - used};
    return taken;
}

/* A text of its own, cut at a NUL; to be freed. */
static inline char *fuzz_text(mr_slice bytes)
{
    char *text = strndup(bytes.size > 0 ? bytes.data : "", bytes.size);
    if (text == NULL)
        abort();
    return text;
}

#endif
