/* rest_audit.c - who asks, and what the audit trail tells. */
#include "coordinator/rest_handlers.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { DEFAULT_ENTRIES = 100, MAX_ENTRIES = 10000, MAX_WHO_BYTES = 128, MAX_WHAT_BYTES = 64 };

bool mr_request_identify(mr_request *request)
{
    const char *who = mr_request_header(request, "Millrace-User");
    size_t size = 0;
    for (; who != NULL && who[size] >= ' ' && who[size] <= '~'; size++)
        ;
    if (who != NULL && (who[size] != '\0' || size > MAX_WHO_BYTES)) {
        mr_request_error(request, 400,
                         "header Millrace-User: at most %d printable ASCII characters are taken",
                         MAX_WHO_BYTES);
        return false;
    }
    request->who = size > 0 ? who : NULL;
    const struct sockaddr *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const void *address = peer->sa_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    if (inet_ntop(peer->sa_family, address, request->from, sizeof request->from) == NULL)
        snprintf(request->from, sizeof request->from, "unknown");
    return true;
}

static void list_audit(mr_request *request, const char *tenant)
{
    bool ok = true;
    const int64_t limit = mr_request_number(request, "limit", 1, MAX_ENTRIES, DEFAULT_ENTRIES, &ok);
    const int64_t before = ok ? mr_request_number(request, "before", 1, INT64_MAX, INT64_MAX, &ok) : 0;
    const char *what = mr_request_query(request, "what");
    const size_t size = what == NULL ? 1 : strspn(what, "abcdefghijklmnopqrstuvwxyz_");
    if (ok && (size == 0 || size > MAX_WHAT_BYTES || (what != NULL && what[size] != '\0'))) {
        mr_request_error(request, 400,
                         "query argument \"what\": a kind of change is expected, as apply_tenant");
        ok = false;
    }
    if (!ok)
        return;
    json_t *view = NULL;
    mr_error error;
    const mr_err err = mr_service_list_audit(request->service, tenant, what, before, limit, &view, &error);
    mr_request_view(request, 200, err, view, &error);
}

void mr_handle_audit(mr_request *request)
{
    list_audit(request, NULL);
}

void mr_handle_tenant_audit(mr_request *request)
{
    list_audit(request, request->tenant);
}
