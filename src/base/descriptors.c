#include "base/descriptors.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_LIMIT = 65536,
    MAX_SOCKET = 4096,
    /* Journal, inotify, directories and micrographs being read, files being written, the live view,
     * and connections that were accepted beyond a limit and are being closed. */
    RESERVED = 320,
    MAX_CHECKED = 64,
    HTTP_SHARE = 16, /* the live view has this part of the limit at most */
};

static size_t limit(void)
{
    struct rlimit now;
    return getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < MAX_LIMIT ? (size_t)now.rlim_cur
                                                                           : MAX_LIMIT;
}

void ps_descriptors_raise(void)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur >= MAX_LIMIT)
        return;
    now.rlim_cur = now.rlim_max < MAX_LIMIT ? now.rlim_max : MAX_LIMIT;
    (void)setrlimit(RLIMIT_NOFILE, &now);
}

static size_t between_1_and(size_t max, size_t count)
{
    return count < 1 ? 1 : count > max ? max : count;
}

size_t ps_descriptors_for_socket(int eighths)
{
    const size_t all = limit();
    const size_t left = all > 2 * RESERVED ? all - RESERVED : all / 2;
    return between_1_and(MAX_SOCKET, left * (size_t)eighths / 8);
}

size_t ps_descriptors_for_http(size_t max)
{
    return between_1_and(max, limit() / HTTP_SHARE);
}

int ps_descriptors_check(size_t count, struct ps_error *error)
{
    int fds[MAX_CHECKED];
    size_t had = 0;
    int failure = 0;
    while (had < count && had < MAX_CHECKED && !failure) {
        fds[had] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fds[had] >= 0)
            had++;
        else
            failure = errno;
    }
    for (size_t i = 0; i < had; i++)
        (void)close(fds[i]);
    if (!failure)
        return 0;
    return ps_fail(error, PS_E_SYSTEM, "%zu more file descriptors are needed (limit %zu): %s",
                   count, limit(), strerror(failure));
}
