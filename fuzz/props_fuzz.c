/* props_fuzz.c - properties files. Keys are unique and found again. */
#include "core/props.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_props *props;
    mr_error error = {.text = ""};
    FUZZ_CHECK(mr_props_open(&props) == MR_OK);
    if (mr_props_parse(props, "a.properties", (mr_slice){(const char *)data, size}, &error) == MR_OK) {
        for (size_t i = 0; i < mr_props_count(props); i++) {
            const char *key, *value;
            mr_props_at(props, i, &key, &value);
            FUZZ_CHECK(mr_props_get(props, key) == value);
        }
    } else {
        FUZZ_CHECK(strncmp(error.text, "a.properties", 12) == 0 && mr_props_count(props) == 0);
    }
    mr_props_close(&props);
    return 0;
}
