/* Keys of the status that come from parts of the service. All return a new reference; NULL without
 * memory. */
#ifndef PS_SERVICE_STATUS_PARTS_H
#define PS_SERVICE_STATUS_PARTS_H

#include "service/job_queue.h"
#include "service/postponed.h"
#include "service/rate.h"
#include "watch/watcher.h"

#include <jansson.h>

json_t *ps_status_part_queue(struct ps_job_queue *queue, struct ps_postponed *postponed);
json_t *ps_status_part_rates(struct ps_rate *rate);
json_t *ps_status_part_watch(struct ps_watcher *watcher); /* accepts NULL: an empty list */

#endif
