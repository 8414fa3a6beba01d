/* How many micrographs an hour: the rate of the completions of the last ten minutes. Any thread. */
#ifndef PS_SERVICE_RATE_H
#define PS_SERVICE_RATE_H

#include <stdint.h>

struct ps_rate;

struct ps_rate *ps_rate_new(void);       /* NULL: no memory */
void ps_rate_free(struct ps_rate *rate); /* accepts NULL */

/* Counts a completion at the time `now_ns` of ps_clock_mono_ns(). */
void ps_rate_count(struct ps_rate *rate, int64_t now_ns);

/* Completions an hour, 0 for fewer than two of them. */
double ps_rate_per_hour(struct ps_rate *rate, int64_t now_ns);

#endif
