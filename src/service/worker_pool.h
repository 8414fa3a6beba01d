/* The worker pool: threads that take one micrograph at a time from the job queue to its outcome.
 *
 * The steps of a worker: take a job, check that the file is unchanged since it was found, read it,
 * pick it (picker_pool.h), write the files of picks, make the preview if one is wanted, and submit
 * the completion to the publisher. There can be more workers than pickers, so that reading does not
 * wait for picking.
 *
 * A job ends without an outcome only if the file changed during the work or its file system is not
 * mounted (the watcher finds the file again in these cases), if the machine is short of something
 * (the job is postponed, postponed.h), or if the device failed and no CPU picker takes over.
 *
 * A failed micrograph does not affect others: the reason becomes its outcome. If files of picks
 * cannot be written, the outcome has a warning and the picks are published.
 */
#ifndef PS_SERVICE_WORKER_POOL_H
#define PS_SERVICE_WORKER_POOL_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "http/previews.h"
#include "journal/journal.h"
#include "publish/publisher.h"
#include "service/job_queue.h"
#include "service/postponed.h"

struct ps_worker_pool;

/* Borrowed; all of it outlives the workers. */
struct ps_worker_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_journal *journal;
    struct ps_job_queue *queue;
    struct ps_postponed *postponed;
    struct ps_publisher *publisher;
    struct ps_previews *previews; /* NULL without the live view */
    int event_fd; /* eventfd: written when the last worker ends or the device fails */
};

/* Opens the devices and starts the workers that keep them busy.
 * PS_E_DEVICE, PS_E_CONFIG, PS_E_NOMEM, PS_E_SYSTEM. */
int ps_worker_pool_start(const struct ps_worker_dependencies *dependencies,
                         struct ps_worker_pool **ret_pool, struct ps_error *error);

/* True if every worker has ended, which they do after ps_job_queue_close(). */
bool ps_worker_pool_ended(struct ps_worker_pool *pool);

/* Waits for the workers and frees everything. */
void ps_worker_pool_join(struct ps_worker_pool *pool);

/* True if the device failed, with the error in `ret_error`. */
bool ps_worker_pool_device_failed(struct ps_worker_pool *pool, struct ps_error *ret_error);

/* The longest time, in seconds, for which a read, pick or write has shown no progress
 * (base/progress.h), as far as the calls of this function saw; 0 if all workers wait (for a job,
 * for a picker, or for the publisher). By one thread, the one that feeds the watchdog. */
double ps_worker_pool_stuck_seconds(struct ps_worker_pool *pool);

/* ps_picker_pool_status(). */
json_t *ps_worker_pool_status(struct ps_worker_pool *pool);

#endif
