/* cron_fuzz.c - schedules. What parses has due times in order, or none. */
#include "coordinator/cron.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text((mr_slice){(const char *)data, size});
    mr_cron cron;
    mr_error error = {.text = ""};
    const mr_err err = mr_cron_parse(text, &cron, &error);
    free(text);
    if (err != MR_OK) {
        FUZZ_CHECK(error.text[0] != '\0');
        return 0;
    }
    int64_t at = INT64_C(1790000000);
    for (int i = 0; i < 3 && at >= 0; i++) {
        const int64_t next = mr_cron_next(&cron, NULL, at);
        FUZZ_CHECK(next < 0 || (next > at && next % 60 == 0));
        FUZZ_CHECK(next < 0 || mr_cron_latest(&cron, NULL, at, next) == next);
        at = next;
    }
    return 0;
}
