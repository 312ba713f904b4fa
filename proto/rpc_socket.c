/* rpc_socket.c - see rpc_socket.h. */
#include "proto/rpc_socket.h"

#include "proto/messages.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int mr_rpc_socket_init(nng_socket socket)
{
    return nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, MR_RPC_MAX_BYTES);
}

/* In the program's own symbols, where nng's call finds it before libc's. */
__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);
    if (sent < 0 && errno == EPIPE)
        errno = ECONNRESET;
    return sent;
}
