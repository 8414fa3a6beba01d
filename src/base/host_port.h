/* HOST:PORT, as in endpoints, in http.listen, and in the Host header of a request. */
#ifndef PS_BASE_HOST_PORT_H
#define PS_BASE_HOST_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { PS_HOST_TEXT = 512 };

union ps_host {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Splits `text` at its last colon, since an IPv6 address has others. `*ret_port` points into
 * `text`. False: no colon, or the host is empty or has PS_HOST_TEXT bytes or more. */
bool ps_host_port_split(const char *text, char ret_host[PS_HOST_TEXT], const char **ret_port);

/* Parses a numeric address ("127.0.0.1", "[::1]") or "localhost", which is 127.0.0.1. No name is
 * resolved. The port is 0. */
bool ps_host_parse(const char *text, union ps_host *ret_host);

/* True if only this machine can reach it: 127.0.0.0/8 or ::1. */
bool ps_host_is_loopback(const union ps_host *host);

#endif
