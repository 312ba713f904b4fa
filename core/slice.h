/* slice.h - borrowed bytes, and a growing buffer that owns its bytes. Neither is NUL-terminated. */
#ifndef MR_CORE_SLICE_H
#define MR_CORE_SLICE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct mr_slice {
    const char *data;
    size_t size;
} mr_slice;

#define MR_SLICE_LITERAL(s) ((mr_slice){(s), sizeof(s) - 1})

static inline mr_slice mr_slice_of(const char *text)
{
    return (mr_slice){text, strlen(text)};
}

static inline bool mr_slice_equal(mr_slice a, mr_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* {0} is an empty buffer; fini() frees and leaves it empty. */
typedef struct mr_buf {
    char *data;
    size_t size;
    size_t capacity;
} mr_buf;

/* Makes room for `more` bytes beyond size. Fails only with MR_ENOMEM. */
mr_err mr_buf_reserve(mr_buf *buf, size_t more);
mr_err mr_buf_append(mr_buf *buf, const void *data, size_t size);
mr_err mr_buf_printf(mr_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mr_buf_fini(mr_buf *buf);

static inline mr_slice mr_buf_slice(const mr_buf *buf)
{
    return (mr_slice){buf->data, buf->size};
}

#endif
