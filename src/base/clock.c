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

int ps_clock_poll_ms(int64_t until_ns)
{
    enum { MAX_MS = 60000 };
    int64_t now = ps_clock_mono_ns();
    if (until_ns == INT64_MAX)
        return -1;
    if (until_ns <= now)
        return 0;
    int64_t milliseconds = (until_ns - now + 999999) / 1000000;
    return milliseconds > MAX_MS ? MAX_MS : (int)milliseconds;
}
