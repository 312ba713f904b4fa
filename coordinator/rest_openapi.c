/* rest_openapi.c - GET /openapi.json: the file openapi.json as it is, put into the program by the assembler.
 */
#include "coordinator/openapi.h"
#include "coordinator/rest_handlers.h"

__asm__(".pushsection .rodata\n"
        "openapi_first: .incbin \"" MR_OPENAPI_FILE "\"\n"
        "openapi_end: .byte 0\n"
        ".popsection\n");

extern const char openapi_first[], openapi_end[];

mr_slice mr_openapi(void)
{
    return (mr_slice){openapi_first, (size_t)(openapi_end - openapi_first)};
}

void mr_handle_openapi(mr_request *request)
{
    const mr_slice text = mr_openapi();
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text.size, (void *)text.data, MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        (void)MHD_add_response_header(response, "Content-Type", "application/json");
    mr_request_respond(request, 200, response);
}
