#include "service/worker_pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_limit.h"
#include "base/progress.h"
#include "base/thread.h"
#include "image/micrograph.h"
#include "picker/memory.h"
#include "service/outputs.h"
#include "service/picker_pool.h"
#include "service/shortage.h"
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

/* Failing to make particles is logged and does not change the outcome. */
static void make_particles(const struct worker *worker, struct ps_completion *completion)
{
    const struct ps_worker_dependencies *dependencies = &worker->pool->dependencies;
    struct ps_error error;
    if (!dependencies->config->publish.particles || completion->failure || !completion->micrograph)
        return;
    if (ps_particle_set_make(dependencies->config, &completion->micrograph->image,
                             &completion->result, &completion->particles, &error))
        ps_log_reason(dependencies->log, PS_LOG_WARNING, "particles_failed", error.message);
}

static void count_gpu(const struct ps_worker_pool *pool)
{
    ps_metrics_set(pool->dependencies.metrics, PS_GAUGE_GPU, ps_picker_pool_is_gpu(pool->pickers));
}

/* Reads and picks: sets the micrograph and the result of `completion`. */
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
    if (status)
        return status;
    status = ps_picker_pool_pick(worker->pool->pickers, job->name, &completion->micrograph->image,
                                 &completion->result, error);
    count_gpu(worker->pool);
    return status;
}

