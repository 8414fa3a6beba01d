#include "service/worker_pool.h"

#include "base/clock.h"
#include "base/thread.h"
#include "image/micrograph.h"
#include "picker/picker.h"
#include "picks/remove.h"
#include "picks/write.h"
#include "service/picker_pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct worker {
    struct ps_crew *crew;
    pthread_t thread;
    int64_t since_ns; /* under the crew's lock: when it began to read or write; 0: it waits */
};

struct ps_crew {
    struct ps_crew_tools tools;
    pthread_mutex_t lock;
    struct ps_slots *slots;
    struct worker *workers;
    size_t count;
    size_t running;
    char *profile;
    bool device_failed;
    struct ps_error device_error;
};

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static double milliseconds_since(int64_t start_ns)
{
    return (double)(ps_clock_mono_ns() - start_ns) * 1e-6;
}

static void signal_event(const struct ps_crew *crew)
{
    (void)eventfd_write(crew->tools.event_fd, 1);
}

static void set_busy(struct worker *worker, bool busy)
{
    pthread_mutex_lock(&worker->crew->lock);
    worker->since_ns = busy ? ps_clock_mono_ns() : 0;
    pthread_mutex_unlock(&worker->crew->lock);
}

/* The reason without the path that messages of failures begin with: the outcome states the path. */
static char *reason_of(const struct ps_error *error, const char *path)
{
    const char *text = error->message;
    size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
        text += length + 2;
    return strdup(text);
}

/* Where the files of a job go below output.directory. */
static void find_prefix(const struct worker *worker, const struct ps_job *job, char *ret_prefix,
                        size_t size)
{
    char watched[PATH_MAX];
    size_t below = strlen(job->path) - strlen(job->name);
    (void)snprintf(watched, sizeof watched, "%.*s", (int)below, job->path);
    ps_output_prefix(worker->crew->tools.config, watched, ret_prefix, size);
}

/* A micrograph that had its picks was rewritten, and has none now. The first revision left no
 * files: what is there belongs to a neighbour with the same name but for the extension. */
static void remove_files(const struct worker *worker, const struct ps_job *job)
{
    const struct ps_config *config = worker->crew->tools.config;
    char prefix[PATH_MAX];
    char directory[2 * PATH_MAX];
    if (job->revision == 1)
        return;
    find_prefix(worker, job, prefix, sizeof prefix);
    (void)snprintf(directory, sizeof directory, "%s/%s", config->output.directory, prefix);
    struct ps_error error;
    char quoted[PS_LOG_TEXT];
    if (ps_picks_remove_all(directory, &config->output.formats, job->name, &error) != 0)
        ps_log_event(worker->crew->tools.log, PS_LOG_ERROR, "output_failed", "reason=%s",
                     ps_log_quote(error.message, quoted));
}

static void write_files(const struct worker *worker, const struct ps_job *job,
                        const struct ps_micrograph *micrograph, double read_milliseconds,
                        struct ps_result *result)
{
    const struct ps_config *config = worker->crew->tools.config;
    char prefix[PATH_MAX];
    find_prefix(worker, job, prefix, sizeof prefix);
    struct ps_pick_file file = {
        .path = job->path,
        .name = job->name,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
        .micrograph = micrograph,
        .pixel_size_source = ps_pixel_size_source(config, result),
        .profile = worker->crew->profile,
        .read_milliseconds = read_milliseconds,
        .result = result,
    };
    struct ps_error error;
    if (ps_picks_write_all(config, prefix, &file, &error) == 0)
        return;
    char quoted[PS_LOG_TEXT];
    ps_log_event(worker->crew->tools.log, PS_LOG_ERROR, "output_failed", "reason=%s",
                 ps_log_quote(error.message, quoted));
    if (result->warning_count < PS_MAX_WARNINGS)
        (void)snprintf(result->warnings[result->warning_count++], sizeof result->warnings[0],
                       "file of picks not written: %.120s", error.message);
}

/* Also of what was rejected or failed: somebody will want to see why. A picture that cannot be made
 * is no fault of the micrograph's. */
static void make_preview(const struct worker *worker, struct ps_submission *outcome)
{
    const struct ps_crew_tools *tools = &worker->crew->tools;
    bool published = tools->config->publish.preview;
    struct ps_error error;
    char quoted[PS_LOG_TEXT];
    if (!outcome->micrograph || (!published && !tools->previews))
        return;
    int status = ps_preview_make(&outcome->micrograph->image, outcome->result.diameter,
                                 &outcome->preview, &error);
    if (status == 0 && tools->previews)
        status = ps_previews_stage(tools->previews, outcome->job->row, &outcome->preview, &error);
    if (status)
        ps_log_event(tools->log, PS_LOG_WARNING, "preview_failed", "reason=%s",
                     ps_log_quote(error.message, quoted));
    if (!published)
        ps_preview_done(&outcome->preview);
}

