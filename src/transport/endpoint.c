#include "transport/endpoint.h"

#include "base/error.h"
#include "base/host_port.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>
#include <zmq.h>

static const char tcp[] = "tcp://";
static const char ipc[] = "ipc://";

/* The text after `prefix`; NULL if `text` does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

bool ps_endpoint_is_local(const char *endpoint)
{
    char host[PS_HOST_TEXT];
    const char *port;
    union ps_host address;
    const char *rest = after(endpoint, tcp);
    if (after(endpoint, ipc))
        return true;
    return rest && ps_host_port_split(rest, host, &port) && ps_host_parse(host, &address) &&
           ps_host_is_loopback(&address);
}

int ps_endpoint_check(const char *key, const char *endpoint, struct ps_error *error)
{
    const char *path = after(endpoint, ipc);
    if (strlen(endpoint) >= PS_ENDPOINT_TEXT || (path && strlen(path) > PS_ENDPOINT_PATH))
        return ps_fail(error, PS_E_CONFIG,
                       "%s = %.200s: too long: the path of a socket has %d bytes at most", key,
                       endpoint, PS_ENDPOINT_PATH);
    char host[PS_HOST_TEXT];
    const char *port;
    uint64_t number;
    const char *rest = after(endpoint, tcp);
    /* ZeroMQ accepts any port number and truncates it to 16 bits. */
    bool has_port = rest && ps_host_port_split(rest, host, &port) &&
                    (strcmp(port, "*") == 0 || ps_text_to_uint(port, 0, UINT16_MAX, &number));
    bool has_path = path && *path && strcmp(path, "*") != 0;
    if (!has_port && !has_path)
        return ps_fail(error, PS_E_CONFIG,
                       "%s = %s: expected tcp://ADDRESS:PORT or ipc://PATH, for example "
                       "tcp://127.0.0.1:5590",
                       key, endpoint);
    return 0;
}

/* Locks PATH.lock of an ipc endpoint. An abstract socket ("@name") needs no lock: the kernel lets
 * only one process bind it. */
static int lock_path(const char *key, const char *endpoint, int *ret_lock, struct ps_error *error)
{
    const char *path = after(endpoint, ipc);
    char name[PS_ENDPOINT_PATH + 8];
    *ret_lock = -1;
    if (!path || *path == '@')
        return 0;
    (void)snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "%s = %s: cannot lock it: %s: %s", key, endpoint, name,
                       strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;
        (void)close(fd);
        return ps_fail(error, PS_E_SYSTEM, "%s = %s: %s", key, endpoint,
                       code == EWOULDBLOCK ? "another process has it" : strerror(code));
    }
    *ret_lock = fd;
    return 0;
}

int ps_endpoint_bind(const char *key, const char *endpoint, void *socket, int *ret_lock,
                     char ret_bound[PS_ENDPOINT_TEXT], struct ps_error *error)
{
    char numeric[PS_ENDPOINT_TEXT];
    char host[PS_HOST_TEXT];
    const char *port;
    const char *rest = after(endpoint, tcp);
    /* zmq_bind() does not resolve host names. */
    if (rest && ps_host_port_split(rest, host, &port) && strcasecmp(host, "localhost") == 0)
        (void)snprintf(numeric, sizeof numeric, "tcp://127.0.0.1:%.400s", port);
    else
        (void)snprintf(numeric, sizeof numeric, "%s", endpoint);
    int lock;
    int status = lock_path(key, endpoint, &lock, error);
    if (status)
        return status;
    const int ipv6 = strchr(numeric, '[') != NULL;
    (void)zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
    size_t size = PS_ENDPOINT_TEXT;
    if (zmq_bind(socket, numeric) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, ret_bound, &size) != 0) {
        status = ps_fail(error, PS_E_SYSTEM, "%s = %s: cannot bind: %s", key, endpoint,
                         zmq_strerror(zmq_errno()));
        if (lock >= 0)
            (void)close(lock);
        return status;
    }
    *ret_lock = lock;
    return 0;
}
