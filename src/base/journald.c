#include "base/journald.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What journald expects first: name of the program, unit (empty: it asks the kernel), priority of
 * lines without one, whether lines have one; and whether to pass them on to syslog, to the kernel's
 * log and to the console. */
static const char introduction[] = "pickstream\n\n6\n1\n0\n0\n0\n";

int ps_journald_open(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const ssize_t length = sizeof introduction - 1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, introduction, (size_t)length, MSG_NOSIGNAL) == length)
        return fd;
    int number = errno;
    (void)close(fd);
    errno = number;
    return -1;
}
