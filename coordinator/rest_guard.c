#include "coordinator/rest_guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Takes "host:port", "[v6]:port", "host" apart; false when it is none of them. *ret_port is -1 without a
 * port. */
static bool split(const char *text, char *ret_host, size_t capacity, long *ret_port)
{
    const char *start = text, *end, *rest;
    if (*text == '[') {
        start = text + 1;
        end = strchr(start, ']');
        rest = end == NULL ? NULL : end + 1;
    } else {
        end = start + strcspn(start, ":");
        rest = end;
    }
    if (end == NULL || end == start || (size_t)(end - start) >= capacity)
        return false;
    memcpy(ret_host, start, (size_t)(end - start));
    ret_host[end - start] = '\0';
    *ret_port = -1;
    if (*rest == '\0')
        return true;
    if (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1) || strlen(rest + 1) > 5)
        return false;
    *ret_port = rest[1] == '\0' ? -1 : atol(rest + 1);
    return *ret_port <= 65535;
}

mr_err mr_listen_parse(const char *text, mr_listen *ret_listen, mr_error *ret_error)
{
    mr_listen listen = {.any = false};
    long port;
    if (!split(text, listen.host, sizeof listen.host, &port) || port < 0)
        return mr_fail(ret_error, MR_EINVALID, "listen: \"%.80s\" is not ADDRESS:PORT, as 127.0.0.1:8083",
                       text);
    const char *address = strcasecmp(listen.host, "localhost") == 0 ? "127.0.0.1" : listen.host;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&listen.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&listen.address;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        listen.loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
        listen.any = v4->sin_addr.s_addr == INADDR_ANY;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        listen.loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        listen.any = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
    } else {
        return mr_fail(ret_error, MR_EINVALID, "listen: \"%.80s\" is not an IP address or localhost",
                       listen.host);
    }
    *ret_listen = listen;
    return MR_OK;
}

static bool host_allowed(const mr_listen *listen, const char *text)
{
    char host[256];
    long port;
    if (!split(text, host, sizeof host, &port))
        return false;
    return listen->any || strcasecmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
           strcmp(host, "::1") == 0 || strcasecmp(host, listen->host) == 0;
}

mr_err mr_rest_guard(const mr_listen *listen, const char *host, const char *origin, mr_error *ret_error)
{
    if (host == NULL || !host_allowed(listen, host))
        return mr_fail(ret_error, MR_EREFUSED, "the Host header \"%.80s\" is not a name of this coordinator",
                       host == NULL ? "" : host);
    if (origin == NULL)
        return MR_OK;
    const char *name = strncmp(origin, "http://", 7) == 0 ? origin + 7 : NULL;
    if (name == NULL || !host_allowed(listen, name) || strcasecmp(name, host) != 0)
        return mr_fail(ret_error, MR_EREFUSED, "requests from web pages of \"%.80s\" are not taken", origin);
    return MR_OK;
}
