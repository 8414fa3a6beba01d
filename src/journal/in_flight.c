#include "journal/in_flight.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE = 48, /* bytes of every line, with its newline */
    TEXT = LINE - 1,
};

static const char TITLE[] = "in flight ";

static bool write_line(int fd, size_t line, const char *text)
{
    char bytes[LINE + 1];
    (void)snprintf(bytes, sizeof bytes, "%-*.*s\n", TEXT, TEXT, text);
    return pwrite(fd, bytes, LINE, (off_t)(line * LINE)) == LINE;
}

/* False at the end of the file. */
static bool read_line(int fd, size_t line, char ret_text[LINE + 1])
{
    ret_text[LINE] = '\0';
    return pread(fd, ret_text, LINE, (off_t)(line * LINE)) == LINE;
}

/* A command that root runs must not leave a file that the service cannot write. */
static void give_to_owner(int fd, const char *directory)
{
    struct stat info;
    if (geteuid() == 0 && stat(directory, &info) == 0 && fchown(fd, info.st_uid, info.st_gid) != 0)
        errno = 0; /* it can still be the service that runs as root */
}

int ps_in_flight_open(struct ps_in_flight *in_flight, const char *directory, struct ps_error *error)
{
    char *path;
    if (asprintf(&path, "%s/in-flight", directory) < 0)
        return ps_fail_memory(error, strlen(directory), "a path");
    in_flight->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (in_flight->fd >= 0)
        give_to_owner(in_flight->fd, directory);
    const int status = in_flight->fd >= 0 ? 0
                                          : ps_fail(error, PS_E_SYSTEM, "%s: cannot open: %s", path,
                                                    strerror(errno));
    free(path);
    return status;
}

void ps_in_flight_close(struct ps_in_flight *in_flight)
{
    if (in_flight->fd >= 0)
        (void)close(in_flight->fd);
    in_flight->fd = -1;
}

int ps_in_flight_each(const struct ps_in_flight *in_flight, const char *stream,
                      int (*take)(void *context, int64_t row, int attempt), void *context)
{
    char text[LINE + 1];
    const size_t title = sizeof TITLE - 1;
    if (!read_line(in_flight->fd, 0, text) || strncmp(text, TITLE, title) != 0 ||
        strncmp(text + title, stream, strlen(stream)) != 0)
        return 0;
    int status = 0;
    for (size_t line = 1; status >= 0 && read_line(in_flight->fd, line, text); line++) {
        int64_t row;
        int attempt;
        if (sscanf(text, "%" SCNd64 " %d", &row, &attempt) == 2)
            status = take(context, row, attempt);
    }
    return status < 0 ? status : 0;
}

int ps_in_flight_clear(const struct ps_in_flight *in_flight, const char *stream,
                       struct ps_error *error)
{
    char text[LINE + 1];
    (void)snprintf(text, sizeof text, "%s%s", TITLE, stream);
    if (ftruncate(in_flight->fd, 0) == 0 && write_line(in_flight->fd, 0, text))
        return 0;
    return ps_fail(error, PS_E_SYSTEM, "in-flight: cannot write to the state directory: %s",
                   strerror(errno));
}

void ps_in_flight_set(struct ps_in_flight *in_flight, size_t worker, int64_t row, int attempt)
{
    char text[LINE + 1];
    (void)snprintf(text, sizeof text, "%" PRId64 " %d", row, attempt);
    if (!atomic_load(&in_flight->ended))
        (void)write_line(in_flight->fd, worker + 1, text);
}

void ps_in_flight_erase(const struct ps_in_flight *in_flight, size_t worker)
{
    (void)write_line(in_flight->fd, worker + 1, "");
}
