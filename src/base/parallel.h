/* Data-parallel loops on plain threads.
 *
 * OpenMP is not used because the service runs several workers: an OpenMP pool per worker spins
 * between regions and takes cores from the others, and ThreadSanitizer does not understand
 * libgomp's barriers. All loops of the process share helper threads, which are started when they
 * are first wanted and sleep between loops. Waking one takes some microseconds, starting one tens.
 * A loop never waits for a helper that has not begun.
 *
 * The caller chooses pieces whose size does not depend on the number of threads, and one thread
 * runs each piece. So results do not depend on the number of threads either.
 */
#ifndef PS_BASE_PARALLEL_H
#define PS_BASE_PARALLEL_H

#include <stddef.h>

/* Runs body(context, thread, piece) for every piece in [0, pieces), on up to `threads` threads, the
 * calling one included; `thread` is in [0, threads), and no two bodies run at the same time with
 * the same number. If the system cannot start more threads, fewer do the work. */
void ps_parallel(int threads, size_t pieces, void (*body)(void *context, int thread, size_t piece),
                 void *context);

/* The number of cores that this process can use. */
int ps_core_count(void);

#endif
