#include "service/rate.h"

#include <pthread.h>
#include <stdlib.h>

/* The rate is computed from up to MAX_COMPLETIONS completions of the last RATE_SECONDS. */
enum { MAX_COMPLETIONS = 1024, RATE_SECONDS = 600 };

struct ps_rate {
    pthread_mutex_t lock; /* guards all below */
    int64_t completions[MAX_COMPLETIONS];
    uint64_t completed;
};

struct ps_rate *ps_rate_new(void)
{
    struct ps_rate *rate = calloc(1, sizeof *rate);
    if (rate)
        pthread_mutex_init(&rate->lock, NULL);
    return rate;
}

void ps_rate_free(struct ps_rate *rate)
{
    if (!rate)
        return;
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

void ps_rate_count(struct ps_rate *rate, int64_t now_ns)
{
    pthread_mutex_lock(&rate->lock);
    rate->completions[rate->completed++ % MAX_COMPLETIONS] = now_ns;
    pthread_mutex_unlock(&rate->lock);
}

double ps_rate_per_hour(struct ps_rate *rate, int64_t now_ns)
{
    pthread_mutex_lock(&rate->lock);
    uint64_t kept = rate->completed < MAX_COMPLETIONS ? rate->completed : MAX_COMPLETIONS;
    uint64_t count = 0;
    int64_t oldest = now_ns;
    for (uint64_t i = 0; i < kept; i++) {
        int64_t at = rate->completions[i];
        if (now_ns - at > (int64_t)RATE_SECONDS * 1000000000)
            continue;
        count++;
        oldest = at < oldest ? at : oldest;
    }
    pthread_mutex_unlock(&rate->lock);
    double seconds = (double)(now_ns - oldest) * 1e-9;
    return count > 1 && seconds > 0 ? (double)count / seconds * 3600 : 0;
}
