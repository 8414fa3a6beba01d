/* Why the journal cannot be written: noticed by the publisher's thread, reported in the log and in
 * each status.
 */
#ifndef PS_PUBLISH_JOURNAL_FAILURE_H
#define PS_PUBLISH_JOURNAL_FAILURE_H

#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "journal/journal.h"

#include <pthread.h>

enum { PS_JOURNAL_FAILURE_TEXT = sizeof((struct ps_error *)0)->message };

/* Only the publisher's thread writes it and reads `retry_ns`. */
struct ps_journal_failure {
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    int64_t retry_ns; /* monotonic: when to commit again after a failure */
    pthread_mutex_t lock;
    char text[PS_JOURNAL_FAILURE_TEXT]; /* "": none */
};

void ps_journal_failure_init(struct ps_journal_failure *failure, struct ps_journal *journal,
                             struct ps_log *log, struct ps_metrics *metrics);
void ps_journal_failure_done(struct ps_journal_failure *failure);

/* After a commit or a check of the journal. Log a change; true: the status changes. */
bool ps_journal_failure_report(struct ps_journal_failure *failure, const struct ps_error *error);
bool ps_journal_failure_clear(struct ps_journal_failure *failure);

/* Copies the failure, up to PS_JOURNAL_FAILURE_TEXT bytes; false: none. Any thread. */
bool ps_journal_failure_text(struct ps_journal_failure *failure, char *text);

#endif
