/* task_position_fuzz.c - positions of sources and sinks, as the bus and the store keep them. What is read is
 * printed, and read again to the same. */
#include "fuzz/fuzz.h"
#include "task/sink_position.h"
#include "task/source_position.h"

static void source(mr_slice json)
{
    source_position first = {0}, second = {0};
    mr_buf once = {0}, twice = {0};
    mr_error error = {.text = ""};
    if (source_position_parse(json, &first, &error) == MR_OK) {
        FUZZ_CHECK(source_position_print(&first, &once, &error) == MR_OK);
        FUZZ_CHECK(source_position_parse(mr_buf_slice(&once), &second, &error) == MR_OK);
        FUZZ_CHECK(source_position_print(&second, &twice, &error) == MR_OK);
        FUZZ_CHECK(mr_slice_equal(mr_buf_slice(&once), mr_buf_slice(&twice)));
        source_position_fini(&second);
        source_position_fini(&first);
    }
    mr_buf_fini(&once);
    mr_buf_fini(&twice);
}

static void sink(mr_slice json)
{
    sink_position first = {.offset = -1}, second = {.offset = -1};
    mr_buf once = {0}, twice = {0};
    mr_error error = {.text = ""};
    if (sink_position_parse(json, 10, &first, &error) == MR_OK) {
        FUZZ_CHECK(sink_position_print(&first, &once, &error) == MR_OK);
        FUZZ_CHECK(sink_position_parse(mr_buf_slice(&once), 10, &second, &error) == MR_OK);
        FUZZ_CHECK(sink_position_print(&second, &twice, &error) == MR_OK);
        FUZZ_CHECK(mr_slice_equal(mr_buf_slice(&once), mr_buf_slice(&twice)));
        sink_position_fini(&second);
        sink_position_fini(&first);
    }
    mr_buf_fini(&once);
    mr_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mr_slice json = {(const char *)data, size};
    mr_buf run = {0};
    source(json);
    sink(json);
    (void)source_position_key_parse(json, "d", &run);
    mr_buf_fini(&run);
    return 0;
}
