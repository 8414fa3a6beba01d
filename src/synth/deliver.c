#include "base/atomic_file.h"
#include "synth/deliver.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const int64_t NS_PER_S = 1000000000;

int64_t ps_deliver_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void ps_deliver_wait(int64_t time)
{
    struct timespec deadline = {.tv_sec = time / NS_PER_S, .tv_nsec = time % NS_PER_S};
    if (time > ps_deliver_now())
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
            ;
}

struct parcel {
    const char *bytes;
    size_t length;
    const struct ps_delivery *delivery;
};

/* A ps_file_writer. */
static int write_pieces(FILE *stream, const void *context, struct ps_error *error)
{
    const struct parcel *parcel = context;
    size_t pieces = (size_t)parcel->delivery->pieces, size = parcel->length / pieces;
    for (size_t i = 0; i < pieces; i++) {
        ps_deliver_wait(parcel->delivery->start + (int64_t)i * parcel->delivery->spacing);
        size_t length = i + 1 < pieces ? size : parcel->length - i * size;
        if (fwrite(parcel->bytes + i * size, 1, length, stream) != length || fflush(stream) != 0)
            return ps_fail(error, PS_E_SYSTEM, "cannot write: %s", strerror(errno));
    }
    return 0;
}

static int write_in_place(const char *path, const struct parcel *parcel, struct ps_error *error)
{
    FILE *stream = fopen(path, "wbe");
    if (!stream)
        return ps_fail(error, PS_E_SYSTEM, "%s: cannot write: %s", path, strerror(errno));
    int code = write_pieces(stream, parcel, error);
    if (fclose(stream) != 0 && code == 0)
        code = ps_fail(error, PS_E_SYSTEM, "cannot write: %s", strerror(errno));
    return code == 0 ? 0 : ps_fail_prefix(error, "%s", path);
}

int ps_deliver(const char *path, const void *bytes, size_t length,
               const struct ps_delivery *delivery, struct ps_error *error)
{
    const struct parcel parcel = {bytes, length, delivery};
    return delivery->in_place ? write_in_place(path, &parcel, error)
                              : ps_file_write_atomically(path, write_pieces, &parcel, error);
}
