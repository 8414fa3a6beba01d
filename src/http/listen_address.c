#include "http/listen_address.h"

#include "base/error.h"
#include "base/host_port.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 32 };

static bool parse(const char *listen, union ps_host *ret_address)
{
    char host[PS_HOST_TEXT];
    const char *port_text;
    uint64_t port;
    if (!ps_host_port_split(listen, host, &port_text) ||
        !ps_text_to_uint(port_text, 0, UINT16_MAX, &port) ||
        !ps_host_parse(strcmp(host, "*") == 0 ? "0.0.0.0" : host, ret_address))
        return false;
    if (ret_address->any.sa_family == AF_INET)
        ret_address->v4.sin_port = htons((uint16_t)port);
    else
        ret_address->v6.sin6_port = htons((uint16_t)port);
    return true;
}

/* Makes a URL for a browser; "*" becomes the name of this machine. */
static void make_url(const union ps_host *address, char ret_url[PS_HTTP_URL])
{
    char host[256] = "";
    bool v4 = address->any.sa_family == AF_INET;
    bool every = v4 ? address->v4.sin_addr.s_addr == htonl(INADDR_ANY)
                    : IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    if (every)
        (void)gethostname(host, sizeof host - 1);
    else
        (void)inet_ntop(address->any.sa_family,
                        v4 ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr, host,
                        sizeof host);
    bool bare = v4 || every;
    (void)snprintf(ret_url, PS_HTTP_URL, "http://%s%s%s:%d/", bare ? "" : "[", host,
                   bare ? "" : "]", ntohs(v4 ? address->v4.sin_port : address->v6.sin6_port));
}

static int bind_and_listen(const char *listen_text, union ps_host *address, int *ret_socket,
                           struct ps_error *error)
{
    const int yes = 1;
    socklen_t size = address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* After a restart, old connections of the service still occupy the port. */
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, &address->any, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address->any, &size) != 0) {
        int status = ps_fail(error, PS_E_SYSTEM, "http.listen = %s: cannot bind: %s", listen_text,
                             strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return status;
    }
    *ret_socket = fd;
    return 0;
}

int ps_http_listen(const char *listen, bool insecure_bind, struct ps_http_address *ret_address,
                   struct ps_error *error)
{
    union ps_host address;
    if (!parse(listen, &address))
        return ps_fail(error, PS_E_CONFIG,
                       "http.listen = %.200s: expected ADDRESS:PORT with the number of an address, "
                       "for example 127.0.0.1:5592",
                       listen);
    bool local = ps_host_is_loopback(&address);
    if (!local && !insecure_bind)
        return ps_fail(error, PS_E_CONFIG,
                       "http.listen = %.200s: reaches beyond this machine, which needs "
                       "http.insecure_bind = yes",
                       listen);
    int status = bind_and_listen(listen, &address, &ret_address->socket, error);
    if (status)
        return status;
    ret_address->local = local;
    make_url(&address, ret_address->url);
    return 0;
}

bool ps_http_host_is_local(const char *host)
{
    char name[PS_HOST_TEXT];
    const char *port;
    union ps_host address;
    if (!host || !*host)
        return true;
    size_t length = strlen(host);
    /* The colon before the port, not one within an IPv6 address. */
    bool has_port = host[length - 1] != ']' && strchr(host, ':');
    if (!has_port && length < sizeof name)
        memcpy(name, host, length + 1);
    else if (!has_port || !ps_host_port_split(host, name, &port))
        return false;
    return ps_host_parse(name, &address) && ps_host_is_loopback(&address);
}
