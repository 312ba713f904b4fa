/* avro_put.h - appends values as Avro encodes them, for what is inside nested ones. Private to core/. Each
 * function fails with MR_ENOMEM only.
 */
#ifndef MR_CORE_AVRO_PUT_H
#define MR_CORE_AVRO_PUT_H

#include "core/schema.h"

mr_err avro_put_long(mr_buf *out, int64_t number);
/* Length and bytes: a string, bytes, the key of a map. */
mr_err avro_put_text(mr_buf *out, mr_slice text);
/* A value that fits the field, with the index of its union. */
mr_err avro_put_value(mr_buf *out, const mr_field *field, const mr_value *value);
/* The index that says that a value other than null follows, if the field may be null. */
mr_err avro_put_present(mr_buf *out, const mr_field *field);

#endif
