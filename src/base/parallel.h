/* Data-parallel loops on plain threads.
 *
 * Why not OpenMP: the service runs several workers, and an OpenMP pool per worker spins between
 * regions and takes cores from the others; and ThreadSanitizer cannot see libgomp's barriers. A
 * loop here starts its threads, hands out pieces, and joins them: tens of microseconds for stages
 * that take milliseconds.
 *
 * Pieces are the caller's, of a size that does not depend on the number of threads, and each is run
 * by one thread: results then cannot depend on the number of threads either.
 */
#ifndef PS_BASE_PARALLEL_H
#define PS_BASE_PARALLEL_H

#include <stddef.h>

/* Runs body(context, thread, piece) for every piece in [0, pieces), on up to `threads` threads, the
 * calling one among them; `thread` is in [0, threads) and no two bodies run at once with the same.
 * Where the system has no more threads to give, fewer do the work. */
void ps_parallel(int threads, size_t pieces, void (*body)(void *context, int thread, size_t piece),
                 void *context);

/* Cores this process may use. */
int ps_core_count(void);

#endif
