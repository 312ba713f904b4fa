/* rpc_fuzz.c - messages between coordinator, worker and task. Input: which of the four, then the bytes.
 *
 * What is accepted is packed, and accepted again. */
#include "fuzz/fuzz.h"
#include "proto/messages.h"

#define ROUND_TRIP(name, type)                                                                               \
    static void name(mr_slice bytes)                                                                         \
    {                                                                                                        \
        type *message, *again;                                                                               \
        mr_buf packed = {0};                                                                                 \
        mr_error error = {.text = ""};                                                                       \
        if (mr_##name##_unpack(bytes, &message, &error) != MR_OK) {                                          \
            FUZZ_CHECK(error.text[0] != '\0');                                                               \
            return;                                                                                          \
        }                                                                                                    \
        FUZZ_CHECK(mr_##name##_pack(message, &packed, &error) == MR_OK);                                     \
        FUZZ_CHECK(mr_##name##_unpack(mr_buf_slice(&packed), &again, &error) == MR_OK);                      \
        mr_##name##_close(&again);                                                                           \
        mr_##name##_close(&message);                                                                         \
        mr_buf_fini(&packed);                                                                                \
    }

ROUND_TRIP(request, Mr__Proto__Request)
ROUND_TRIP(reply, Mr__Proto__Reply)
ROUND_TRIP(to_task, Mr__Proto__WorkerToTask)
ROUND_TRIP(from_task, Mr__Proto__TaskToWorker)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(mr_slice) = {request, reply, to_task, from_task};
    if (size > 0)
        kinds[data[0] % 4]((mr_slice){(const char *)data + 1, size - 1});
    return 0;
}
