/* agreement_fuzz.c - agreements. What loads is within its bounds, and loads again from its own text. */
#include "coordinator/agreement.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mr_agreement_rules rules = {.document = "agreement.json", .default_store = "sqlite"};
    mr_agreement *agreement, *again;
    mr_warnings warnings = {0};
    mr_error error = {.text = ""};
    if (mr_agreement_parse((mr_slice){(const char *)data, size}, &rules, &warnings, &agreement, &error) ==
        MR_OK) {
        FUZZ_CHECK(agreement->text_size == size && memcmp(agreement->text, data, size) == 0);
        FUZZ_CHECK(agreement->limits.memory_bytes >= agreement->requests.memory_bytes);
        FUZZ_CHECK(agreement->sink_count > 0 && agreement->attempts > 0);
        FUZZ_CHECK(mr_agreement_parse(mr_slice_of(agreement->text), &rules, NULL, &again, &error) == MR_OK);
        mr_agreement_close(&again);
        mr_agreement_close(&agreement);
    } else {
        FUZZ_CHECK(strncmp(error.text, "agreement.json: ", 16) == 0);
    }
    mr_warnings_fini(&warnings);
    return 0;
}
