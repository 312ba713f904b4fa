/* time_zone_fuzz.c - files of zone data. What is taken has periods that follow each other, and schedules that
 * go on. */
#include "coordinator/cron.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_time_zone *zone = NULL;
    mr_error error = {.text = ""};
    if (mr_time_zone_parse("fuzzed", (mr_slice){(const char *)data, size}, &zone, &error) != MR_OK) {
        FUZZ_CHECK(error.text[0] != '\0' && zone == NULL);
        return 0;
    }
    int64_t at = INT64_C(-3000000000);
    for (int i = 0; i < 50 && at < INT64_C(10000000000); i++) {
        const mr_zone_period period = mr_time_zone_period(zone, at);
        FUZZ_CHECK(period.start <= at && at < period.end);
        at = period.end;
    }
    mr_cron cron;
    FUZZ_CHECK(mr_cron_parse("30 2 * * *", &cron, NULL) == MR_OK);
    at = INT64_C(1790000000);
    for (int i = 0; i < 10; i++) {
        const int64_t next = mr_cron_next(&cron, zone, at);
        FUZZ_CHECK(next > at);
        at = next;
    }
    mr_time_zone_close(&zone);
    return 0;
}
