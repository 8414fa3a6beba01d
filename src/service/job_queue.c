/* Jobs that can be taken are in the heaps, which know the job to take next and the job to take
 * last, which is dropped when the queue is full. A search tree by path finds the item of a path,
 * whether its job waits, is being picked, or both. In the last case the waiting job is not in the
 * heaps until the pick has ended. Suspects are in a list instead of the heaps.
 */
#include "service/job_queue.h"

#include "base/clock.h"
#include "service/job_heaps.h"

#include <math.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

/* A path in the tree, as long as a job of it waits or is being picked. */
struct item {
    struct ps_job_heap_entry entry; /* first; in use if a job waits and none is being picked */
    const char *path;               /* borrowed from one of the jobs */
    struct ps_job *waiting;
    struct ps_job *picked; /* owned by a worker, which changes it: do not read its fields */
    struct ps_identity picked_identity; /* when it was taken */
    int64_t picked_row;
    bool suspect; /* waits in the list of suspects instead */
    TAILQ_ENTRY(item) link;
};

TAILQ_HEAD(items, item);

/* NULL for NULL. */
static struct item *item_of(struct ps_job_heap_entry *entry)
{
    return (struct item *)entry;
}

struct ps_job_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job can be taken, or the queue was closed */
    size_t capacity;
    struct ps_metrics *metrics;
    bool closed;
    bool wants_rescan;
    void *by_path;             /* of struct item */
    struct ps_job_heaps ready; /* jobs that can be taken */
    size_t deferred;           /* jobs whose path is being picked */
    size_t in_flight;
    struct items suspects;
    size_t suspect_count;
    int64_t held_until_ns;    /* no suspect is taken before; monotonic */
    const struct item *alone; /* a suspect that is being picked */
    size_t overtakes;         /* other jobs taken while the first suspect waited */
    uint64_t overflowed;
};

/* ---- suspects ---------------------------------------------------------------------------------
 */

static bool is_suspect(const struct ps_job *job)
{
    return job->deaths >= PS_SUSPECT_DEATHS && job->deaths < PS_MAX_DEATHS;
}

/* Makes the waiting job of an item one that can be taken. False without memory. */
static bool add_waiting(struct ps_job_queue *queue, struct item *item)
{
    item->suspect = is_suspect(item->waiting);
    if (!item->suspect)
        return ps_job_heaps_add(&queue->ready, &item->entry, item->waiting);
    if (queue->suspect_count++ == 0)
        queue->overtakes = 0;
    TAILQ_INSERT_TAIL(&queue->suspects, item, link);
    return true;
}

static void remove_waiting(struct ps_job_queue *queue, struct item *item)
{
    if (item->suspect) {
        TAILQ_REMOVE(&queue->suspects, item, link);
        queue->suspect_count--;
        item->suspect = false;
    } else {
        ps_job_heaps_remove(&queue->ready, &item->entry);
    }
}

/* The item whose job is to be taken now; NULL: wait. */
static struct item *find_next(struct ps_job_queue *queue)
{
    if (queue->alone)
        return NULL;
    struct item *suspect = TAILQ_FIRST(&queue->suspects);
    if (suspect && ps_clock_mono_ns() >= queue->held_until_ns &&
        (queue->ready.count == 0 || queue->overtakes >= PS_MAX_OVERTAKES))
        return queue->in_flight == 0 ? suspect : NULL;
    return item_of(ps_job_heaps_next(&queue->ready));
}

/* ---- paths ------------------------------------------------------------------------------------
 */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

/* Finds or creates the item of a path; NULL without memory. */
static struct item *find_item(struct ps_job_queue *queue, const char *path)
{
    struct item key = {.path = path};
    struct item **found = tfind(&key, &queue->by_path, by_path);
    if (found)
        return *found;
    struct item *item = calloc(1, sizeof *item);
    if (!item)
        return NULL;
    item->path = path;
    if (tsearch(item, &queue->by_path, by_path))
        return item;
    free(item);
    return NULL;
}

/* Removes an item without jobs; otherwise borrows the path from the job that is left. Call it
 * before a job of the item is freed. */
static void release_item(struct ps_job_queue *queue, struct item *item)
{
    const struct ps_job *job = item->waiting ? item->waiting : item->picked;
    if (job) {
        item->path = job->path;
    } else {
        (void)tdelete(item, &queue->by_path, by_path);
        free(item);
    }
}

/* ---- the queue --------------------------------------------------------------------------------
 */

