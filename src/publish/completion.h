/* Completions: what workers submit to the publisher, committed together as outcomes.
 *
 *     ps_completions_commit()   seq, message, journal: all of them or none
 *     ...                       the publisher sends the frames
 *     ps_completions_report()   metrics and log lines of what was published
 *     ps_completions_done()     frees everything but the jobs
 */
#ifndef PS_PUBLISH_COMPLETION_H
#define PS_PUBLISH_COMPLETION_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "journal/journal.h"
#include "particles/set.h"
#include "picture/preview.h"
#include "wire/preview_message.h"

enum { PS_MAX_COMMIT = 64 }; /* completions in a commit */

/* A micrograph that a worker has completed. Owns everything but the job. */
struct ps_completion {
    struct ps_job *job;               /* handed back through finished() */
    struct ps_micrograph *micrograph; /* its pixels are freed; NULL: not read */
    struct ps_result result;          /* empty if failed */
    char *failure;                    /* the reason; NULL: not failed */
    struct ps_preview preview;        /* empty: none to publish */
    struct ps_particle_set particles; /* the same */
    double read_milliseconds;
    double total_milliseconds;
    uint64_t seq;            /* set by a commit */
    double usual_count;      /* see ps_outcome_facts; set by a commit */
    uint64_t replaces;       /* the seq before of the same path; 0: none; set by a commit */
    struct ps_frames frames; /* the message, made by a commit; empty before */
};

/* Values that all messages share, and where outcomes are recorded. Everything is borrowed. */
struct ps_completion_dependencies {
    const struct ps_config *config;
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    const char *profile;
    const char *parameters;
    char *scale; /* PS_SCALE_TEXT bytes: the scale (picker/scale.h) that was logged last */
};

/* Assigns the next seqs to up to PS_MAX_COMMIT completions, makes their messages with the current
 * time as the time of publication, and commits all of them. On failure nothing is recorded and no
 * seq is used. PS_E_SYSTEM, PS_E_NOMEM: it can be called again. PS_E_BUG: the journal refuses one
 * of them; do not retry. */
int ps_completions_commit(const struct ps_completion_dependencies *dependencies,
                          struct ps_completion *completions, size_t count, struct ps_error *error);

/* Updates metrics and logs a line for each. Call it after the frames were sent. */
void ps_completions_report(const struct ps_completion_dependencies *dependencies,
                           const struct ps_completion *completions, size_t count);

/* What the messages of its preview and its particles say besides these. False: it was not read. */
bool ps_completion_picture(const struct ps_completion_dependencies *dependencies,
                           const struct ps_completion *completion,
                           struct ps_preview_facts *ret_facts);

/* Frees what the completions own, and passes each job to `finished` (can be NULL). */
void ps_completions_done(struct ps_completion *completions, size_t count,
                         void (*finished)(void *context, struct ps_job *job), void *context);

#endif
