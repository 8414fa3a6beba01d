/* Workers: threads that carry one micrograph at a time from the queue to its outcome.
 *
 * What a worker does is a straight line: take, make sure that the file is still what was found,
 * read, pick in a slot of a device (picker_pool.h), write the files of picks, make the preview
 * (where somebody wants one), hand the outcome to the publisher. There are more workers than slots
 * where reading should not wait for picking. Nothing hands the micrograph back, but for cases in
 * which there is no outcome yet: the file changed meanwhile, its share has gone, or there is no
 * memory (the watcher finds it again), or the device failed and nothing takes over.
 *
 * A failed micrograph costs nothing but itself: its reason becomes its outcome. Files of picks that
 * cannot be written are a warning in the outcome; the picks are published all the same.
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

struct ps_crew;

/* What workers work with; all of it outlives them. */
struct ps_crew_tools {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_journal *journal;
    struct ps_pending *pending;
    struct ps_publisher *publisher;
    struct ps_previews *previews; /* NULL: nobody looks at them here */
    int event_fd;                 /* gets a 1 when the last worker ends, or the device fails */
};

/* Opens the devices and starts the workers that keep them busy.
 * PS_E_DEVICE, PS_E_CONFIG, PS_E_NOMEM, PS_E_SYSTEM. */
int ps_crew_start(const struct ps_crew_tools *tools, struct ps_crew **ret_crew,
                  struct ps_error *error);

/* After ps_pending_close(): whether every worker has ended. */
bool ps_crew_ended(struct ps_crew *crew);

/* Waits for the workers and frees everything. */
void ps_crew_join(struct ps_crew *crew);

/* Whether the device failed; what it said goes into `ret_error`. */
bool ps_crew_device_failed(struct ps_crew *crew, struct ps_error *ret_error);

/* How long the longest of what reads, picks or writes has been going on, seconds; 0 if all workers
 * wait (for work, for a slot, or for the publisher). */
double ps_crew_busy_seconds(struct ps_crew *crew);

/* Array of {"device", "busy", "micrograph"}, one a slot. */
json_t *ps_crew_status(struct ps_crew *crew);

#endif
