#include "service/worker_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/thread.h"
#include "image/micrograph.h"
#include "picker/memory.h"
#include "service/outputs.h"
#include "service/picker_pool.h"
#include "service/skip.h"
#include "service/source_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct worker {
    struct ps_worker_pool *pool;
    pthread_t thread;
    struct ps_progress progress;
    uint64_t seen_ticks; /* at the last check of the watchdog, by its thread */
    int64_t seen_ns;     /* when they were first seen, monotonic */
};

struct ps_worker_pool {
    struct ps_worker_dependencies dependencies;
    pthread_mutex_t lock;
    struct ps_picker_pool *pickers;
    struct worker *workers;
    size_t count;
    size_t running;
    struct ps_outputs *outputs;
    bool device_failed;
    struct ps_error device_error;
};

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static double milliseconds_since(int64_t start_ns)
{
    return (double)(ps_clock_mono_ns() - start_ns) * 1e-6;
}

static void signal_event(const struct ps_worker_pool *pool)
{
    (void)eventfd_write(pool->dependencies.event_fd, 1);
}

/* The message of an error without the path at its beginning: the outcome has the path. */
static char *reason_of(const struct ps_error *error, const char *path)
{
    const char *text = error->message;
    size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
        text += length + 2;
    return strdup(text);
}

/* Also for rejected and failed micrographs, to show why. Failing to make a preview is logged and
 * does not change the outcome. */
static void make_preview(const struct worker *worker, struct ps_completion *completion)
{
    const struct ps_worker_dependencies *dependencies = &worker->pool->dependencies;
    bool published = dependencies->config->publish.preview;
    struct ps_error error;
    if (!completion->micrograph || (!published && !dependencies->previews))
        return;
    int status = ps_preview_make(&completion->micrograph->image, completion->result.diameter,
                                 &completion->preview, &error);
    if (status == 0 && dependencies->previews)
        status = ps_previews_stage(dependencies->previews, completion->job->row,
                                   &completion->preview, &error);
    if (status)
        ps_log_reason(dependencies->log, PS_LOG_WARNING, "preview_failed", error.message);
    if (!published)
        ps_preview_done(&completion->preview);
}

/* Reads and picks. 0: `completion` has a result or a failure. PS_E_DEVICE, PS_E_NOMEM, PS_E_SYSTEM
 * (the file system is not mounted): it has neither. */
static int read_and_pick(struct worker *worker, struct ps_job *job,
                         struct ps_completion *completion, struct ps_error *error)
{
    const struct ps_picker_budget budget = {worker->pool->dependencies.config,
                                            ps_picker_pool_is_gpu(worker->pool->pickers),
                                            ps_memory_limit("")};
    const struct ps_read_options options = ps_picker_read_options(&budget);
    int64_t start = ps_clock_mono_ns();
    ps_progress_set_busy(true);
    int status = ps_source_read(job, &options, &completion->micrograph, error);
    ps_progress_set_busy(false);
    completion->read_milliseconds = milliseconds_since(start);
    if (status == 0)
        status = ps_picker_pool_pick(worker->pool->pickers, job->name,
                                     &completion->micrograph->image, &completion->result, error);
    if (status == PS_E_DEVICE || (status == PS_E_SYSTEM && !ps_source_is_mounted(job)))
        return status;
    if (status && !(completion->failure = reason_of(error, job->path)))
        return PS_E_NOMEM;
    ps_progress_set_busy(true);
    if (status == 0)
        ps_outputs_write(worker->pool->outputs, job, completion->micrograph,
                         completion->read_milliseconds, &completion->result);
    make_preview(worker, completion);
    ps_progress_set_busy(false);
    if (completion->micrograph) {
        free(completion->micrograph->pixels);
        completion->micrograph->pixels = NULL;
        completion->micrograph->image.pixels = NULL;
    }
    completion->total_milliseconds = milliseconds_since(start);
    ps_metrics_observe(worker->pool->dependencies.metrics, PS_HISTOGRAM_PICKING,
                       completion->total_milliseconds * 1e-3);
    return 0;
}

/* True if the job has no outcome yet: the file can have been found again while another worker
 * picked it. False also if the journal cannot be read; the next scan finds the file again. */
static bool needs_outcome(struct worker *worker, struct ps_job *job)
{
    enum ps_journal_state state = PS_JOURNAL_DONE;
    struct ps_error error;
    if (ps_journal_see(worker->pool->dependencies.journal, job, &state, &error)) {
        ps_log_reason(worker->pool->dependencies.log, PS_LOG_ERROR, "journal_failed",
                      error.message);
        return false;
    }
    return state != PS_JOURNAL_DONE;
}

/* True if the micrograph gives way to another version of its exposure. Also if that cannot be
 * recorded: the next scan finds the file again. */
static bool is_skipped(struct worker *worker, const struct ps_job *job)
{
    const struct ps_worker_dependencies *dependencies = &worker->pool->dependencies;
    const struct ps_skip_dependencies skipping = {dependencies->config, dependencies->log,
                                                  dependencies->journal};
    enum ps_skip skip = PS_SKIP_NOT;
    struct ps_error error;
    if (ps_skip_before_pick(&skipping, job, &skip, &error) == 0)
        return skip != PS_SKIP_NOT;
    ps_log_reason(dependencies->log, PS_LOG_ERROR, "journal_failed", error.message);
    return true;
}

static void device_failed(struct worker *worker, const struct ps_error *error)
{
    struct ps_worker_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->device_failed = true;
    pool->device_error = *error;
    pthread_mutex_unlock(&pool->lock);
    ps_job_queue_close(pool->dependencies.queue);
    signal_event(pool);
}