struct ps_job_queue *ps_job_queue_new(size_t capacity, enum ps_order order,
                                      struct ps_metrics *metrics)
{
    struct ps_job_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->capacity = capacity ? capacity : 1;
    queue->ready.order = order;
    queue->metrics = metrics;
    TAILQ_INIT(&queue->suspects);
    (void)pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return queue;
}

/* Drops a waiting job that could be taken. */
static void drop_waiting(struct ps_job_queue *queue, struct item *item)
{
    struct ps_job *job = item->waiting;
    remove_waiting(queue, item);
    item->waiting = NULL;
    release_item(queue, item);
    ps_job_free(job);
}

/* Counts a dropped job; a rescan finds its file again. */
static void overflow(struct ps_job_queue *queue)
{
    if (queue->closed)
        return;
    queue->overflowed++;
    queue->wants_rescan = true;
}

/* The path is being picked: keep the job out of the heaps until that pick ends. A job of the same
 * file identity and revision is freed, so that the file is not picked twice. If only the inode
 * changed, the worker that takes the job compares the contents. */
static void defer(struct ps_job_queue *queue, struct item *item, struct ps_job *job)
{
    if (job->row == item->picked_row &&
        ps_identity_compare(&job->identity, &item->picked_identity) == PS_IDENTITY_THE_SAME) {
        ps_job_free(job);
        return;
    }
    if (!item->waiting)
        queue->deferred++;
    ps_job_free(item->waiting);
    item->waiting = job;
}

/* Memory can be short only for a job that leaves the suspects; it counts as overflow. */
static void replace(struct ps_job_queue *queue, struct item *item, struct ps_job *job)
{
    struct ps_job *old = item->waiting;
    const bool keeps_place = item->suspect && is_suspect(job);
    if (!keeps_place)
        remove_waiting(queue, item);
    item->waiting = job;
    item->path = job->path;
    if (!keeps_place && !add_waiting(queue, item)) {
        item->waiting = NULL;
        release_item(queue, item);
        ps_job_free(job);
        overflow(queue);
    }
    ps_job_free(old);
}

static void add(struct ps_job_queue *queue, struct ps_job *job)
{
    struct item *item = find_item(queue, job->path);
    if (item && item->picked) {
        defer(queue, item, job);
    } else if (item && item->waiting) {
        replace(queue, item, job);
    } else {
        if (item)
            item->waiting = job;
        if (!item || !add_waiting(queue, item)) { /* out of memory counts as overflow */
            if (item) {
                item->waiting = NULL;
                release_item(queue, item);
            }
            ps_job_free(job);
            overflow(queue);
            return;
        }
        if (queue->ready.count + queue->deferred > queue->capacity) {
            overflow(queue);
            drop_waiting(queue, item_of(ps_job_heaps_last(&queue->ready)));
        }
        (void)pthread_cond_signal(&queue->changed);
    }
}

static size_t count_waiting(const struct ps_job_queue *queue)
{
    return queue->ready.count + queue->deferred + queue->suspect_count;
}

/* Updates the gauges and releases the lock after jobs were added or removed. */
static void unlock_changed(struct ps_job_queue *queue)
{
    ps_metrics_set(queue->metrics, PS_GAUGE_QUEUE_WAITING, (int64_t)count_waiting(queue));
    ps_metrics_set(queue->metrics, PS_GAUGE_QUEUE_IN_FLIGHT, (int64_t)queue->in_flight);
    (void)pthread_mutex_unlock(&queue->lock);
}

bool ps_job_queue_put(struct ps_job_queue *queue, struct ps_job *job)
{
    (void)pthread_mutex_lock(&queue->lock);
    const bool open = !queue->closed;
    if (open)
        add(queue, job);
    unlock_changed(queue);
    if (!open)
        ps_job_free(job);
    return open;
}

void ps_job_queue_hold_suspects(struct ps_job_queue *queue, double seconds)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->held_until_ns =
        isinf(seconds) ? INT64_MAX : ps_clock_mono_ns() + (int64_t)(seconds * 1e9);
    (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->lock);
}

/* Waits for a change, or for the time from which suspects can be taken. */
static void wait_for_change(struct ps_job_queue *queue)
{
    const int64_t until_ns = queue->held_until_ns;
    const struct timespec time = {until_ns / 1000000000, until_ns % 1000000000};
    if (queue->suspect_count == 0 || until_ns == INT64_MAX || ps_clock_mono_ns() >= until_ns)
        (void)pthread_cond_wait(&queue->changed, &queue->lock);
    else
        (void)pthread_cond_timedwait(&queue->changed, &queue->lock, &time);
}

