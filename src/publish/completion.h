/* From what workers submit to what is in the journal: outcomes, committed together.
 *
 *     ps_outcomes_commit()   seq, message, journal: all of them or none
 *     ...                    the publisher sends the frames
 *     ps_outcomes_report()   counts and logs what is out
 *     ps_outcomes_done()     frees everything but the jobs
 */
#ifndef PS_PUBLISH_COMPLETION_H
#define PS_PUBLISH_COMPLETION_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "journal/journal.h"
#include "picture/preview.h"

enum { PS_COMMIT = 64 }; /* outcomes in a commit, at most */

/* An outcome as a worker hands it over. */
struct ps_submission {
    struct ps_job *job;               /* handed back through finished() */
    struct ps_micrograph *micrograph; /* without its pixels, which are freed; owned; or NULL */
    struct ps_result result;          /* owned; empty if failed */
    char *failure;                    /* why it failed, owned; or NULL */
    struct ps_preview preview;        /* owned; empty where none is to be published */
    double read_milliseconds;
    double total_milliseconds;
};

struct ps_outcome_item {
    struct ps_submission submission;
    uint64_t seq;            /* after a commit */
    struct ps_frames frames; /* its message, after a commit */
};

/* What all messages have in common, and where outcomes go. Everything is borrowed. */
struct ps_outcome_tools {
    const struct ps_config *config;
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    const char *profile;
    const char *parameters;
};

/* Gives up to PS_COMMIT outcomes the next seqs, makes their messages, which say that they are
 * published now, and commits all of them. On failure nothing is recorded and no seq taken.
 * PS_E_SYSTEM, PS_E_NOMEM: it may be called again. PS_E_BUG: one of them can never be recorded. */
int ps_outcomes_commit(const struct ps_outcome_tools *tools, struct ps_outcome_item *items,
                       size_t count, struct ps_error *error);

/* Once the frames were sent: metrics, and a log line each. */
void ps_outcomes_report(const struct ps_outcome_tools *tools, const struct ps_outcome_item *items,
                        size_t count);

/* Frees what the items own; each job goes to `finished` (or nowhere, where that is NULL). */
void ps_outcomes_done(struct ps_outcome_item *items, size_t count,
                      void (*finished)(void *context, struct ps_job *job), void *context);

#endif
