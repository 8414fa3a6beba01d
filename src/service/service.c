#include "service/service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "http/http.h"
#include "http/previews.h"
#include "journal/journal.h"
#include "publish/publisher.h"
#include "service/discovery.h"
#include "service/job_queue.h"
#include "service/left_over.h"
#include "service/notifier.h"
#include "service/postponed.h"
#include "service/rate.h"
#include "service/repair.h"
#include "service/status_parts.h"
#include "service/worker_pool.h"
#include "watch/watcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct service {
    const struct ps_config *config;
    struct ps_log *log;
    int event_fd; /* eventfd: workers wake the main thread */
    struct ps_metrics *metrics;
    struct ps_journal *journal;
    struct ps_job_queue *queue;
    struct ps_postponed *postponed;
    struct ps_publisher *publisher;
    struct ps_previews *previews; /* NULL without the live view */

    struct ps_rate *rate;
    struct ps_discovery *discovery;
    struct ps_repair *repair;
    struct ps_left_over left_over;
    struct ps_notifier *notifier; /* NULL without notify.command */

    /* Guards the three below it. Written by the main thread only, under the lock. It reads them
     * without, other threads with it. */
    pthread_mutex_t lock;
    struct ps_worker_pool *workers;
    struct ps_watcher *watcher;
    struct ps_http *http; /* NULL without the live view */

    uint64_t seen_ticks[2]; /* of publisher and watcher, at the last check; main thread only */
};

/* ---- between the parts ------------------------------------------------------------------------
 */

/* Renames the preview to its seq before the live view is notified of the outcome, and has files
 * that could not be written tried again. */
static void published(void *context, const struct ps_job *job, uint64_t seq)
{
    struct service *service = context;
    if (service->previews)
        ps_previews_keep(service->previews, job->row, seq);
    pthread_mutex_lock(&service->lock);
    if (service->http)
        ps_http_announce(service->http, seq);
    pthread_mutex_unlock(&service->lock);
    if (job->files_missing)
        ps_repair_wake(service->repair);
}

/* An outcome is published. */
static void finished(void *context, struct ps_job *job)
{
    struct service *service = context;
    ps_rate_count(service->rate, ps_clock_mono_ns());
    ps_job_queue_finish(service->queue, job);
}

/* Micrographs are to be picked again: queue every micrograph without an outcome. */
static void reopened(void *context)
{
    struct service *service = context;
    struct ps_error error;
    if (ps_left_over_queue(&service->left_over, &error))
        ps_log_reason(service->log, PS_LOG_ERROR, "journal_failed", error.message);
}

/* Adds the keys of a status that come from the service (pickstream-messages(7), "status"). */
static bool fill_status(void *context, json_t *header)
{
    struct service *service = context;
    int failed = json_object_set_new(header, "queue",
                                     ps_status_part_queue(service->queue, service->postponed)) |
                 json_object_set_new(header, "rates", ps_status_part_rates(service->rate)) |
                 json_object_set_new(header, "output", ps_repair_status(service->repair));
    char failure[PS_MAX_JOURNAL_FAILURE];
    const char *journal = json_string_value(json_object_get(header, "journal"));
    if (journal && strcmp(journal, "ok") == 0 && ps_discovery_failure(service->discovery, failure))
        failed |= json_object_set_new(header, "journal", json_sprintf("failed: %s", failure));
    pthread_mutex_lock(&service->lock);
    const struct ps_http *http = service->http;
    failed |= json_object_set_new(header, "devices",
                                  service->workers ? ps_worker_pool_status(service->workers)
                                                   : json_array()) |
              json_object_set_new(header, "watch", ps_status_part_watch(service->watcher)) |
              json_object_set_new(header, "live_view",
                                  http ? json_string(ps_http_url(http)) : json_null());
    pthread_mutex_unlock(&service->lock);
    return failed == 0;
}

