#include "synth/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int64_t NS_PER_S = 1000000000;

int64_t ps_deliver_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void wait_until(int64_t time)
{
    struct timespec deadline = {.tv_sec = time / NS_PER_S, .tv_nsec = time % NS_PER_S};
    if (time > ps_deliver_now())
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
            ;
}

/* Returns 0 or an errno. */
static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Returns 0 or an errno. */
static int write_pieces(const char *path, const char *bytes, size_t length,
                        const struct ps_delivery *delivery)
{
    wait_until(delivery->start);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno;
    int fault = 0;
    size_t pieces = (size_t)delivery->pieces;
    for (size_t i = 0; i < pieces && !fault; i++) {
        wait_until(delivery->start + (int64_t)i * delivery->spacing);
        size_t from = length / pieces * i, to = i + 1 < pieces ? from + length / pieces : length;
        fault = write_all(fd, bytes + from, to - from);
    }
    if (close(fd) < 0 && !fault)
        fault = errno;
    return fault;
}

int ps_deliver(const char *path, const void *bytes, size_t length,
               const struct ps_delivery *delivery, struct ps_error *error)
{
    char temporary[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int directory = (int)(name - path);
    if (snprintf(temporary, sizeof temporary, "%.*s.%s.tmp", directory, path, name) >=
        (int)sizeof temporary)
        return ps_fail(error, PS_E_SYSTEM, "cannot write %s: %s", path, strerror(ENAMETOOLONG));

    int fault = write_pieces(delivery->in_place ? path : temporary, bytes, length, delivery);
    if (!fault && !delivery->in_place && rename(temporary, path) < 0)
        fault = errno;
    if (fault && !delivery->in_place)
        unlink(temporary);
    return fault ? ps_fail(error, PS_E_SYSTEM, "cannot write %s: %s", path, strerror(fault)) : 0;
}
