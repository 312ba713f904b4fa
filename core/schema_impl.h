/* schema_impl.h - what a schema is made of; private to core/schema*.c. */
#ifndef MR_CORE_SCHEMA_IMPL_H
#define MR_CORE_SCHEMA_IMPL_H

#include "core/arena.h"
#include "core/schema.h"

struct mr_schema {
    mr_slice text; /* in pool */
    const char *name;
    mr_field *fields;
    size_t field_count;
    char *pool; /* the text, then every name and plain default, each with a NUL: together no longer than the
                   text */
    size_t pool_used;
    mr_arena arena; /* what nested types need */
};

/* Whether values of both are encoded and read alike: all but the outermost union, which is compared apart. */
bool schema_same_type(const mr_field *a, const mr_field *b);

#endif
