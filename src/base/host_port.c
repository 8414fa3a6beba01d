#include "base/host_port.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool ps_host_port_split(const char *text, char ret_host[PS_HOST_TEXT], const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= PS_HOST_TEXT)
        return false;
    (void)snprintf(ret_host, PS_HOST_TEXT, "%.*s", (int)length, text);
    *ret_port = colon + 1;
    return true;
}

static bool parse_ipv6(const char *text, union ps_host *host)
{
    char inner[INET6_ADDRSTRLEN];
    size_t length = strlen(text);
    if (length < 3 || length - 2 >= sizeof inner || *text != '[' || text[length - 1] != ']')
        return false;
    (void)snprintf(inner, sizeof inner, "%.*s", (int)(length - 2), text + 1);
    return inet_pton(AF_INET6, inner, &host->v6.sin6_addr) == 1;
}

bool ps_host_parse(const char *text, union ps_host *ret_host)
{
    union ps_host host = {0};
    if (strcasecmp(text, "localhost") == 0)
        text = "127.0.0.1";
    if (inet_pton(AF_INET, text, &host.v4.sin_addr) == 1)
        host.any.sa_family = AF_INET;
    else if (parse_ipv6(text, &host))
        host.any.sa_family = AF_INET6;
    else
        return false;
    *ret_host = host;
    return true;
}

bool ps_host_is_loopback(const union ps_host *host)
{
    if (host->any.sa_family == AF_INET)
        return ntohl(host->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&host->v6.sin6_addr);
}