struct ps_job *ps_job_queue_take(struct ps_job_queue *queue)
{
    struct ps_job *job = NULL;
    struct item *item = NULL;
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->closed && !(item = find_next(queue)))
        wait_for_change(queue);
    if (!queue->closed) {
        queue->alone = item->suspect ? item : NULL;
        queue->overtakes = item->suspect ? 0 : queue->overtakes + 1;
        remove_waiting(queue, item);
        job = item->picked = item->waiting;
        item->picked_identity = job->identity;
        item->picked_row = job->row;
        item->waiting = NULL;
        queue->in_flight++;
    }
    unlock_changed(queue);
    return job;
}

/* Ends the pick of a job, which the caller frees or keeps. `lost`: a rescan is to find its file. */
static void end(struct ps_job_queue *queue, const struct ps_job *job, bool lost)
{
    (void)pthread_mutex_lock(&queue->lock);
    const struct item key = {.path = job->path};
    struct item *item = *(struct item **)tfind(&key, &queue->by_path, by_path);
    struct ps_job *next = item->waiting;
    queue->in_flight--;
    item->picked = NULL;
    if (queue->alone == item || queue->suspect_count)
        (void)pthread_cond_broadcast(&queue->changed);
    if (queue->alone == item)
        queue->alone = NULL;
    if (next) {
        queue->deferred--;
        item->path = next->path;
        if (!queue->closed && add_waiting(queue, item)) {
            (void)pthread_cond_signal(&queue->changed);
            next = NULL;
        } else {
            overflow(queue);
            item->waiting = NULL;
        }
    }
    if (lost)
        overflow(queue);
    release_item(queue, item);
    unlock_changed(queue);
    ps_job_free(next);
}

void ps_job_queue_finish(struct ps_job_queue *queue, struct ps_job *job)
{
    end(queue, job, false);
    ps_job_free(job);
}

void ps_job_queue_drop(struct ps_job_queue *queue, struct ps_job *job)
{
    end(queue, job, true);
    ps_job_free(job);
}

void ps_job_queue_hand_over(struct ps_job_queue *queue, struct ps_job *job)
{
    end(queue, job, false);
}

bool ps_job_queue_claim(struct ps_job_queue *queue, struct ps_job *job)
{
    (void)pthread_mutex_lock(&queue->lock);
    struct item *item = queue->closed ? NULL : find_item(queue, job->path);
    const bool claimed = item && !item->picked;
    if (claimed) {
        if (item->waiting) {
            remove_waiting(queue, item);
            queue->deferred++;
        }
        item->path = job->path; /* not that of the waiting job, which can be replaced */
        item->picked = job;
        item->picked_identity = (struct ps_identity){0};
        queue->in_flight++;
    }
    unlock_changed(queue);
    return claimed;
}

void ps_job_queue_close(struct ps_job_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    while (queue->ready.count > 0)
        drop_waiting(queue, item_of(ps_job_heaps_any(&queue->ready)));
    while (!TAILQ_EMPTY(&queue->suspects))
        drop_waiting(queue, TAILQ_FIRST(&queue->suspects));
    (void)pthread_cond_broadcast(&queue->changed);
    unlock_changed(queue);
}

void ps_job_queue_free(struct ps_job_queue *queue)
{
    if (!queue)
        return;
    ps_job_queue_close(queue);
    ps_job_heaps_done(&queue->ready);
    (void)pthread_cond_destroy(&queue->changed);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

struct ps_job_queue_counts ps_job_queue_counts(struct ps_job_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    const struct ps_job_queue_counts counts = {
        .waiting = count_waiting(queue),
        .in_flight = queue->in_flight,
        .capacity = queue->capacity,
        .suspects = queue->suspect_count + (queue->alone != NULL),
        .overflowed = queue->overflowed,
    };
    (void)pthread_mutex_unlock(&queue->lock);
    return counts;
}

bool ps_job_queue_wants_rescan(struct ps_job_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    const size_t waiting = queue->ready.count + queue->deferred;
    const bool wants = queue->wants_rescan && !queue->closed && waiting < (queue->capacity + 1) / 2;
    if (wants)
        queue->wants_rescan = false;
    (void)pthread_mutex_unlock(&queue->lock);
    return wants;
}
