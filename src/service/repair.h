/* Writes files of picks that are missing, from the outcomes in the journal.
 *
 * A thread of its own, because a disk can hang. It repeats the writes with a growing pause until
 * all have succeeded, and begins with those that an earlier run left. Only files whose write has
 * failed are written: one that a user deleted stays deleted. While it writes the files of a
 * micrograph, no worker picks that (ps_job_queue_claim()), so that it replaces no newer ones.
 */
#ifndef PS_SERVICE_REPAIR_H
#define PS_SERVICE_REPAIR_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "journal/journal.h"
#include "service/job_queue.h"

#include <jansson.h>

struct ps_repair;

/* Borrowed; all of it outlives the repair. */
struct ps_repair_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_journal *journal;
    struct ps_job_queue *queue;
    int event_fd; /* eventfd: written when the thread ends */
};

/* Prepares it. PS_E_CONFIG, PS_E_NOMEM, PS_E_SYSTEM. */
int ps_repair_new(const struct ps_repair_dependencies *dependencies, struct ps_repair **ret_repair,
                  struct ps_error *error);

/* Starts the thread, which tries at once what an earlier run left. PS_E_SYSTEM. */
int ps_repair_start(struct ps_repair *repair, struct ps_error *error);

/* An outcome with missing files was committed. Any thread. */
void ps_repair_wake(struct ps_repair *repair);

/* The value of the key "output" of a status: the number of outcomes with missing files, and why the
 * last write failed. Any thread. NULL without memory. */
json_t *ps_repair_status(struct ps_repair *repair);

/* Asks the thread to end, and tells whether it has. Both accept NULL. */
void ps_repair_stop(struct ps_repair *repair);
bool ps_repair_ended(struct ps_repair *repair);

void ps_repair_free(struct ps_repair *repair); /* waits for the thread; accepts NULL */

#endif
