/* bus_batch_fuzz.c - blobs of the embedded bus. Input: how many bytes the reader takes, then the blob.
 *
 * What decodes is packed again, and decodes to the same records. */
#include "bus/embedded/batch.h"
#include "core/arena.h"
#include "fuzz/fuzz.h"

static mr_err decode(mr_slice blob, size_t max_bytes, mr_arena *arena, mr_record **ret_records,
                     size_t *ret_count, bool *ret_cut)
{
    const embedded_batch_window window = {.base_offset = 100, .max_bytes = max_bytes, .minimum = 1};
    mr_error error = {.text = ""};
    size_t room, bytes;
    mr_err err = embedded_batch_count(blob, &room, &error);
    mr_record *records = err == MR_OK ? calloc(room + 1, sizeof *records) : NULL;
    if (err == MR_OK)
        err = embedded_batch_decode(blob, &window, arena, records, ret_count, &bytes, ret_cut, &error);
    if (err == MR_OK) {
        FUZZ_CHECK(*ret_count <= room && bytes <= blob.size);
        *ret_records = records;
    } else {
        FUZZ_CHECK(err == MR_EINVALID && error.text[0] != '\0');
        free(records);
    }
    return err;
}

static void pack_again(const mr_record *records, size_t count, mr_arena *arena)
{
    embedded_batch batch = {0};
    mr_record *again;
    size_t again_count;
    bool cut;
    for (size_t i = 0; i < count; i++) {
        const int64_t gap = i == 0 ? 0 : records[i].offset - records[i - 1].offset - 1;
        FUZZ_CHECK(gap >= 0 && gap <= UINT32_MAX);
        FUZZ_CHECK(embedded_batch_append(&batch, &records[i], (uint32_t)gap) == MR_OK);
    }
    FUZZ_CHECK(decode(mr_buf_slice(&batch.data), SIZE_MAX, arena, &again, &again_count, &cut) == MR_OK);
    FUZZ_CHECK(again_count == count && !cut);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(mr_slice_equal(records[i].key, again[i].key) &&
                   mr_slice_equal(records[i].value, again[i].value) &&
                   records[i].header_count == again[i].header_count &&
                   records[i].timestamp_ms == again[i].timestamp_ms);
    free(again);
    embedded_batch_fini(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    mr_arena arena = {0};
    mr_record *records;
    size_t count;
    bool cut;
    const size_t max_bytes = data[0] == 0 ? SIZE_MAX : data[0];
    if (decode((mr_slice){(const char *)data + 1, size - 1}, max_bytes, &arena, &records, &count, &cut) ==
        MR_OK) {
        if (count > 0)
            pack_again(records, count, &arena);
        free(records);
    }
    mr_arena_fini(&arena);
    return 0;
}
