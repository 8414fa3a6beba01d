/* The jobs that wait are in two heaps over the same items: one has on top the job that is taken
 * next, the other the one that is taken last, which gives way when there are too many. A search
 * tree over the paths finds the item of a path, be it waiting, being picked, or both: then what
 * waits is in no heap until the picking is over.
 */
#include "service/job_queue.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { NEXT, LAST, HEAPS };

/* All that is known of a path: in the tree while there is a job waiting or being picked. */
struct item {
    const char *path; /* of one of the jobs */
    struct ps_job *waiting;
    struct ps_job *picked; /* by a worker, which may write to it: not to be looked into */
    struct ps_identity picked_identity; /* when it was taken */
    size_t places[HEAPS]; /* in the heaps, where there is a waiting job and none picked */
};

struct ps_pending {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* there is a job to take, or it was closed */
    size_t capacity;
    enum ps_order order;
    struct ps_metrics *metrics;
    bool closed;
    bool wants_rescan;
    void *by_path;              /* of struct item */
    struct item **heaps[HEAPS]; /* `ready` of them each */
    size_t ready;               /* jobs that can be taken */
    size_t room;                /* allocated in each heap */
    size_t deferred;            /* jobs whose path is being picked */
    size_t in_flight;
    uint64_t overflowed;
};

/* ---- order ------------------------------------------------------------------------------------
 */

/* Whether a worker should take `a` rather than `b`. */
static bool before(const struct ps_pending *pending, const struct item *a, const struct item *b)
{
    const int64_t times[2] = {a->waiting->identity.mtime_ns, b->waiting->identity.mtime_ns};
    if (times[0] != times[1])
        return (times[0] < times[1]) == (pending->order == PS_ORDER_OLDEST);
    return strcmp(a->path, b->path) < 0;
}

static bool above(const struct ps_pending *pending, int heap, const struct item *a,
                  const struct item *b)
{
    return heap == NEXT ? before(pending, a, b) : before(pending, b, a);
}

static void put_at(struct ps_pending *pending, int heap, size_t place, struct item *item)
{
    pending->heaps[heap][place] = item;
    item->places[heap] = place;
}

