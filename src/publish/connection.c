#include "publish/connection.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

enum { ADDRESS_BYTES = 128 };

uint64_t ps_connection_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* Writes who is at the other end: address and port, or for a local socket the process. */
static void describe_peer(int fd, char ret_text[ADDRESS_BYTES])
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    struct ucred process = {0};
    socklen_t process_size = sizeof process;
    (void)getpeername(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        (void)snprintf(ret_text, ADDRESS_BYTES, "%s:%u", host, ntohs(in->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address;
        (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        (void)snprintf(ret_text, ADDRESS_BYTES, "[%s]:%u", host, ntohs(in->sin6_port));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &process_size) == 0) {
        (void)snprintf(ret_text, ADDRESS_BYTES, "process:%d", (int)process.pid);
    } else {
        (void)snprintf(ret_text, ADDRESS_BYTES, "%s", host);
    }
}

/* ZeroMQ cannot close one connection of a socket. Its I/O thread sees the end of a connection that
 * was shut down, and closes it as if the client had. */
void ps_connection_end(int fd, uint64_t cookie, const char *reason, struct ps_log *log,
                       struct ps_metrics *metrics)
{
    char address[ADDRESS_BYTES];
    describe_peer(fd, address);
    ps_metrics_add(metrics, PS_COUNTER_DISCONNECTED_CLIENTS, 1);
    ps_log_event(log, PS_LOG_WARNING, "client_disconnected", "address=%s reason=\"%s\"", address,
                 reason);
    if (ps_connection_cookie(fd) == cookie)
        (void)shutdown(fd, SHUT_RDWR);
}