/* The outcome of a micrograph that is not tried any more. */
static int fail_deadly(const struct ps_job *job, struct ps_completion *completion)
{
    const char format[] = "the service ended while picking it (%d times)";
    if (asprintf(&completion->failure, format, job->deaths) >= 0)
        return 0;
    completion->failure = NULL;
    return PS_E_NOMEM;
}

static size_t index_of(const struct worker *worker)
{
    return (size_t)(worker - worker->pool->workers);
}

static void process(struct worker *worker, struct ps_job *job)
{
    struct ps_job_queue *queue = worker->pool->dependencies.queue;
    struct ps_completion completion = {.job = job};
    struct ps_error error;
    int missing = ps_source_identify(job);
    if (!needs_outcome(worker, job) || is_skipped(worker, job)) {
        ps_job_queue_finish(queue, job);
        return;
    }
    int status = 0;
    ps_journal_begin_pick(worker->pool->dependencies.journal, index_of(worker), job);
    if (job->deaths >= PS_MAX_DEATHS)
        status = fail_deadly(job, &completion);
    else if (!missing)
        status = read_and_pick(worker, job, &completion, &error);
    else if (!ps_source_vanished(job))
        status = PS_E_SYSTEM;
    else if (!(completion.failure =
                   strdup(missing == ENOENT ? "vanished before it was read" : strerror(missing))))
        status = PS_E_NOMEM;
    /* The file changed while it was read. Discard this read; the watcher reports the file again. */
    bool changed = !missing && ps_source_changed(job);
    ps_journal_end_pick(worker->pool->dependencies.journal, index_of(worker));
    if (status == 0 && !changed) {
        if (completion.failure)
            ps_outputs_remove(worker->pool->outputs, job);
        ps_publisher_submit(worker->pool->dependencies.publisher, &completion);
        return;
    }
    ps_completions_done(&completion, 1, NULL, NULL);
    if (worker->pool->dependencies.previews)
        ps_previews_drop(worker->pool->dependencies.previews, job->row);
    ps_job_queue_finish(queue, job);
    if (status == PS_E_DEVICE)
        device_failed(worker, &error);
    else if (status == PS_E_SYSTEM)
        ps_log_event(worker->pool->dependencies.log, PS_LOG_WARNING, "share_gone",
                     "reason=\"micrographs wait for the return of their directory\"");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ps_worker_pool *pool = worker->pool;
    struct ps_job *job;
    ps_progress_attach(&worker->progress);
    while ((job = ps_job_queue_take(pool->dependencies.queue)) != NULL)
        process(worker, job);
    pthread_mutex_lock(&pool->lock);
    bool last = --pool->running == 0;
    pthread_mutex_unlock(&pool->lock);
    if (last)
        signal_event(pool);
    return NULL;
}

/* ---- start and end -----------------------------------------------------------------------------
 */

static int start_worker(struct ps_worker_pool *pool, struct ps_error *error)
{
    struct worker *worker = &pool->workers[pool->count];
    worker->pool = pool;
    pool->running++;
    int status = ps_thread_start(&worker->thread, "ps-worker", "a worker", work, worker, error);
    if (status)
        pool->running--;
    else
        pool->count++;
    return status;
}

int ps_worker_pool_start(const struct ps_worker_dependencies *dependencies,
                         struct ps_worker_pool **ret_pool, struct ps_error *error)
{
    struct ps_worker_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return ps_fail_memory(error, sizeof *pool, "workers");
    pool->dependencies = *dependencies;
    pthread_mutex_init(&pool->lock, NULL);
    int status = ps_outputs_open(dependencies->config, dependencies->log, &pool->outputs, error);
    if (status == 0)
        status =
            ps_picker_pool_open(dependencies->config, dependencies->log, &pool->pickers, error);
    size_t workers = status == 0 ? ps_picker_pool_workers(pool->pickers) : 0;
    if (status == 0) {
        pool->workers = calloc(workers, sizeof *pool->workers);
        if (!pool->workers)
            status = ps_fail_memory(error, workers * sizeof *pool->workers, "workers");
    }
    while (status == 0 && pool->count < workers)
        status = start_worker(pool, error);
    if (status) {
        ps_job_queue_close(dependencies->queue);
        ps_worker_pool_join(pool);
        return status;
    }
    *ret_pool = pool;
    return 0;
}

bool ps_worker_pool_ended(struct ps_worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool ended = pool->running == 0;
    pthread_mutex_unlock(&pool->lock);
    return ended;
}

void ps_worker_pool_join(struct ps_worker_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    ps_picker_pool_close(pool->pickers);
    ps_outputs_close(pool->outputs);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

bool ps_worker_pool_device_failed(struct ps_worker_pool *pool, struct ps_error *ret_error)
{
    pthread_mutex_lock(&pool->lock);
    bool failed = pool->device_failed;
    if (failed)
        *ret_error = pool->device_error;
    pthread_mutex_unlock(&pool->lock);
    return failed;
}

double ps_worker_pool_stuck_seconds(struct ps_worker_pool *pool)
{
    const int64_t now = ps_clock_mono_ns();
    int64_t longest = 0;
    for (size_t i = 0; i < pool->count; i++) {
        struct worker *worker = &pool->workers[i];
        const uint64_t ticks = atomic_load(&worker->progress.ticks);
        if (ticks != worker->seen_ticks || !atomic_load(&worker->progress.busy)) {
            worker->seen_ticks = ticks;
            worker->seen_ns = now;
        } else if (now - worker->seen_ns > longest) {
            longest = now - worker->seen_ns;
        }
    }
    return (double)longest * 1e-9;
}

json_t *ps_worker_pool_status(struct ps_worker_pool *pool)
{
    return ps_picker_pool_status(pool->pickers);
}
