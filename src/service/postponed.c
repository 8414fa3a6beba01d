#include "service/postponed.h"

#include "base/clock.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
    MAX_ENTRIES = 256,
    MIN_DELAY_SECONDS = 1,
    MAX_DELAY_SECONDS = 60,
    PAUSE_SECONDS = 2, /* of a worker, while nothing can be picked */
    MANY = 4,          /* micrographs that failed one after the other: nothing can be picked */
    WARN_SECONDS = 10, /* how long something waits before the log says so */
};
static const int64_t second_ns = 1000000000;

/* A micrograph from its first failure to its end. */
struct entry {
    struct ps_job *job;  /* NULL: queued, or being tried again */
    int tries;           /* failures so far */
    int blamed;          /* those before which another one was picked since the last try */
    uint64_t picked;     /* the counter of picked ones at the last failure */
    int64_t due_ns;      /* monotonic */
    char path[PATH_MAX]; /* "": a free entry */
};

struct ps_postponed {
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_job_queue *queue;
    int event_fd;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool closed;
    uint64_t picked; /* micrographs that were picked */
    int64_t failed_ns;
    int64_t since_ns; /* when the first of those that wait failed; 0: none waits */
    bool warned;
    char reason[PS_MAX_POSTPONED_REASON];
    struct entry entries[MAX_ENTRIES];
};

struct ps_postponed *ps_postponed_new(struct ps_log *log, struct ps_metrics *metrics,
                                      struct ps_job_queue *queue, int event_fd)
{
    struct ps_postponed *postponed = calloc(1, sizeof *postponed);
    if (!postponed)
        return NULL;
    postponed->log = log;
    postponed->metrics = metrics;
    postponed->queue = queue;
    postponed->event_fd = event_fd;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&postponed->lock, NULL);
    (void)pthread_cond_init(&postponed->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return postponed;
}

/* ---- entries ----------------------------------------------------------------------------------
 */

static struct entry *find(struct ps_postponed *postponed, const char *path)
{
    for (struct entry *entry = postponed->entries; entry < postponed->entries + MAX_ENTRIES;
         entry++)
        if (strcmp(entry->path, path) == 0)
            return entry;
    return NULL;
}

/* A free entry; or the one that was queued first, in case its job was lost on the way. */
static struct entry *find_free(struct ps_postponed *postponed)
{
    struct entry *oldest = NULL;
    for (struct entry *entry = postponed->entries; entry < postponed->entries + MAX_ENTRIES;
         entry++) {
        if (!*entry->path)
            return entry;
        if (!entry->job && (!oldest || entry->due_ns < oldest->due_ns))
            oldest = entry;
    }
    return oldest;
}

static void clear(struct entry *entry)
{
    ps_job_free(entry->job);
    memset(entry, 0, offsetof(struct entry, path) + 1);
}

static size_t count_waiting(const struct ps_postponed *postponed)
{
    size_t count = 0;
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        count += postponed->entries[i].job != NULL;
    return count;
}

/* True if several micrographs have failed since one could be picked. */
static bool nothing_works(const struct ps_postponed *postponed)
{
    int count = 0;
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        count += *postponed->entries[i].path && postponed->entries[i].picked == postponed->picked;
    return count >= MANY;
}

void ps_postponed_free(struct ps_postponed *postponed)
{
    if (!postponed)
        return;
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        clear(&postponed->entries[i]);
    (void)pthread_cond_destroy(&postponed->changed);
    (void)pthread_mutex_destroy(&postponed->lock);
    free(postponed);
}

/* ---- the log ----------------------------------------------------------------------------------
 */

/* Updates the gauge; logs once that micrographs have waited for some time, and that none does any
 * more. Call it when entries have changed. */
static void report(struct ps_postponed *postponed)
{
    const size_t count = count_waiting(postponed);
    const int64_t now = ps_clock_mono_ns();
    ps_metrics_set(postponed->metrics, PS_GAUGE_QUEUE_POSTPONED, (int64_t)count);
    bool any = false;
    for (size_t i = 0; i < MAX_ENTRIES && !any; i++)
        any = *postponed->entries[i].path != '\0';
    if (!any) {
        if (postponed->warned)
            ps_log_event(postponed->log, PS_LOG_INFO, "postponed_ended", "seconds=%.0f",
                         (double)(now - postponed->since_ns) * 1e-9);
        postponed->since_ns = 0;
        postponed->warned = false;
        *postponed->reason = '\0';
        return;
    }
    if (postponed->since_ns == 0)
        postponed->since_ns = now;
    if (postponed->warned || now - postponed->since_ns < WARN_SECONDS * second_ns)
        return;
    char quoted[PS_LOG_TEXT];
    postponed->warned = true;
    ps_log_event(postponed->log, PS_LOG_WARNING, "postponed", "micrographs=%zu reason=%s", count,
                 ps_log_quote(postponed->reason, quoted));
}

/* ---- a try and its end ------------------------------------------------------------------------
 */

