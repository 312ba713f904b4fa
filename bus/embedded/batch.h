/* batch.h - records packed into one blob, the unit that the embedded bus stores; private to bus/embedded.
 *
 * Format 1, integers of the head little endian, varints as in Protocol Buffers, Z: zigzag:
 *   head      format u8, records u32, relative offset of the last record u32, base time i64 (milliseconds)
 *   record    skipped offsets before it varint, time - base time Z varint, key size + 1 varint (0: no key),
 *             value size + 1 varint (0: a tombstone), headers varint, headers, key, value
 *   header    name size varint, value size + 1 varint (0: no value), name, value
 * The first record's relative offset is 0; the offset of a record is that of the batch plus its relative one.
 */
#ifndef MR_BUS_EMBEDDED_BATCH_H
#define MR_BUS_EMBEDDED_BATCH_H

#include "bus/bus.h"

enum {
    EMBEDDED_BATCH_BYTES = 256 * 1024, /* a batch is full when it has so many bytes or records: */
    EMBEDDED_BATCH_RECORDS = 1000,     /* a reader decodes one with little memory */
};

/* {0} is an empty batch. */
typedef struct embedded_batch {
    mr_buf data;
    uint32_t count;
    uint32_t span; /* relative offset of the last record */
    int64_t base_ms;
    int64_t newest_ms;           /* the latest time of its records: retention goes by it */
    int64_t base_offset;         /* given by prepare */
    struct embedded_batch *next; /* for lists of the owner */
} embedded_batch;

/* Appends a record after leaving `gap` offsets out (0 for the first). Fails only with MR_ENOMEM. */
mr_err embedded_batch_append(embedded_batch *batch, const mr_record *record, uint32_t gap);
bool embedded_batch_full(const embedded_batch *batch);
void embedded_batch_clear(embedded_batch *batch); /* empties it, keeps its memory */
void embedded_batch_fini(embedded_batch *batch);

/* Number of records a blob says to hold, checked against its size; MR_EINVALID when it is no batch. */
mr_err embedded_batch_count(mr_slice blob, size_t *ret_count, mr_error *ret_error);

/* Where decoding starts and ends. */
typedef struct embedded_batch_window {
    int64_t base_offset;
    int64_t from_offset; /* records below it are skipped */
    size_t max_bytes;    /* stops at the record that would pass it, but gives at least `minimum` records */
    size_t minimum;
} embedded_batch_window;

/* Decodes into `records`, which has room for embedded_batch_count() of them; bytes stay in `blob`, header
 * arrays lie in `arena`. *ret_cut: records were left because of max_bytes. *ret_bytes: size of what was
 * decoded. A blob that was damaged, or is not from us, is MR_EINVALID. */
mr_err embedded_batch_decode(mr_slice blob, const embedded_batch_window *window, mr_arena *arena,
                             mr_record *records, size_t *ret_count, size_t *ret_bytes, bool *ret_cut,
                             mr_error *ret_error);

#endif
