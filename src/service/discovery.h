/* Receives the files that the watcher finds (watch/sink.h): records them in the journal and queues
 * those that have no outcome. Called by the watcher's thread. */
#ifndef PS_SERVICE_DISCOVERY_H
#define PS_SERVICE_DISCOVERY_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "journal/journal.h"
#include "service/job_queue.h"
#include "service/postponed.h"
#include "watch/sink.h"

struct ps_discovery;

/* Borrowed; all of it outlives the discovery. */
struct ps_discovery_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_journal *journal;
    struct ps_job_queue *queue;
    struct ps_postponed *postponed;
};

/* Holds suspects in the queue back until what is there at the start has been found. */
struct ps_discovery *ps_discovery_new(const struct ps_discovery_dependencies *dependencies);
void ps_discovery_free(struct ps_discovery *discovery); /* accepts NULL */

/* The functions for the watcher; `discovery` outlives it. */
struct ps_watcher_sink ps_discovery_sink(struct ps_discovery *discovery);

enum { PS_MAX_JOURNAL_FAILURE = 512 };

/* True while files that are found cannot be recorded, with the reason. Any thread. */
bool ps_discovery_failure(struct ps_discovery *discovery, char ret_text[PS_MAX_JOURNAL_FAILURE]);

#endif
