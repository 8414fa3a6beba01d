/* FFTW's planner: it is not thread-safe, and does not survive a lack of memory. */
#include "backend/cpu/slot.h"

#include "base/spare_memory.h"

#include <pthread.h>

enum { PLAN_BYTES = 4 << 20 }; /* estimated plans take less than 1 MiB */

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

void cpu_planner_lock(void)
{
    pthread_mutex_lock(&planner);
}

void cpu_planner_unlock(void)
{
    pthread_mutex_unlock(&planner);
}

bool cpu_planner_has_memory(void)
{
    return ps_spare_memory_check(PLAN_BYTES, "FFT plans", NULL) == 0;
}
