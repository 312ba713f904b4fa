/* avro.h - rows to and from Avro's binary encoding in the Confluent wire format.
 *
 * Sources: Avro 1.11 specification, "Binary Encoding"; Confluent wire format: byte 0, schema id as 4 bytes
 * big endian, body. A plan is made once per schema; encoding and decoding allocate nothing per record.
 */
#ifndef MR_CORE_AVRO_H
#define MR_CORE_AVRO_H

#include "core/schema.h"

enum { MR_WIRE_HEADER_BYTES = 5 };

typedef struct mr_avro_encoder mr_avro_encoder;
typedef struct mr_avro_decoder mr_avro_decoder;

/* Encodes rows of `row_schema`. `columns` selects and orders what is written (NULL: all), so that the key is
 * encoded straight from the row. Borrows row_schema. */
mr_err mr_avro_encoder_open(const mr_schema *row_schema, const int *columns, size_t count, uint32_t schema_id,
                            mr_avro_encoder **ret_encoder, mr_error *ret_error);
void mr_avro_encoder_close(mr_avro_encoder **encoder);
/* Appends header and body. A value that does not fit its field is MR_EBUG: the converter has checked it. */
mr_err mr_avro_encode(mr_avro_encoder *encoder, const mr_value *row, mr_buf *out, mr_error *ret_error);

/* Decodes bodies written with `writer` into rows of `reader`: fields are matched by name, a field that the
 * writer did not have gets its default, else null. Borrows both. MR_EINVALID when reader cannot read writer.
 */
mr_err mr_avro_decoder_open(const mr_schema *writer, const mr_schema *reader, mr_avro_decoder **ret_decoder,
                            mr_error *ret_error);
void mr_avro_decoder_close(mr_avro_decoder **decoder);
/* `body` is without the wire header. What values point to is in `body`, or in the reader's schema. Hostile
 * input: MR_EINVALID with class MR_DATA, field named; trailing bytes and invalid UTF-8 are refused; what
 * ret_row holds then is not defined. */
mr_err mr_avro_decode(mr_avro_decoder *decoder, mr_slice body, mr_value *ret_row, mr_error *ret_error);

/* Splits a message of the wire format. MR_EINVALID, class MR_DATA. */
mr_err mr_wire_split(mr_slice message, uint32_t *ret_schema_id, mr_slice *ret_body, mr_error *ret_error);

#endif
