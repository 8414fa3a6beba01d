#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256 };

struct loop {
    void (*body)(void *context, int thread, size_t piece);
    void *context;
    size_t pieces;
    atomic_size_t next_piece;
    atomic_int next_thread;
};

static void *run(void *argument)
{
    struct loop *loop = argument;
    int thread = atomic_fetch_add_explicit(&loop->next_thread, 1, memory_order_relaxed);
    for (;;) {
        size_t piece = atomic_fetch_add_explicit(&loop->next_piece, 1, memory_order_relaxed);
        if (piece >= loop->pieces)
            return NULL;
        loop->body(loop->context, thread, piece);
    }
}

void ps_parallel(int threads, size_t pieces, void (*body)(void *context, int thread, size_t piece),
                 void *context)
{
    struct loop loop = {.body = body, .context = context, .pieces = pieces};
    pthread_t helpers[MAX_THREADS];
    int started = 0;
    int wanted = threads < MAX_THREADS ? threads : MAX_THREADS;
    if ((size_t)wanted > pieces)
        wanted = (int)pieces;
    while (started < wanted - 1 && pthread_create(&helpers[started], NULL, run, &loop) == 0)
        started++;
    run(&loop);
    for (int i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
}

int ps_core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count < MAX_THREADS ? count : MAX_THREADS;
}
