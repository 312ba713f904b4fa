/* avro_take.h - goes through Avro's encoding piece by piece. For who stores records, arrays and maps as
 * something better than text:
 *
 *     mr_avro_input in = mr_avro_input_of(value);         a value of type MR_TYPE_ARRAY
 *     for (int64_t count; mr_take_block(&in, &count) == NULL && count > 0;)
 *         while (count-- > 0)
 *             mr_take_value(&in, &field->shape->fields[0], &element);
 *
 * A map has a mr_take_text, its key, before each element; a record is the values of its fields in their
 * order. Each function returns NULL, or what is wrong with the bytes: nothing, where they are those of a
 * value, since these have been checked.
 */
#ifndef MR_CORE_AVRO_TAKE_H
#define MR_CORE_AVRO_TAKE_H

#include "core/schema.h"

typedef struct mr_avro_input {
    const unsigned char *at, *end;
} mr_avro_input;

static inline mr_avro_input mr_avro_input_of(const mr_value *value)
{
    const unsigned char *data = (const unsigned char *)value->data;
    return (mr_avro_input){data, data + value->size};
}

/* The next value; data points into the input. A record, array or map is checked through and through. */
const char *mr_take_value(mr_avro_input *in, const mr_field *field, mr_value *ret_value);
/* How many elements of an array or map follow; 0: it ends here. */
const char *mr_take_block(mr_avro_input *in, int64_t *ret_count);
const char *mr_take_text(mr_avro_input *in, mr_slice *ret_text);

#endif
