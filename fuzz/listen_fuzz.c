/* listen_fuzz.c - the address to listen on, a line end, a Host header, a line end, an Origin header. No
 * Origin of another machine passes. */
#include "coordinator/rest_guard.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mr_slice rest = {(const char *)data, size};
    char *address = fuzz_text(fuzz_take(&rest, '\n')), *host = fuzz_text(fuzz_take(&rest, '\n')),
         *origin = fuzz_text(rest);
    mr_listen listen;
    mr_error error;
    if (mr_listen_parse(address, &listen, &error) != MR_OK)
        FUZZ_CHECK(mr_listen_parse("127.0.0.1:0", &listen, &error) == MR_OK);
    (void)mr_rest_guard(&listen, host, NULL, &error);
    if (mr_rest_guard(&listen, host, origin, &error) == MR_OK)
        FUZZ_CHECK(strncmp(origin, "http://", 7) == 0);
    free(address);
    free(host);
    free(origin);
    return 0;
}
