#include "base/descriptors.h"

#include <sys/resource.h>

enum {
    MAX_LIMIT = 65536,
    MAX_SOCKET = 4096,
    /* Journal, inotify, directories and micrographs being read, files being written, the live view,
     * and connections that were accepted beyond a limit and are being closed. */
    RESERVED = 320,
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
