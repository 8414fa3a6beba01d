/* Progress of a thread's work, for a watchdog: long work ticks often, so work that takes minutes
 * can be told from work that hangs.
 *
 * A thread attaches a counter. What runs on it, and on the helpers of its loops (parallel.h), ticks
 * that counter: after each piece of a loop, each stage of a pick, each piece of a read or write.
 * Without a counter a tick does nothing. */
#ifndef PS_BASE_PROGRESS_H
#define PS_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Initialise to zeros; any thread can read it. */
struct ps_progress {
    _Atomic uint64_t ticks;
    _Atomic bool busy; /* false: the thread waits for others, and does not tick */
};

/* The counter of the calling thread from now on; NULL: none. */
void ps_progress_attach(struct ps_progress *progress);
struct ps_progress *ps_progress_attached(void);

void ps_progress_tick(void);

/* Work begins or ends. */
void ps_progress_set_busy(bool busy);

#endif
