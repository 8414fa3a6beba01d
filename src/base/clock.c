#include "base/clock.h"

#include <time.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t ps_clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int64_t ps_clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
