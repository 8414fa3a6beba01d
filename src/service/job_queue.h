/* The bounded queue of micrographs to pick, in the order of the configuration.
 *
 * Workers take the newest or the oldest job (by mtime, then path). A path is in it once: a second
 * put replaces the first, and one whose path is being picked waits until that is over.
 *
 * When it is full, the job that would be taken last is let go and remembered as "overflowed": its
 * file is still on the disk and will be found by the rescan that the watcher then does when there
 * is room. So neither the watcher nor the kernel's queue of events ever waits for the picking.
 *
 * Stopping is closing: takers get NULL, putters are told; what was waiting is let go.
 */
#ifndef PS_SERVICE_JOB_QUEUE_H
#define PS_SERVICE_JOB_QUEUE_H

#include "base/metrics.h"
#include "config/config.h"
#include "watch/job.h"

struct ps_pending;

/* `metrics` (NULL: none) always has how many wait and are being picked. NULL without memory. */
struct ps_pending *ps_pending_new(size_t capacity, enum ps_order order, struct ps_metrics *metrics);
void ps_pending_free(struct ps_pending *pending); /* closed, and every job finished */

/* Takes ownership of the job. False: closed (the job is freed). */
bool ps_pending_put(struct ps_pending *pending, struct ps_job *job);

/* Waits for the next job; NULL: closed. The job belongs to the caller until ps_pending_finish(),
 * which frees it. */
struct ps_job *ps_pending_take(struct ps_pending *pending);
void ps_pending_finish(struct ps_pending *pending, struct ps_job *job);

void ps_pending_close(struct ps_pending *pending);

struct ps_pending_counts {
    size_t waiting;
    size_t in_flight;
    size_t capacity;
    uint64_t overflowed; /* jobs let go so far */
};
struct ps_pending_counts ps_pending_counts(struct ps_pending *pending);

/* Whether jobs were let go since the last call that returned true, and there is room again (less
 * than half full): time for a rescan. */
bool ps_pending_wants_rescan(struct ps_pending *pending);

#endif
