#include "http/listen_address.h"

#include "base/error.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 32, HOST = 64 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Parses a numeric address or "localhost". */
static bool parse_host(const char *host, union address *ret_address)
{
    union address address = {0};
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    size_t length = strlen(host);
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
    } else {
        char inner[HOST];
        bool brackets =
            length > 2 && length < sizeof inner && *host == '[' && host[length - 1] == ']';
        if (!brackets)
            return false;
        (void)snprintf(inner, sizeof inner, "%.*s", (int)(length - 2), host + 1);
        if (inet_pton(AF_INET6, inner, &address.v6.sin6_addr) != 1)
            return false;
        address.v6.sin6_family = AF_INET6;
    }
    *ret_address = address;
    return true;
}

static bool is_local(const union address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* Splits "HOST:PORT" at its last colon. */
static bool split(const char *text, char ret_host[HOST], const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= HOST)
        return false;
    (void)snprintf(ret_host, HOST, "%.*s", (int)length, text);
    *ret_port = colon + 1;
    return true;
}

static bool parse(const char *listen, union address *ret_address)
{
    char host[HOST];
    const char *port_text;
    uint64_t port;
    if (!split(listen, host, &port_text) || !ps_text_to_uint(port_text, 0, UINT16_MAX, &port) ||
        !parse_host(strcmp(host, "*") == 0 ? "0.0.0.0" : host, ret_address))
        return false;
    if (ret_address->any.sa_family == AF_INET)
        ret_address->v4.sin_port = htons((uint16_t)port);
    else
        ret_address->v6.sin6_port = htons((uint16_t)port);
    return true;
}

/* Makes a URL for a browser; "*" becomes the name of this machine. */
static void make_url(const union address *address, char ret_url[PS_HTTP_URL])
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

static int bind_and_listen(const char *listen_text, union address *address, int *ret_socket,
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
    union address address;
    if (!parse(listen, &address))
        return ps_fail(error, PS_E_CONFIG,
                       "http.listen = %.200s: expected ADDRESS:PORT with the number of an address, "
                       "for example 127.0.0.1:5592",
                       listen);
    bool local = is_local(&address);
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
    char name[HOST];
    const char *port;
    union address address;
    if (!host || !*host)
        return true;
    size_t length = strlen(host);
    /* The colon before the port, not one within an IPv6 address. */
    bool has_port = host[length - 1] != ']' && strchr(host, ':');
    if (!has_port && length < sizeof name)
        memcpy(name, host, length + 1);
    else if (!has_port || !split(host, name, &port))
        return false;
    return parse_host(name, &address) && is_local(&address);
}
