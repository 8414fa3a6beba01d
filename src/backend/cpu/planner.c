/* Lock of FFTW's planner, which is not thread-safe. */
#include "backend/cpu/slot.h"

#include <pthread.h>

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

void cpu_planner_lock(void)
{
    pthread_mutex_lock(&planner);
}

void cpu_planner_unlock(void)
{
    pthread_mutex_unlock(&planner);
}