static json_t *current_status(void *context)
{
    struct service *service = context;
    return ps_publisher_status(service->publisher);
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static bool has_live_view(const struct service *service)
{
    const char *address = service->config->http.listen;
    return address && *address;
}

static int open_previews(struct service *service, struct ps_error *error)
{
    if (!has_live_view(service))
        return 0;
    return ps_previews_open(service->config->service.state_directory,
                            ps_journal_stream(service->journal),
                            (uint64_t)service->config->http.previews,
                            ps_journal_last_seq(service->journal), &service->previews, error);
}

static int start_live_view(struct service *service, struct ps_error *error)
{
    if (!has_live_view(service))
        return 0;
    struct ps_http_dependencies dependencies = {
        .config = service->config,
        .log = service->log,
        .metrics = service->metrics,
        .previews = service->previews,
        .status = current_status,
        .context = service,
    };
    struct ps_http *http = NULL;
    int status = ps_http_start(&dependencies, &http, error);
    pthread_mutex_lock(&service->lock);
    service->http = http;
    pthread_mutex_unlock(&service->lock);
    return status;
}

static void stop_live_view(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    struct ps_http *http = service->http;
    service->http = NULL;
    pthread_mutex_unlock(&service->lock);
    ps_http_stop(http);
}

static int start_workers(struct service *service, struct ps_error *error)
{
    struct ps_worker_dependencies dependencies = {
        .config = service->config,
        .log = service->log,
        .metrics = service->metrics,
        .journal = service->journal,
        .queue = service->queue,
        .postponed = service->postponed,
        .publisher = service->publisher,
        .previews = service->previews,
        .event_fd = service->event_fd,
    };
    struct ps_worker_pool *workers = NULL;
    int status = ps_worker_pool_start(&dependencies, &workers, error);
    if (status)
        return status;
    pthread_mutex_lock(&service->lock);
    service->workers = workers;
    pthread_mutex_unlock(&service->lock);
    return 0;
}

static int start(struct service *service, struct ps_error *error)
{
    service->metrics = ps_metrics_new();
    service->queue = ps_job_queue_new((size_t)service->config->compute.queue_length,
                                      service->config->input.order, service->metrics);
    service->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    service->rate = ps_rate_new();
    if (!service->metrics || !service->queue || !service->rate || service->event_fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot start: %s", strerror(errno));
    service->postponed =
        ps_postponed_new(service->log, service->metrics, service->queue, service->event_fd);
    if (!service->postponed)
        return ps_fail_memory(error, sizeof *service, "the service");
    int status =
        ps_journal_open(service->config->service.state_directory, &service->journal, error);
    if (status)
        return status;
    service->left_over =
        (struct ps_left_over){service->journal, service->log, service->queue, service->postponed};
    struct ps_discovery_dependencies discovery = {service->config,  service->log,
                                                  service->metrics, service->journal,
                                                  service->queue,   service->postponed};
    service->discovery = ps_discovery_new(&discovery);
    if (!service->discovery)
        return ps_fail_memory(error, sizeof discovery, "the service");
    struct ps_repair_dependencies repair = {service->config,  service->log,   service->metrics,
                                            service->journal, service->queue, service->event_fd};
    status = ps_repair_new(&repair, &service->repair, error);
    if (status == 0)
        status = open_previews(service, error);
    if (status)
        return status;
    struct ps_publisher_hooks hooks = {.finished = finished,
                                       .published = published,
                                       .status = fill_status,
                                       .reopened = reopened,
                                       .context = service};
    status = ps_publisher_start(service->config, service->journal, service->log, service->metrics,
                                &hooks, &service->publisher, error);
    if (status == 0)
        status = start_live_view(service, error);
    if (status)
        return status;
    status = start_workers(service, error);
    if (status)
        return status;
    status = ps_left_over_queue_at_start(&service->left_over, error);
    if (status == 0)
        status = ps_repair_start(service->repair, error);
    if (status)
        return status;
    ps_left_over_report_outdated(&service->left_over, service->config);
    struct ps_watcher_sink sink = ps_discovery_sink(service->discovery);
    struct ps_watcher *watcher = NULL;
    status =
        ps_watcher_start(service->config, service->log, service->metrics, &sink, &watcher, error);
    pthread_mutex_lock(&service->lock);
    service->watcher = watcher;
    pthread_mutex_unlock(&service->lock);
    const struct ps_notifier_dependencies notifier = {service->config, service->log, current_status,
                                                      service};
    return status ? status : ps_notifier_start(&notifier, &service->notifier, error);
}

/* Reads one signal; 0 if none is pending. */
static int next_signal(int signal_fd)
{
    struct signalfd_siginfo info;
    return read(signal_fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

/* Waits up to drain_seconds for the workers, and the repair of files, to end. After that, or at a
 * second signal to stop, the process exits at once; micrographs in flight have no outcome and are
 * picked by the next run. */
static void drain(struct service *service, int signal_fd)
{
    int64_t deadline = ps_clock_mono_ns() + (int64_t)(service->config->service.drain_seconds * 1e9);
    while ((service->workers && !ps_worker_pool_ended(service->workers)) ||
           !ps_repair_ended(service->repair)) {
        int64_t left = (deadline - ps_clock_mono_ns()) / 1000000;
        struct pollfd waits[2] = {{.fd = service->event_fd, .events = POLLIN},
                                  {.fd = signal_fd, .events = POLLIN}};
        (void)poll(waits, 2, left > 0 ? (int)left : 0);
        eventfd_t count;
        (void)eventfd_read(service->event_fd, &count);
        int number = next_signal(signal_fd);
        if (number == SIGTERM || number == SIGINT || left <= 0) {
            ps_log_event(service->log, PS_LOG_WARNING, "stopped_at_once", "reason=%s",
                         left <= 0 ? "\"drain_seconds are over\"" : "\"second signal\"");
            ps_journal_end_picks(service->journal);
            _exit(EXIT_SUCCESS);
        }
    }
}

static void stop(struct service *service, int signal_fd, const char *device_failure)
{
    ps_notifier_stop(service->notifier, device_failure);
    pthread_mutex_lock(&service->lock);
    struct ps_watcher *watcher = service->watcher;
    service->watcher = NULL;
    pthread_mutex_unlock(&service->lock);
    if (watcher)
        ps_watcher_stop(watcher);
    if (service->postponed)
        ps_postponed_close(service->postponed);
    if (service->queue)
        ps_job_queue_close(service->queue);
    ps_repair_stop(service->repair);
    drain(service, signal_fd);
    pthread_mutex_lock(&service->lock);
    struct ps_worker_pool *workers = service->workers;
    service->workers = NULL;
    pthread_mutex_unlock(&service->lock);
    ps_worker_pool_join(workers);
    stop_live_view(service);
    if (service->publisher)
        ps_publisher_stop(service->publisher);
    ps_repair_free(service->repair);
    ps_previews_close(service->previews);
    ps_journal_close(service->journal);
    ps_discovery_free(service->discovery);
    ps_rate_free(service->rate);
    ps_postponed_free(service->postponed);
    ps_job_queue_free(service->queue);
    ps_metrics_free(service->metrics);
    if (service->event_fd >= 0)
        (void)close(service->event_fd);
}

/* ---- the main thread --------------------------------------------------------------------------
 */

/* Notifies the watchdog if publisher and watcher have made progress since the last check and no
 * read, pick or write has been without progress for longer than the watchdog's period. */
static void feed_watchdog(struct service *service, double period_seconds)
{
    uint64_t ticks[2] = {ps_publisher_ticks(service->publisher),
                         ps_watcher_ticks(service->watcher)};
    bool moved = ticks[0] != service->seen_ticks[0] && ticks[1] != service->seen_ticks[1];
    const double stuck_seconds = ps_worker_pool_stuck_seconds(service->workers);
    if (moved && stuck_seconds < period_seconds)
        (void)ps_notify_watchdog();
    if (moved)
        memcpy(service->seen_ticks, ticks, sizeof ticks);
}

/* Waits for a signal or a device failure, and queues postponed micrographs again. */
static int wait_for_end(struct service *service, int signal_fd, bool (*reload)(void *context),
                        void *context, enum ps_service_end *ret_end, struct ps_error *error)
{
    /* Check four times in a period, so that one check without progress does not trigger it. */
    int64_t period_ns = (int64_t)ps_notify_watchdog_usec() * 1000;
    int64_t next_check = period_ns ? ps_clock_mono_ns() : INT64_MAX;
    for (;;) {
        int64_t now = ps_clock_mono_ns();
        int64_t next = ps_postponed_release(service->postponed);
        if (period_ns && now >= next_check) {
            feed_watchdog(service, (double)period_ns * 1e-9);
            next_check = now + period_ns / 4;
        }
        struct pollfd waits[2] = {{.fd = signal_fd, .events = POLLIN},
                                  {.fd = service->event_fd, .events = POLLIN}};
        (void)poll(waits, 2, ps_clock_poll_ms(next < next_check ? next : next_check));
        eventfd_t count;
        (void)eventfd_read(service->event_fd, &count);
        if (ps_worker_pool_device_failed(service->workers, error))
            return error->code;
        int number = next_signal(signal_fd);
        if (number == SIGTERM || number == SIGINT) {
            *ret_end = PS_SERVICE_STOPPED;
            return 0;
        }
        if (number == SIGHUP && reload(context)) {
            *ret_end = PS_SERVICE_RELOAD;
            return 0;
        }
    }
}

int ps_service_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int ps_service_run(const struct ps_config *config, struct ps_log *log, int signal_fd,
                   bool (*reload)(void *context), void *context, enum ps_service_end *ret_end,
                   struct ps_error *error)
{
    struct service service = {.config = config, .log = log, .event_fd = -1};
    pthread_mutex_init(&service.lock, NULL);
    *ret_end = PS_SERVICE_NOT_STARTED;
    int status = start(&service, error);
    if (status == 0) {
        *ret_end = PS_SERVICE_STOPPED;
        ps_log_event(log, PS_LOG_INFO, "started", "version=\"%s\" stream=%s last_seq=%llu",
                     ps_version(), ps_journal_stream(service.journal),
                     (unsigned long long)ps_journal_last_seq(service.journal));
        (void)ps_notify_ready();
        status = wait_for_end(&service, signal_fd, reload, context, ret_end, error);
        if (status == 0 && *ret_end == PS_SERVICE_RELOAD)
            (void)ps_notify_reloading();
        else
            (void)ps_notify_stopping((unsigned)config->service.drain_seconds + 10);
    }
    stop(&service, signal_fd, status == PS_E_DEVICE ? error->message : NULL);
    pthread_mutex_destroy(&service.lock);
    ps_log_event(log, PS_LOG_INFO, "stopped", "status=%d", status);
    return status;
}
