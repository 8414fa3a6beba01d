/* The bounded queue of micrographs to pick, in the order of the configuration.
 *
 * Workers take the newest or the oldest job (by mtime, then path); repicks after all others, the
 * newest first. The queue keeps one job for each path: a second put replaces the first, and a job
 * whose path is being picked waits until that pick has ended.
 *
 * When the queue is full, the job that would be taken last is dropped and counted as "overflowed".
 * Its file stays on the disk, and the rescan that the watcher starts when the queue has space again
 * finds it. So neither the watcher nor the kernel's event queue waits for the workers.
 *
 * A suspect (PS_SUSPECT_DEATHS) is taken when no other job waits or is being picked, and no other
 * is taken before it is finished. If the queue does not become empty, it waits for PS_MAX_OVERTAKES
 * others at most. Suspects are few, and are not dropped. While they are held, none is taken.
 *
 * After ps_job_queue_close() takers get NULL, puts return false, and waiting jobs are freed.
 */
#ifndef PS_SERVICE_JOB_QUEUE_H
#define PS_SERVICE_JOB_QUEUE_H

#include "base/metrics.h"
#include "config/config.h"
#include "watch/job.h"

struct ps_job_queue;

enum { PS_MAX_OVERTAKES = 200 };

/* Keeps the gauges of waiting and picked jobs in `metrics` (can be NULL) up to date. NULL without
 * memory. */
struct ps_job_queue *ps_job_queue_new(size_t capacity, enum ps_order order,
                                      struct ps_metrics *metrics);
void ps_job_queue_free(struct ps_job_queue *queue); /* every job is finished; closes it */

/* Takes ownership of the job. False: closed (the job is freed). */
bool ps_job_queue_put(struct ps_job_queue *queue, struct ps_job *job);

/* Waits for the next job; NULL: closed. The job belongs to the caller until ps_job_queue_finish(),
 * which frees it. */
struct ps_job *ps_job_queue_take(struct ps_job_queue *queue);
void ps_job_queue_finish(struct ps_job_queue *queue, struct ps_job *job);

/* The same, and counts the job as overflowed: its file is to be found again. */
void ps_job_queue_drop(struct ps_job_queue *queue, struct ps_job *job);

/* The same, but the job stays the caller's and is not freed. It can be put again. */
void ps_job_queue_hand_over(struct ps_job_queue *queue, struct ps_job *job);

/* Takes a path without picking it, so that no worker writes its files meanwhile: `job` counts as
 * one that is being picked, and a waiting job of its path waits for it. False: the path is being
 * picked, or the queue is closed, or no memory. End it with ps_job_queue_finish(). */
bool ps_job_queue_claim(struct ps_job_queue *queue, struct ps_job *job);

/* Holds suspects back for so long, INFINITY until the next call, while the others are still being
 * found. They are not held at first. */
void ps_job_queue_hold_suspects(struct ps_job_queue *queue, double seconds);

void ps_job_queue_close(struct ps_job_queue *queue);

struct ps_job_queue_counts {
    size_t waiting;
    size_t in_flight;
    size_t capacity;
    size_t suspects;     /* of both */
    uint64_t overflowed; /* jobs dropped so far */
};
struct ps_job_queue_counts ps_job_queue_counts(struct ps_job_queue *queue);

/* True if jobs were dropped since the last call that returned true and the queue is less than half
 * full again: time for a rescan. */
bool ps_job_queue_wants_rescan(struct ps_job_queue *queue);

#endif
