/* The two clocks of the service, in nanoseconds. */
#ifndef PS_BASE_CLOCK_H
#define PS_BASE_CLOCK_H

#include <stdint.h>

/* Since 1970, for messages and people; steps when it is set. */
int64_t ps_clock_wall_ns(void);

/* For durations and deadlines: never steps. */
int64_t ps_clock_mono_ns(void);

/* Milliseconds until a monotonic time, rounded up, for poll(): at most a minute; -1 for INT64_MAX.
 */
int ps_clock_poll_ms(int64_t until_ns);

#endif
