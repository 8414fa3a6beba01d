#include "base/parallel.h"

#include "base/progress.h"
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MAX_THREADS = 256 };

/* A call of ps_parallel() under way. The lock guards what is not atomic. */
struct loop {
    void (*body)(void *context, int thread, size_t piece);
    void *context;
    size_t pieces;
    struct ps_progress *progress; /* of the caller */
    atomic_size_t next_piece;
    atomic_int next_thread;
    int wanted; /* helpers that can still join */
    int inside; /* helpers at work */
    pthread_cond_t left;
    struct loop *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct loop *loops;
    int threads;
    int waiting;
} helpers = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static void run_pieces(struct loop *loop)
{
    int thread = atomic_fetch_add_explicit(&loop->next_thread, 1, memory_order_relaxed);
    for (;;) {
        size_t piece = atomic_fetch_add_explicit(&loop->next_piece, 1, memory_order_relaxed);
        if (piece >= loop->pieces)
            return;
        loop->body(loop->context, thread, piece);
        ps_progress_tick();
    }
}

static struct loop *loop_to_join(void)
{
    struct loop *loop = helpers.loops;
    while (loop && (loop->wanted == 0 ||
                    atomic_load_explicit(&loop->next_piece, memory_order_relaxed) >= loop->pieces))
        loop = loop->next;
    return loop;
}

static void *help(void *unused)
{
    (void)pthread_mutex_lock(&helpers.lock);
    for (;;) {
        struct loop *loop = loop_to_join();
        if (!loop) {
            helpers.waiting++;
            (void)pthread_cond_wait(&helpers.work, &helpers.lock);
            helpers.waiting--;
            continue;
        }
        loop->wanted--;
        loop->inside++;
        (void)pthread_mutex_unlock(&helpers.lock);
        ps_progress_attach(loop->progress);
        run_pieces(loop);
        ps_progress_attach(NULL);
        (void)pthread_mutex_lock(&helpers.lock);
        if (--loop->inside == 0)
            (void)pthread_cond_signal(&loop->left);
    }
    return unused;
}

/* Starts helpers until `wanted` wait, as far as the system allows. */
static void start_helpers(int wanted)
{
    for (int i = helpers.waiting; i < wanted && helpers.threads < MAX_THREADS; i++) {
        pthread_t thread;
        if (ps_thread_start(&thread, "parallel", "a helper of a loop", help, NULL, NULL) != 0)
            break;
        (void)pthread_detach(thread);
        helpers.threads++;
    }
}

static void open_loop(struct loop *loop)
{
    (void)pthread_mutex_lock(&helpers.lock);
    loop->next = helpers.loops;
    helpers.loops = loop;
    if (helpers.waiting < loop->wanted)
        start_helpers(loop->wanted);
    for (int i = 0; i < loop->wanted; i++)
        (void)pthread_cond_signal(&helpers.work);
    (void)pthread_mutex_unlock(&helpers.lock);
}

static void close_loop(struct loop *loop)
{
    (void)pthread_mutex_lock(&helpers.lock);
    struct loop **link = &helpers.loops;
    while (*link != loop)
        link = &(*link)->next;
    *link = loop->next;
    while (loop->inside > 0)
        (void)pthread_cond_wait(&loop->left, &helpers.lock);
    (void)pthread_mutex_unlock(&helpers.lock);
}

void ps_parallel(int threads, size_t pieces, void (*body)(void *context, int thread, size_t piece),
                 void *context)
{
    int most = threads < MAX_THREADS ? threads : MAX_THREADS;
    struct loop loop = {
        .body = body,
        .context = context,
        .pieces = pieces,
        .progress = ps_progress_attached(),
        .wanted = (size_t)most < pieces ? most - 1 : (int)pieces - 1,
        .left = PTHREAD_COND_INITIALIZER,
    };
    bool shared = loop.wanted > 0;
    if (shared)
        open_loop(&loop);
    run_pieces(&loop);
    if (shared)
        close_loop(&loop);
}

int ps_core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count < MAX_THREADS ? count : MAX_THREADS;
}
