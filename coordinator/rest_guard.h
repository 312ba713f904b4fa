/* rest_guard.h - who may call: no web page may drive the API (DNS rebinding, cross-site requests).
 *
 * There is no password yet, so being on this machine is what counts: the Host header must be a name of this
 * machine, and a browser's Origin, where there is one, that very host and port: other servers of this machine
 * have pages, too. Pure functions.
 */
#ifndef MR_COORDINATOR_REST_GUARD_H
#define MR_COORDINATOR_REST_GUARD_H

#include "core/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

typedef struct mr_listen {
    struct sockaddr_storage address;
    char host[64]; /* as configured, without port and brackets */
    bool loopback;
    bool any; /* 0.0.0.0 or [::]: reached by names we cannot know */
} mr_listen;

/* "127.0.0.1:8083", "[::1]:8083", "localhost:8083"; other names are not looked up. */
mr_err mr_listen_parse(const char *text, mr_listen *ret_listen, mr_error *ret_error);

/* `host` and `origin` are header values or NULL. MR_EREFUSED says which is wrong. */
mr_err mr_rest_guard(const mr_listen *listen, const char *host, const char *origin, mr_error *ret_error);

#endif
