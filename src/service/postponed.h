/* Micrographs that could not be read or picked because the machine was short of something: memory,
 * descriptors, a disk or share that gives no answer. That says nothing about the micrograph, so it
 * has no outcome yet: it waits here and is queued again, after 1 s, then twice as long each time,
 * up to a minute.
 *
 * The fault is the micrograph's own after all (a bad sector; larger than the memory) if it stays
 * while others can be picked: after PS_POSTPONED_TRIES tries, with another one picked between each
 * two of them.
 *
 * While nothing can be picked, the workers pause between two micrographs, so that the rest stays in
 * the queue in its order. As soon as something can, all that wait here are queued.
 *
 * Any thread may call these functions. Nothing here allocates memory.
 */
#ifndef PS_SERVICE_POSTPONED_H
#define PS_SERVICE_POSTPONED_H

#include "base/log.h"
#include "base/metrics.h"
#include "service/job_queue.h"

enum { PS_POSTPONED_TRIES = 5 };

struct ps_postponed;

/* `event_fd` is written when a job was added: ps_postponed_release() is to be called again. `log`,
 * `metrics` and `queue` are borrowed. NULL without memory. */
struct ps_postponed *ps_postponed_new(struct ps_log *log, struct ps_metrics *metrics,
                                      struct ps_job_queue *queue, int event_fd);
void ps_postponed_free(struct ps_postponed *postponed); /* accepts NULL */

/* A job that was taken from the queue failed for `reason`, by a fault that can be the machine's.
 * True: the job waits here, and is no longer the caller's. False: the fault is the micrograph's, to
 * which the job still belongs. */
bool ps_postponed_add(struct ps_postponed *postponed, struct ps_job *job, const char *reason);

/* A job ends: with an outcome, or because its file changed. `picked`: it was read and picked, so
 * the machine is well. Call it before the job is handed on. */
void ps_postponed_end(struct ps_postponed *postponed, const struct ps_job *job, bool picked);

/* True if the file of this job waits here. If its earlier content does, forgets that. */
bool ps_postponed_has(struct ps_postponed *postponed, const struct ps_job *job);

/* Queues the jobs whose time has come. Returns when the next one's will, monotonic ns; INT64_MAX:
 * none waits. */
int64_t ps_postponed_release(struct ps_postponed *postponed);

/* Called by a worker before it takes a job: waits a little if nothing can be picked. */
void ps_postponed_pause(struct ps_postponed *postponed);

/* Ends the pauses, for ever. */
void ps_postponed_close(struct ps_postponed *postponed);

enum { PS_MAX_POSTPONED_REASON = 512 };
struct ps_postponed_status {
    size_t count;                         /* micrographs that wait here */
    char reason[PS_MAX_POSTPONED_REASON]; /* of the last failure; "" if none waits */
};
void ps_postponed_status(struct ps_postponed *postponed, struct ps_postponed_status *ret_status);

#endif
