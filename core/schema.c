#include "core/schema_impl.h"

#include <stdlib.h>

void mr_schema_close(mr_schema **schema)
{
    if (*schema == NULL)
        return;
    free((*schema)->pool);
    mr_arena_fini(&(*schema)->arena);
    free(*schema);
    *schema = NULL;
}

const char *mr_schema_name(const mr_schema *schema)
{
    return schema->name;
}

mr_slice mr_schema_text(const mr_schema *schema)
{
    return schema->text;
}

const mr_field *mr_schema_fields(const mr_schema *schema, size_t *ret_count)
{
    *ret_count = schema->field_count;
    return schema->fields;
}

int mr_schema_find(const mr_schema *schema, mr_slice name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (mr_slice_equal(mr_slice_of(schema->fields[i].name), name))
            return (int)i;
    return -1;
}
