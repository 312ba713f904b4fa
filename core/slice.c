#include "core/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

mr_err mr_buf_reserve(mr_buf *buf, size_t more)
{
    if (more <= buf->capacity - buf->size)
        return MR_OK;
    size_t capacity = buf->capacity < 128 ? 256 : buf->capacity * 2;
    if (capacity < buf->size + more)
        capacity = buf->size + more;
    char *data = realloc(buf->data, capacity);
    if (data == NULL)
        return MR_ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return MR_OK;
}

mr_err mr_buf_append(mr_buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return MR_OK;
    if (mr_buf_reserve(buf, size) != MR_OK)
        return MR_ENOMEM;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return MR_OK;
}

mr_err mr_buf_printf(mr_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        return MR_EINVALID;
    if (mr_buf_reserve(buf, (size_t)size + 1) != MR_OK)
        return MR_ENOMEM;
    va_start(args, format);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, format, args);
    va_end(args);
    buf->size += (size_t)size;
    return MR_OK;
}

void mr_buf_fini(mr_buf *buf)
{
    free(buf->data);
    *buf = (mr_buf){0};
}
