#include "base/progress.h"

#include <stddef.h>

static _Thread_local struct ps_progress *attached;

void ps_progress_attach(struct ps_progress *progress)
{
    attached = progress;
}

struct ps_progress *ps_progress_attached(void)
{
    return attached;
}

void ps_progress_tick(void)
{
    if (attached)
        atomic_fetch_add_explicit(&attached->ticks, 1, memory_order_relaxed);
}

void ps_progress_set_busy(bool busy)
{
    ps_progress_tick();
    if (attached)
        atomic_store(&attached->busy, busy);
}
