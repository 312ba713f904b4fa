/* sink_decode.h - records of the bus to rows of the sink's schema, whatever version wrote them. */
#ifndef MR_TASK_SINK_DECODE_H
#define MR_TASK_SINK_DECODE_H

#include "core/avro.h"

typedef struct sink_decoder sink_decoder;

/* `schemas` is the JSON object of the key of that name, or NULL: `schema_id` with `reader` alone. Borrows
 * reader. */
mr_err sink_decoder_open(const char *schemas, const mr_schema *reader, uint32_t schema_id,
                         sink_decoder **ret_decoder, mr_error *ret_error);
void sink_decoder_close(sink_decoder **decoder);

/* One record's value; ret_row has one value per field of the reader. Fails with class MR_DATA: the reason is
 * for the dead letter; or with MR_ENOTFOUND: the record's schema is newer than all that the decoder knows.
 * Values point into `message`. */
mr_err sink_decode(sink_decoder *decoder, mr_slice message, mr_value *ret_row, mr_error *ret_error);

#endif