/* Whether a file that cannot be found or read is to blame itself: the nearest directory above it
 * that exists, not above the watched one, is on the file's device. Otherwise the share has gone:
 * its micrographs will be there again when it is back, and must have no outcome by then (P47). */
static bool share_is_there(const struct ps_job *job)
{
    size_t watched = strlen(job->path) - strlen(job->name);
    char *path = strdup(job->path);
    bool there = false;
    for (char *slash; path && (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        struct stat info;
        if (stat(*path ? path : "/", &info) == 0) {
            there = (uint64_t)info.st_dev == job->identity.device;
            break;
        }
        if ((errno != ENOENT && errno != ENOTDIR) || (size_t)(slash - path) < watched)
            break;
    }
    free(path);
    return there;
}

/* Whether a file that could not be found is gone for good. Looked at once more, because its share
 * may have come back in between. */
static bool vanished(const struct ps_job *job)
{
    struct stat info;
    return share_is_there(job) && stat(job->path, &info) != 0;
}

/* Reads and picks. 0: `outcome` has a result or a failure. PS_E_DEVICE, PS_E_NOMEM, PS_E_SYSTEM
 * (the share has gone): neither. */
static int read_and_pick(struct worker *worker, const struct ps_job *job,
                         struct ps_submission *outcome, struct ps_error *error)
{
    const struct ps_config *config = worker->crew->tools.config;
    struct ps_read_options options = {config->input.movies, config->compute.max_pixels};
    int64_t start = ps_clock_mono_ns();
    set_busy(worker, true);
    int status = ps_micrograph_read(job->path, &options, &outcome->micrograph, error);
    set_busy(worker, false);
    outcome->read_milliseconds = milliseconds_since(start);
    if (status == 0)
        status = ps_slots_pick(worker->crew->slots, job->name, &outcome->micrograph->image,
                               &outcome->result, error);
    if (status == PS_E_DEVICE || (status == PS_E_SYSTEM && !share_is_there(job)))
        return status;
    if (status && !(outcome->failure = reason_of(error, job->path)))
        return PS_E_NOMEM;
    set_busy(worker, true);
    if (status == 0)
        write_files(worker, job, outcome->micrograph, outcome->read_milliseconds, &outcome->result);
    make_preview(worker, outcome);
    set_busy(worker, false);
    if (outcome->micrograph) {
        free(outcome->micrograph->pixels);
        outcome->micrograph->pixels = NULL;
        outcome->micrograph->image.pixels = NULL;
    }
    outcome->total_milliseconds = milliseconds_since(start);
    ps_metrics_observe(worker->crew->tools.metrics, PS_HISTOGRAM_PICKING,
                       outcome->total_milliseconds * 1e-3);
    return 0;
}

/* Whether the file is still the one that was found; fills `ret_identity` if it is there at all. */
static bool unchanged(const struct ps_job *job, struct ps_identity *ret_identity, int *ret_errno)
{
    struct stat info;
    *ret_errno = stat(job->path, &info) == 0 ? 0 : errno;
    if (*ret_errno)
        return false;
    *ret_identity = ps_identity_of(&info);
    return ps_identity_equal(ret_identity, &job->identity);
}

static void outcome_done(struct ps_submission *outcome)
{
    ps_micrograph_free(outcome->micrograph);
    ps_result_done(&outcome->result);
    free(outcome->failure);
    ps_preview_done(&outcome->preview);
    *outcome = (struct ps_submission){0};
}

/* Whether the job still wants an outcome; the file may have been found again while another worker
 * had it. A journal that cannot answer leaves it for the next scan. */
static bool wanted(struct worker *worker, struct ps_job *job)
{
    enum ps_journal_state state = PS_JOURNAL_DONE;
    struct ps_error error;
    char quoted[PS_LOG_TEXT];
    if (ps_journal_see(worker->crew->tools.journal, job, &state, &error)) {
        ps_log_event(worker->crew->tools.log, PS_LOG_ERROR, "journal_failed", "reason=%s",
                     ps_log_quote(error.message, quoted));
        return false;
    }
    return state != PS_JOURNAL_DONE;
}

static void device_failed(struct worker *worker, const struct ps_error *error)
{
    struct ps_crew *crew = worker->crew;
    pthread_mutex_lock(&crew->lock);
    crew->device_failed = true;
    crew->device_error = *error;
    pthread_mutex_unlock(&crew->lock);
    ps_pending_close(crew->tools.pending);
    signal_event(crew);
}

static void carry(struct worker *worker, struct ps_job *job)
{
    struct ps_pending *pending = worker->crew->tools.pending;
    struct ps_submission outcome = {.job = job};
    struct ps_error error;
    struct ps_identity now;
    int missing;
    bool same = unchanged(job, &now, &missing);
    if (!same && !missing)
        job->identity = now;
    if (!wanted(worker, job)) {
        ps_pending_finish(pending, job);
        return;
    }
    int status = 0;
    if (!missing)
        status = read_and_pick(worker, job, &outcome, &error);
    else if (!vanished(job))
        status = PS_E_SYSTEM;
    else if (!(outcome.failure =
                   strdup(missing == ENOENT ? "vanished before it was read" : strerror(missing))))
        status = PS_E_NOMEM;
    /* What changed under the reader is no picture of anything: its end will be told or found. */
    bool torn = !missing && !unchanged(job, &now, &missing) && missing == 0;
    if (status == 0 && !torn) {
        if (outcome.failure)
            remove_files(worker, job);
        ps_publisher_submit(worker->crew->tools.publisher, &outcome);
        return;
    }
    outcome_done(&outcome);
    if (worker->crew->tools.previews)
        ps_previews_drop(worker->crew->tools.previews, job->row);
    ps_pending_finish(pending, job);
    if (status == PS_E_DEVICE)
        device_failed(worker, &error);
    else if (status == PS_E_SYSTEM)
        ps_log_event(worker->crew->tools.log, PS_LOG_WARNING, "share_gone",
                     "reason=\"micrographs wait for the return of their directory\"");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ps_crew *crew = worker->crew;
    struct ps_job *job;
    while ((job = ps_pending_take(crew->tools.pending)) != NULL)
        carry(worker, job);
    pthread_mutex_lock(&crew->lock);
    bool last = --crew->running == 0;
    pthread_mutex_unlock(&crew->lock);
    if (last)
        signal_event(crew);
    return NULL;
}

/* ---- the crew ---------------------------------------------------------------------------------
 */

static int start_worker(struct ps_crew *crew, struct ps_error *error)
{
    struct worker *worker = &crew->workers[crew->count];
    worker->crew = crew;
    crew->running++;
    int status = ps_thread_start(&worker->thread, "ps-worker", "a worker", work, worker, error);
    if (status)
        crew->running--;
    else
        crew->count++;
    return status;
}

int ps_crew_start(const struct ps_crew_tools *tools, struct ps_crew **ret_crew,
                  struct ps_error *error)
{
    struct ps_crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return ps_fail_memory(error, sizeof *crew, "workers");
    crew->tools = *tools;
    pthread_mutex_init(&crew->lock, NULL);
    int status = ps_slots_open(tools->config, tools->log, &crew->slots, error);
    size_t workers = status == 0 ? ps_slots_workers(crew->slots) : 0;
    if (status == 0) {
        crew->workers = calloc(workers, sizeof *crew->workers);
        crew->profile = ps_config_get(tools->config, "picker.profile");
        if (!crew->workers || !crew->profile)
            status = ps_fail_memory(error, workers * sizeof *crew->workers, "workers");
    }
    while (status == 0 && crew->count < workers)
        status = start_worker(crew, error);
    if (status) {
        ps_pending_close(tools->pending);
        ps_crew_join(crew);
        return status;
    }
    *ret_crew = crew;
    return 0;
}

bool ps_crew_ended(struct ps_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool ended = crew->running == 0;
    pthread_mutex_unlock(&crew->lock);
    return ended;
}

void ps_crew_join(struct ps_crew *crew)
{
    if (!crew)
        return;
    for (size_t i = 0; i < crew->count; i++) {
        pthread_join(crew->workers[i].thread, NULL);
    }
    ps_slots_close(crew->slots);
    pthread_mutex_destroy(&crew->lock);
    free(crew->workers);
    free(crew->profile);
    free(crew);
}

bool ps_crew_device_failed(struct ps_crew *crew, struct ps_error *ret_error)
{
    pthread_mutex_lock(&crew->lock);
    bool failed = crew->device_failed;
    if (failed)
        *ret_error = crew->device_error;
    pthread_mutex_unlock(&crew->lock);
    return failed;
}

double ps_crew_busy_seconds(struct ps_crew *crew)
{
    double picking = ps_slots_busy_seconds(crew->slots);
    int64_t now = ps_clock_mono_ns();
    int64_t longest = 0;
    pthread_mutex_lock(&crew->lock);
    for (size_t i = 0; i < crew->count; i++)
        if (crew->workers[i].since_ns && now - crew->workers[i].since_ns > longest)
            longest = now - crew->workers[i].since_ns;
    pthread_mutex_unlock(&crew->lock);
    double elsewhere = (double)longest * 1e-9;
    return picking > elsewhere ? picking : elsewhere;
}

json_t *ps_crew_status(struct ps_crew *crew)
{
    return ps_slots_status(crew->slots);
}