/* Moves the item up or down to where it belongs. */
static void settle_in(struct ps_pending *pending, int heap, struct item *item)
{
    struct item **items = pending->heaps[heap];
    size_t place = item->places[heap];
    while (place > 0 && above(pending, heap, item, items[(place - 1) / 2])) {
        put_at(pending, heap, place, items[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= pending->ready)
            break;
        if (child + 1 < pending->ready && above(pending, heap, items[child + 1], items[child]))
            child++;
        if (!above(pending, heap, items[child], item))
            break;
        put_at(pending, heap, place, items[child]);
        place = child;
    }
    put_at(pending, heap, place, item);
}

static bool heaps_add(struct ps_pending *pending, struct item *item)
{
    if (pending->ready == pending->room) {
        size_t room = pending->room ? 2 * pending->room : 64;
        for (int heap = 0; heap < HEAPS; heap++) {
            struct item **grown = realloc(pending->heaps[heap], room * sizeof(struct item *));
            if (!grown)
                return false;
            pending->heaps[heap] = grown;
        }
        pending->room = room;
    }
    const size_t place = pending->ready++;
    for (int heap = 0; heap < HEAPS; heap++) {
        put_at(pending, heap, place, item);
        settle_in(pending, heap, item);
    }
    return true;
}

static void heaps_remove(struct ps_pending *pending, const struct item *item)
{
    const size_t end = --pending->ready;
    for (int heap = 0; heap < HEAPS; heap++) {
        const size_t place = item->places[heap];
        struct item *moved = pending->heaps[heap][end];
        if (place == end)
            continue;
        put_at(pending, heap, place, moved);
        settle_in(pending, heap, moved);
    }
}

/* ---- paths ------------------------------------------------------------------------------------
 */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

/* The item of a path, made if need be; NULL without memory. */
static struct item *find_item(struct ps_pending *pending, const char *path)
{
    struct item key = {.path = path};
    struct item **found = tfind(&key, &pending->by_path, by_path);
    if (found)
        return *found;
    struct item *item = calloc(1, sizeof *item);
    if (!item)
        return NULL;
    item->path = path;
    if (tsearch(item, &pending->by_path, by_path))
        return item;
    free(item);
    return NULL;
}

/* Forgets the item if it has no job any more, else takes the path from the one it has. To be
 * called before a job of the item is freed. */
static void release_item(struct ps_pending *pending, struct item *item)
{
    const struct ps_job *job = item->waiting ? item->waiting : item->picked;
    if (job) {
        item->path = job->path;
    } else {
        (void)tdelete(item, &pending->by_path, by_path);
        free(item);
    }
}

/* ---- the queue --------------------------------------------------------------------------------
 */

struct ps_pending *ps_pending_new(size_t capacity, enum ps_order order, struct ps_metrics *metrics)
{
    struct ps_pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    pending->capacity = capacity ? capacity : 1;
    pending->order = order;
    pending->metrics = metrics;
    (void)pthread_mutex_init(&pending->lock, NULL);
    (void)pthread_cond_init(&pending->changed, NULL);
    return pending;
}

/* Lets what waits in the heaps go. */
static void let_go(struct ps_pending *pending, struct item *item)
{
    struct ps_job *job = item->waiting;
    heaps_remove(pending, item);
    item->waiting = NULL;
    release_item(pending, item);
    ps_job_free(job);
}

/* A job had to be let go that a rescan will find again. */
static void overflow(struct ps_pending *pending)
{
    if (pending->closed)
        return;
    pending->overflowed++;
    pending->wants_rescan = true;
}

/* The path of the job is being picked: the job waits aside until that is over. The very same file
 * would only be picked twice. */
static void defer(struct ps_pending *pending, struct item *item, struct ps_job *job)
{
    if (ps_identity_equal(&job->identity, &item->picked_identity)) {
        ps_job_free(job);
        return;
    }
    if (!item->waiting)
        pending->deferred++;
    ps_job_free(item->waiting);
    item->waiting = job;
}

static void replace(struct ps_pending *pending, struct item *item, struct ps_job *job)
{
    struct ps_job *old = item->waiting;
    item->waiting = job;
    item->path = job->path;
    for (int heap = 0; heap < HEAPS; heap++)
        settle_in(pending, heap, item);
    ps_job_free(old);
}

static void add(struct ps_pending *pending, struct ps_job *job)
{
    struct item *item = find_item(pending, job->path);
    if (item && item->picked) {
        defer(pending, item, job);
    } else if (item && item->waiting) {
        replace(pending, item, job);
    } else {
        if (item)
            item->waiting = job;
        if (!item || !heaps_add(pending, item)) { /* no memory is no room */
            if (item) {
                item->waiting = NULL;
                release_item(pending, item);
            }
            ps_job_free(job);
            overflow(pending);
            return;
        }
        if (pending->ready + pending->deferred > pending->capacity) {
            overflow(pending);
            let_go(pending, pending->heaps[LAST][0]);
        }
        (void)pthread_cond_signal(&pending->changed);
    }
}

/* Gives the lock back after something has come or gone. */
static void unlock_changed(struct ps_pending *pending)
{
    ps_metrics_set(pending->metrics, PS_GAUGE_QUEUE_WAITING,
                   (int64_t)(pending->ready + pending->deferred));
    ps_metrics_set(pending->metrics, PS_GAUGE_QUEUE_IN_FLIGHT, (int64_t)pending->in_flight);
    (void)pthread_mutex_unlock(&pending->lock);
}

bool ps_pending_put(struct ps_pending *pending, struct ps_job *job)
{
    (void)pthread_mutex_lock(&pending->lock);
    const bool open = !pending->closed;
    if (open)
        add(pending, job);
    unlock_changed(pending);
    if (!open)
        ps_job_free(job);
    return open;
}

struct ps_job *ps_pending_take(struct ps_pending *pending)
{
    struct ps_job *job = NULL;
    (void)pthread_mutex_lock(&pending->lock);
    while (!pending->closed && pending->ready == 0)
        (void)pthread_cond_wait(&pending->changed, &pending->lock);
    if (!pending->closed) {
        struct item *item = pending->heaps[NEXT][0];
        heaps_remove(pending, item);
        job = item->picked = item->waiting;
        item->picked_identity = job->identity;
        item->waiting = NULL;
        pending->in_flight++;
    }
    unlock_changed(pending);
    return job;
}

void ps_pending_finish(struct ps_pending *pending, struct ps_job *job)
{
    (void)pthread_mutex_lock(&pending->lock);
    const struct item key = {.path = job->path};
    struct item *item = *(struct item **)tfind(&key, &pending->by_path, by_path);
    struct ps_job *next = item->waiting;
    pending->in_flight--;
    item->picked = NULL;
    if (next) {
        pending->deferred--;
        item->path = next->path;
        if (!pending->closed && heaps_add(pending, item)) {
            (void)pthread_cond_signal(&pending->changed);
            next = NULL;
        } else {
            overflow(pending);
            item->waiting = NULL;
        }
    }
    release_item(pending, item);
    unlock_changed(pending);
    ps_job_free(next);
    ps_job_free(job);
}

void ps_pending_close(struct ps_pending *pending)
{
    (void)pthread_mutex_lock(&pending->lock);
    pending->closed = true;
    while (pending->ready > 0)
        let_go(pending, pending->heaps[LAST][pending->ready - 1]);
    (void)pthread_cond_broadcast(&pending->changed);
    unlock_changed(pending);
}

void ps_pending_free(struct ps_pending *pending)
{
    if (!pending)
        return;
    ps_pending_close(pending);
    for (int heap = 0; heap < HEAPS; heap++)
        free(pending->heaps[heap]);
    (void)pthread_cond_destroy(&pending->changed);
    (void)pthread_mutex_destroy(&pending->lock);
    free(pending);
}

struct ps_pending_counts ps_pending_counts(struct ps_pending *pending)
{
    (void)pthread_mutex_lock(&pending->lock);
    const struct ps_pending_counts counts = {
        .waiting = pending->ready + pending->deferred,
        .in_flight = pending->in_flight,
        .capacity = pending->capacity,
        .overflowed = pending->overflowed,
    };
    (void)pthread_mutex_unlock(&pending->lock);
    return counts;
}

bool ps_pending_wants_rescan(struct ps_pending *pending)
{
    (void)pthread_mutex_lock(&pending->lock);
    const size_t waiting = pending->ready + pending->deferred;
    const bool wants =
        pending->wants_rescan && !pending->closed && waiting < (pending->capacity + 1) / 2;
    if (wants)
        pending->wants_rescan = false;
    (void)pthread_mutex_unlock(&pending->lock);
    return wants;
}
