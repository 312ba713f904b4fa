/* rest_connections.h - how many connections the API has, and how slow they may be.
 *
 * libmicrohttpd owns the connections; here stands what each is at, and since when. One that is too slow is
 * shut down: libmicrohttpd sees its end and closes it. When there are as many as may be, a newcomer takes the
 * place of the one that has waited longest without a request, or of one that is slow; where none is, it is
 * not admitted: it is told so, and closed. Inside REST only. Thread: the loop's. `now_ms` is of one clock.
 */
#ifndef MR_COORDINATOR_REST_CONNECTIONS_H
#define MR_COORDINATOR_REST_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mr_connections mr_connections;
typedef struct mr_connection mr_connection;

typedef struct mr_connection_limits {
    size_t most;
    int64_t head_ms; /* from connecting to a whole request head */
    int64_t idle_ms; /* between requests */
    int64_t slow_ms; /* for which a body or an answer may move fewer than MR_SLOW_BYTES in a second */
} mr_connection_limits;

enum { MR_SLOW_BYTES = 500 };

mr_connections *mr_connections_open(const mr_connection_limits *limits); /* NULL: out of memory */
void mr_connections_close(mr_connections **connections); /* after the last connection has ended; NULL-safe */
size_t mr_connections_count(const mr_connections *connections);

/* Cuts off what is too slow; to be called each second while there are connections. */
void mr_connections_check(mr_connections *connections, int64_t now_ms);

/* NULL: out of memory. */
mr_connection *mr_connection_begin(mr_connections *connections, int fd, int64_t now_ms);
void mr_connection_end(mr_connection *connection, int64_t now_ms);
/* Its request has come: false: there are too many, and none can be cut off instead. */
bool mr_connection_admit(mr_connection *connection, bool has_body, int64_t now_ms);

typedef enum mr_connection_phase {
    MR_CONNECTION_HEAD,   /* no request yet */
    MR_CONNECTION_IDLE,   /* after a request */
    MR_CONNECTION_BODY,   /* a request comes in */
    MR_CONNECTION_ANSWER, /* an answer goes out */
} mr_connection_phase;

void mr_connection_enter(mr_connection *connection, mr_connection_phase phase, int64_t now_ms);
/* While the coordinator itself is what the request waits for. */
void mr_connection_hold(mr_connection *connection, bool hold, int64_t now_ms);

/* Warns, now and then, of what its peer does. */
void mr_connection_complain(mr_connection *connection, const char *why, int64_t now_ms);

#endif