/* Writes what belongs to a result or a failure, and frees the pixels. */
static void complete(struct worker *worker, struct ps_job *job, struct ps_completion *completion)
{
    ps_progress_set_busy(true);
    if (!completion->failure)
        ps_outputs_write(worker->pool->outputs, job, completion->micrograph,
                         completion->read_milliseconds, &completion->result);
    make_preview(worker, completion);
    make_particles(worker, completion);
    ps_progress_set_busy(false);
    if (completion->micrograph) {
        free(completion->micrograph->pixels);
        completion->micrograph->pixels = NULL;
        completion->micrograph->image.pixels = NULL;
    }
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

static size_t index_of(const struct worker *worker)
{
    return (size_t)(worker - worker->pool->workers);
}

/* Ends a job without an outcome: nothing of it is kept. */
static void give_up(struct worker *worker, struct ps_completion *completion)
{
    struct ps_previews *previews = worker->pool->dependencies.previews;
    int64_t row = completion->job->row;
    ps_completions_done(completion, 1, NULL, NULL);
    if (previews)
        ps_previews_drop(previews, row);
}

/* What becomes of a job. */
enum end {
    END_OUTCOME,   /* `completion` has a result or a failure */
    END_KEPT,      /* a repick that cannot be made now: the outcome it has stays the last */
    END_NOTHING,   /* the directory is gone: the watcher finds the file when it is back */
    END_POSTPONED, /* the machine is short of something; the job is gone */
    END_DEVICE,    /* the device failed */
};

/* Decides about a job that cannot be picked because of `error`. */
static enum end end_failed(struct worker *worker, struct ps_job *job,
                           struct ps_completion *completion, int status,
                           const struct ps_error *error)
{
    struct ps_worker_pool *pool = worker->pool;
    if (status == PS_E_DEVICE)
        return END_DEVICE;
    if (status == PS_E_SYSTEM && !ps_source_is_mounted(job))
        return END_NOTHING;
    completion->failure = reason_of(error, job->path);
    const char *reason = completion->failure ? completion->failure : error->message;
    if ((!completion->failure || ps_is_shortage(status, error, job->path)) &&
        ps_postponed_add(pool->dependencies.postponed, job, reason))
        return END_POSTPONED;
    if (job->repick && status == PS_E_SYSTEM)
        return END_KEPT;
    return completion->failure ? END_OUTCOME : END_NOTHING;
}

/* Reads, picks and writes. */
static enum end pick(struct worker *worker, struct ps_job *job, struct ps_completion *completion,
                     struct ps_error *error)
{
    int64_t start = ps_clock_mono_ns();
    int status = read_and_pick(worker, job, completion, error);
    if (status) {
        enum end end = end_failed(worker, job, completion, status, error);
        if (end != END_OUTCOME)
            return end;
    }
    complete(worker, job, completion);
    completion->total_milliseconds = milliseconds_since(start);
    ps_metrics_observe(worker->pool->dependencies.metrics, PS_HISTOGRAM_PICKING,
                       completion->total_milliseconds * 1e-3);
    return END_OUTCOME;
}

/* The file of a job could not be found; `number` is the errno of stat(). */
static enum end end_missing(struct worker *worker, struct ps_job *job,
                            struct ps_completion *completion, int number, struct ps_error *error)
{
    if (ps_is_shortage_of_stat(number))
        return end_failed(worker, job, completion,
                          ps_fail(error, PS_E_SYSTEM, "%s", strerror(number)), error);
    if (!ps_source_vanished(job))
        return END_NOTHING;
    int status = ps_fail(error, PS_E_INPUT, "%s",
                         number == ENOENT ? "vanished before it was read" : strerror(number));
    return job->repick ? END_KEPT : end_failed(worker, job, completion, status, error);
}

/* Processes have ended while they picked the micrograph: it is not tried any more. */
static enum end end_deadly(struct worker *worker, struct ps_job *job,
                           struct ps_completion *completion, struct ps_error *error)
{
    int status =
        ps_fail(error, PS_E_INPUT, "the service ended while picking it (%d times)", job->deaths);
    return end_failed(worker, job, completion, status, error);
}

/* A repick that cannot be made, because of `reason`. */
static void withdraw(struct worker *worker, const struct ps_job *job, const struct ps_error *reason)
{
    const struct ps_worker_dependencies *dependencies = &worker->pool->dependencies;
    char file[PS_LOG_TEXT], text[PS_LOG_TEXT];
    struct ps_error error;
    if (ps_journal_withdraw(dependencies->journal, job, &error))
        ps_log_reason(dependencies->log, PS_LOG_ERROR, "journal_failed", error.message);
    ps_log_event(dependencies->log, PS_LOG_WARNING, "repick_withdrawn", "file=%s reason=%s",
                 ps_log_quote(job->path, file), ps_log_quote(reason->message, text));
}

static void process(struct worker *worker, struct ps_job *job)
{
    const struct ps_worker_dependencies *dependencies = &worker->pool->dependencies;
    struct ps_completion completion = {.job = job};
    struct ps_error error;
    int missing = ps_source_identify(job);
    if (!needs_outcome(worker, job) || (!job->repick && is_skipped(worker, job))) {
        ps_postponed_end(dependencies->postponed, job, false);
        ps_job_queue_finish(dependencies->queue, job);
        return;
    }
    ps_journal_begin_pick(dependencies->journal, index_of(worker), job);
    enum end end = job->deaths >= PS_MAX_DEATHS ? end_deadly(worker, job, &completion, &error)
                   : missing ? end_missing(worker, job, &completion, missing, &error)
                             : pick(worker, job, &completion, &error);
    /* The file changed while it was read. Discard this read; the watcher reports the file again. */
    bool changed = end != END_POSTPONED && !missing && ps_source_changed(job);
    ps_journal_end_pick(dependencies->journal, index_of(worker));
    if (end == END_POSTPONED) {
        completion.job = NULL;
        ps_completions_done(&completion, 1, NULL, NULL);
        return;
    }
    ps_postponed_end(dependencies->postponed, job,
                     end == END_OUTCOME && !completion.failure && !changed);
    if (end == END_OUTCOME && !changed) {
        if (completion.failure)
            ps_outputs_remove(worker->pool->outputs, job);
        ps_publisher_submit(dependencies->publisher, &completion);
        return;
    }
    give_up(worker, &completion);
    if (end == END_KEPT)
        withdraw(worker, job, &error);
    ps_job_queue_finish(dependencies->queue, job);
    if (end == END_DEVICE)
        device_failed(worker, &error);
    else if (end == END_NOTHING)
        ps_log_event(dependencies->log, PS_LOG_WARNING, "share_gone",
                     "reason=\"micrographs wait for the return of their directory\"");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ps_worker_pool *pool = worker->pool;
    struct ps_job *job;
    ps_progress_attach(&worker->progress);
    while ((job = ps_job_queue_take(pool->dependencies.queue)) != NULL) {
        process(worker, job);
        ps_postponed_pause(pool->dependencies.postponed);
    }
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
        count_gpu(pool);
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
