#include "service/status_parts.h"

#include "base/clock.h"
#include "publish/status.h"

#include <stdlib.h>

json_t *ps_status_part_queue(struct ps_job_queue *queue, struct ps_postponed *postponed)
{
    const struct ps_job_queue_counts counts = ps_job_queue_counts(queue);
    struct ps_postponed_status waiting;
    ps_postponed_status(postponed, &waiting);
    const struct ps_status_queue_facts facts = {
        .waiting = counts.waiting,
        .in_flight = counts.in_flight,
        .capacity = counts.capacity,
        .overflowed = counts.overflowed,
        .suspects = counts.suspects,
        .postponed = waiting.count,
        .postponed_reason = waiting.reason,
    };
    return ps_status_queue(&facts);
}

json_t *ps_status_part_rates(struct ps_rate *rate)
{
    return json_pack("{s:f}", "micrographs_per_hour", ps_rate_per_hour(rate, ps_clock_mono_ns()));
}

json_t *ps_status_part_watch(struct ps_watcher *watcher)
{
    if (!watcher)
        return json_array();
    struct ps_root_status *roots = NULL;
    const size_t count = ps_watcher_status(watcher, &roots);
    json_t *array = count > 0 ? ps_status_watch(roots, count) : NULL;
    free(roots);
    return array;
}
