/* Micrographs that have no outcome yet: what an earlier run left, and what is to be picked again.
 */
#ifndef PS_SERVICE_LEFT_OVER_H
#define PS_SERVICE_LEFT_OVER_H

#include "base/log.h"
#include "journal/journal.h"
#include "service/job_queue.h"
#include "service/postponed.h"

/* Everything is borrowed. */
struct ps_left_over {
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_job_queue *queue;
    struct ps_postponed *postponed;
};

/* Queues every micrograph of the journal without an outcome that is not postponed. A deleted file
 * fails, which is an outcome. PS_E_SYSTEM, PS_E_NOMEM. Any thread. */
int ps_left_over_queue(const struct ps_left_over *left_over, struct ps_error *error);

/* The same, with the suspects last, and logs every micrograph during which processes died. */
int ps_left_over_queue_at_start(const struct ps_left_over *left_over, struct ps_error *error);

/* Logs how many outcomes were made with other settings than those in force, if there are any, and
 * how to replace them. A failure is logged. */
void ps_left_over_report_outdated(const struct ps_left_over *left_over,
                                  const struct ps_config *config);

#endif
