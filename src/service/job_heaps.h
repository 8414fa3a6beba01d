/* The order of jobs that can be taken: two heaps over the same entries. The top of one is the job
 * to take next, the top of the other the job to take last. Not locked.
 */
#ifndef PS_SERVICE_JOB_HEAPS_H
#define PS_SERVICE_JOB_HEAPS_H

#include "config/config.h"
#include "watch/job.h"

enum { PS_JOB_HEAPS = 2 };

/* Part of what the owner keeps for a job. The heaps hold its address. */
struct ps_job_heap_entry {
    const struct ps_job *job;
    size_t positions[PS_JOB_HEAPS];
};

/* Zeroed but for `order`, it is empty. */
struct ps_job_heaps {
    enum ps_order order;
    size_t count;
    size_t capacity; /* allocated in each heap */
    struct ps_job_heap_entry **entries[PS_JOB_HEAPS];
};

void ps_job_heaps_done(struct ps_job_heaps *heaps);

/* The job must neither change nor be freed before ps_job_heaps_remove(). False without memory. */
bool ps_job_heaps_add(struct ps_job_heaps *heaps, struct ps_job_heap_entry *entry,
                      const struct ps_job *job);
void ps_job_heaps_remove(struct ps_job_heaps *heaps, const struct ps_job_heap_entry *entry);

/* NULL: empty. */
struct ps_job_heap_entry *ps_job_heaps_next(const struct ps_job_heaps *heaps);
struct ps_job_heap_entry *ps_job_heaps_last(const struct ps_job_heaps *heaps);

/* The entry that is removed at the least cost, to empty the heaps. */
struct ps_job_heap_entry *ps_job_heaps_any(const struct ps_job_heaps *heaps);

#endif
