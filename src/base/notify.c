/* The protocol is text, one VARIABLE=value a line, one datagram a message. Implemented here to
 * avoid a dependency on libsystemd. */
#include "base/notify.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 1024 };

bool ps_notify(const char *message)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || !*name)
        return true;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if ((*name != '/' && *name != '@') || length >= sizeof address.sun_path) {
        errno = EINVAL;
        return false;
    }
    memcpy(address.sun_path, name, length);
    if (*name == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* The length delimits an abstract name: a trailing NUL would be part of it. */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent;
    do {
        sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL, (const void *)&address, size);
    } while (sent < 0 && errno == EINTR);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return sent >= 0;
}

bool ps_notify_ready(void)
{
    return ps_notify("READY=1");
}

bool ps_notify_reloading(void)
{
    /* The manager uses this time to match the READY message to this reload. */
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    char message[MESSAGE];
    (void)snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    return ps_notify(message);
}

bool ps_notify_stopping(unsigned seconds)
{
    char message[MESSAGE];
    (void)snprintf(message, sizeof message, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                   (uint64_t)seconds * 1000000);
    return ps_notify(message);
}

bool ps_notify_status(const char *format, ...)
{
    char message[MESSAGE] = "STATUS=";
    size_t start = strlen(message);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message + start, sizeof message - start, format, arguments);
    va_end(arguments);
    /* A line break would let a file name inject another variable. */
    for (char *at = message; *at; at++) {
        if ((unsigned char)*at < ' ')
            *at = ' ';
    }
    return ps_notify(message);
}

bool ps_notify_watchdog(void)
{
    return ps_notify("WATCHDOG=1");
}

uint64_t ps_notify_watchdog_usec(void)
{
    const char *period = getenv("WATCHDOG_USEC");
    const char *owner = getenv("WATCHDOG_PID");
    uint64_t usec, pid;
    if (!period || !ps_text_to_uint(period, 1, UINT64_MAX - 1, &usec))
        return 0;
    if (owner && (!ps_text_to_uint(owner, 1, INT32_MAX, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return usec;
}