static int64_t delay_ns(int tries)
{
    int64_t seconds = MIN_DELAY_SECONDS;
    for (int i = 1; i < tries && seconds < MAX_DELAY_SECONDS; i++)
        seconds *= 2;
    return (seconds < MAX_DELAY_SECONDS ? seconds : MAX_DELAY_SECONDS) * second_ns;
}

/* Counts another failure. False: it is the micrograph's own fault. */
static bool count_failure(struct ps_postponed *postponed, struct entry *entry, const char *reason)
{
    const int64_t now = ps_clock_mono_ns();
    (void)snprintf(postponed->reason, sizeof postponed->reason, "%s", reason);
    postponed->failed_ns = now;
    entry->blamed += entry->tries > 0 && entry->picked != postponed->picked;
    entry->tries++;
    entry->picked = postponed->picked;
    entry->due_ns = now + delay_ns(entry->tries);
    return entry->blamed + 1 < PS_POSTPONED_TRIES;
}

bool ps_postponed_add(struct ps_postponed *postponed, struct ps_job *job, const char *reason)
{
    (void)pthread_mutex_lock(&postponed->lock);
    struct entry *entry = find(postponed, job->path);
    if (!entry && (entry = find_free(postponed)) != NULL) {
        clear(entry);
        (void)snprintf(entry->path, sizeof entry->path, "%s", job->path);
    }
    const bool waits = !entry || count_failure(postponed, entry, reason);
    if (!entry) {
        ps_job_queue_drop(postponed->queue, job);
    } else if (waits) {
        ps_job_queue_hand_over(postponed->queue, job);
        ps_job_free(entry->job);
        entry->job = job;
    }
    if (waits)
        ps_metrics_add(postponed->metrics, PS_COUNTER_POSTPONED, 1);
    report(postponed);
    (void)pthread_mutex_unlock(&postponed->lock);
    if (waits)
        (void)eventfd_write(postponed->event_fd, 1);
    return waits;
}

void ps_postponed_end(struct ps_postponed *postponed, const struct ps_job *job, bool picked)
{
    (void)pthread_mutex_lock(&postponed->lock);
    const bool recovered = picked && nothing_works(postponed);
    struct entry *entry = find(postponed, job->path);
    if (entry)
        clear(entry);
    postponed->picked += picked;
    for (size_t i = 0; i < MAX_ENTRIES && recovered; i++)
        postponed->entries[i].due_ns = 0;
    if (recovered)
        (void)pthread_cond_broadcast(&postponed->changed);
    if (entry)
        report(postponed);
    (void)pthread_mutex_unlock(&postponed->lock);
    if (recovered)
        (void)eventfd_write(postponed->event_fd, 1);
}

bool ps_postponed_has(struct ps_postponed *postponed, const struct ps_job *job)
{
    (void)pthread_mutex_lock(&postponed->lock);
    struct entry *entry = find(postponed, job->path);
    const bool waits =
        entry && entry->job && ps_identity_equal(&entry->job->identity, &job->identity);
    if (entry && entry->job && !waits) {
        clear(entry);
        report(postponed);
    }
    (void)pthread_mutex_unlock(&postponed->lock);
    return waits;
}

int64_t ps_postponed_release(struct ps_postponed *postponed)
{
    const int64_t now = ps_clock_mono_ns();
    int64_t next = INT64_MAX;
    (void)pthread_mutex_lock(&postponed->lock);
    for (struct entry *entry = postponed->entries; entry < postponed->entries + MAX_ENTRIES;
         entry++) {
        if (!entry->job)
            continue;
        if (entry->due_ns <= now) {
            (void)ps_job_queue_put(postponed->queue, entry->job);
            entry->job = NULL;
        } else if (entry->due_ns < next) {
            next = entry->due_ns;
        }
    }
    report(postponed);
    (void)pthread_mutex_unlock(&postponed->lock);
    return next;
}

/* ---- pauses -----------------------------------------------------------------------------------
 */

void ps_postponed_pause(struct ps_postponed *postponed)
{
    (void)pthread_mutex_lock(&postponed->lock);
    for (;;) {
        const int64_t until = postponed->failed_ns + PAUSE_SECONDS * second_ns;
        const struct timespec time = {.tv_sec = until / second_ns, .tv_nsec = until % second_ns};
        if (postponed->closed || ps_clock_mono_ns() >= until || !nothing_works(postponed))
            break;
        (void)pthread_cond_timedwait(&postponed->changed, &postponed->lock, &time);
    }
    (void)pthread_mutex_unlock(&postponed->lock);
}

void ps_postponed_close(struct ps_postponed *postponed)
{
    (void)pthread_mutex_lock(&postponed->lock);
    postponed->closed = true;
    (void)pthread_cond_broadcast(&postponed->changed);
    (void)pthread_mutex_unlock(&postponed->lock);
}

void ps_postponed_status(struct ps_postponed *postponed, struct ps_postponed_status *ret_status)
{
    (void)pthread_mutex_lock(&postponed->lock);
    ret_status->count = count_waiting(postponed);
    memcpy(ret_status->reason, postponed->reason, sizeof ret_status->reason);
    (void)pthread_mutex_unlock(&postponed->lock);
}
