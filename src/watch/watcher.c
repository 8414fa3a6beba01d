/* The watcher's thread, its loop, and the handling of the kernel's events. Other files: tree.c has
 * the watched directories, scan.c reads them, candidates.c and settle.c decide about files, roots.c
 * has the state of the configured directories.
 *
 * The loop handles one portion of each kind of work in turn (events, candidates whose time has
 * come, the scan) and then sleeps in ppoll() until an event, a request of another thread, or the
 * next due time. Only scans run at fixed intervals.
 */
#include "watch/watcher.h"

#include "base/clock.h"
#include "base/thread.h"
#include "watch/candidates.h"
#include "watch/roots.h"
#include "watch/scan.h"
#include "watch/tree.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { EVENT_BYTES = 1 << 16, MAX_CHECKS = 64 };

/* Until the next scan after one that was not complete for lack of descriptors or memory; doubles,
 * up to the usual interval. */
static const double first_retry_seconds = 1;

struct ps_watcher {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_watcher_sink sink;
    pthread_t thread;
    int wake_fd; /* eventfd: a request of another thread */
    _Atomic bool stopping;
    _Atomic bool rescan; /* requested by another thread */
    _Atomic uint64_t ticks;

    /* Used by the thread only. */
    struct ps_roots *roots; /* has its own lock */
    struct ps_tree *tree;
    struct ps_candidates *candidates;
    struct ps_scan *scan;
    int no_inotify;       /* errno if no event queue could be opened, or 0 */
    bool scan_soon;       /* events or a directory were lost: scan everything */
    int64_t next_scan_ns; /* monotonic */
    double retry_seconds; /* after the next incomplete scan; 0: the last one was complete */
    bool scanning;
    char *events; /* EVENT_BYTES, aligned as malloc aligns */
};

/* ---- events -----------------------------------------------------------------------------------
 */

/* An event and the times at which it was read. */
struct timed_event {
    const struct inotify_event *event;
    int64_t wall_ns;
    int64_t mono_ns;
};

/* A watched directory is no longer at its path. */
static void lose_directory(struct ps_watcher *watcher, struct ps_tree_dir *dir, const char *why)
{
    const size_t root = dir->root;
    const bool is_root = dir->rank == PS_RANK_ROOT;
    char *path = strdup(dir->path);
    if (!path)
        return; /* the next scan finds out */
    ps_tree_drop(watcher->tree, path);
    free(path);
    if (!is_root)
        return; /* if it was moved below a configured one, an event of that one reports it */
    ps_roots_missing(watcher->roots, root, why);
    watcher->scan_soon = true; /* it can be back already */
}

/* A directory, or a link to one, appeared. */
static void add_directory(struct ps_watcher *watcher, const struct ps_tree_dir *dir,
                          const char *path, enum ps_rank rank)
{
    ps_scan_add(watcher->scan, path, dir->root,
                dir->rank == PS_RANK_LINKED ? PS_RANK_LINKED : rank);
}

/* A file was created, linked, closed, or renamed into place. */
static void file_event(struct ps_watcher *watcher, const struct ps_tree_dir *dir, const char *path,
                       const struct timed_event *timed)
{
    const char *name = timed->event->name;
    const bool accepted = ps_config_includes(watcher->config, name);
    const bool enters =
        timed->event->mask & (IN_CREATE | IN_MOVED_TO) && ps_scan_enters(watcher->config, name);
    struct stat info;
    if ((!accepted && !enters) || stat(path, &info) != 0)
        return;
    if (S_ISDIR(info.st_mode) && enters) {
        add_directory(watcher, dir, path, PS_RANK_LINKED);
    } else if (S_ISREG(info.st_mode) && accepted) {
        const struct ps_file_observation observation = {
            .path = path,
            .name_offset = ps_scan_name_offset(watcher->roots, dir->root),
            .root = dir->root,
            .identity = ps_identity_of(&info),
            .announced = timed->event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO),
            .wall_ns = timed->wall_ns,
            .mono_ns = timed->mono_ns,
        };
        ps_candidates_observe(watcher->candidates, &observation);
    }
}

static void handle_event(struct ps_watcher *watcher, const struct timed_event *timed)
{
    const struct inotify_event *event = timed->event;
    if (event->mask & IN_Q_OVERFLOW) {
        ps_metrics_add(watcher->metrics, PS_COUNTER_OVERFLOWS, 1);
        ps_log_event(watcher->log, PS_LOG_WARNING, "events_lost",
                     "reason=\"the kernel's queue overflowed (fs.inotify.max_queued_events)\" "
                     "action=rescan");
        watcher->scan_soon = true;
        return;
    }
    struct ps_tree_dir *dir = ps_tree_find(watcher->tree, event->wd);
    if (!dir)
        return; /* the watch was removed */
    if (event->mask & IN_MOVE_SELF) {
        if (!ps_tree_path_is_current(dir))
            lose_directory(watcher, dir, "moved away");
        return;
    }
    if (event->mask & (IN_UNMOUNT | IN_DELETE_SELF | IN_IGNORED)) {
        lose_directory(watcher, dir, event->mask & IN_UNMOUNT ? "unmounted" : "deleted");
        return;
    }
    char path[PATH_MAX];
    const char *separator = dir->path[strlen(dir->path) - 1] == '/' ? "" : "/";
    const int length =
        snprintf(path, sizeof path, "%s%s%s", dir->path, separator, event->len ? event->name : "");
    if (!event->len || length < 0 || (size_t)length >= sizeof path)
        return;
    if (!(event->mask & IN_ISDIR))
        file_event(watcher, dir, path, timed);
    else if (event->mask & (IN_CREATE | IN_MOVED_TO) &&
             ps_scan_enters(watcher->config, event->name))
        add_directory(watcher, dir, path, PS_RANK_INNER);
}

/* Reads and handles one buffer of events. True: there can be more. */
static bool handle_events(struct ps_watcher *watcher)
{
    const int fd = ps_tree_fd(watcher->tree);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, watcher->events, EVENT_BYTES);
    if (length <= 0)
        return false;
    struct timed_event timed = {.wall_ns = ps_clock_wall_ns(), .mono_ns = ps_clock_mono_ns()};
    for (const char *at = watcher->events; at < watcher->events + length;
         at += sizeof *timed.event + timed.event->len) {
        timed.event = (const struct inotify_event *)at; /* the kernel keeps them aligned */
        handle_event(watcher, &timed);
        atomic_fetch_add(&watcher->ticks, 1);
    }
    return true;
}

/* ---- scans ------------------------------------------------------------------------------------
 */

/* Also retries after a failure: other processes can have released inotify instances. */
static void open_queue(struct ps_watcher *watcher)
{
    if (watcher->config->input.poll == PS_POLL_ALWAYS)
        return;
    watcher->no_inotify = ps_tree_open(watcher->tree);
}

static void begin_scan(struct ps_watcher *watcher, bool forget)
{
    ps_metrics_add(watcher->metrics, PS_COUNTER_RESCANS, 1);
    open_queue(watcher);
    ps_candidates_begin_scan(watcher->candidates, forget);
    ps_scan_begin(watcher->scan);
    watcher->scanning = true;
    watcher->scan_soon = false;
}

static void begin_scan_if_due(struct ps_watcher *watcher)
{
    if (watcher->scanning)
        return; /* a request waits until the scan has ended */
    const bool asked = atomic_exchange(&watcher->rescan, false);
    const bool forget = watcher->sink.wants_rescan(watcher->sink.context) || asked;
    if (forget || watcher->scan_soon || ps_clock_mono_ns() >= watcher->next_scan_ns)
        begin_scan(watcher, forget);
}

/* Seconds from a scan that has ended to the next one. */
static double seconds_to_scan(struct ps_watcher *watcher)
{
    const double usual = watcher->config->input.poll_seconds;
    const int shortage = ps_scan_shortage(watcher->scan);
    if (!shortage) {
        watcher->retry_seconds = 0;
        return usual;
    }
    if (watcher->retry_seconds == 0) {
        watcher->retry_seconds = first_retry_seconds;
        ps_log_reason(watcher->log, PS_LOG_WARNING, "scan_incomplete", strerror(shortage));
    }
    const double seconds = watcher->retry_seconds < usual ? watcher->retry_seconds : usual;
    watcher->retry_seconds *= 2;
    return seconds;
}

/* Scans one portion. True: there is more to scan. */
static bool continue_scan(struct ps_watcher *watcher)
{
    const bool more = ps_scan_step(watcher->scan);
    if (watcher->scanning && !ps_scan_running(watcher->scan)) {
        watcher->scanning = false;
        ps_candidates_end_scan(watcher->candidates);
        watcher->next_scan_ns = ps_clock_mono_ns() + (int64_t)(seconds_to_scan(watcher) * 1e9);
    }
    return more || atomic_load(&watcher->rescan) || watcher->scan_soon;
}

/* Updates the state of the configured directories. */
static void update_roots(struct ps_watcher *watcher)
{
    for (size_t root = 0; root < ps_roots_count(watcher->roots); root++) {
        const struct ps_tree_counts counts = ps_tree_counts(watcher->tree, root);
        const struct ps_root_view view = {
            .directories = counts.directories,
            .unwatched = counts.unwatched,
            .no_inotify = watcher->no_inotify != 0,
            .refused = watcher->no_inotify ? watcher->no_inotify : ps_tree_refused(watcher->tree),
            .candidates = ps_candidates_count(watcher->candidates, root),
            .left_out = ps_candidates_left_out(watcher->candidates, root),
        };
        ps_roots_update(watcher->roots, root, &view);
    }
    ps_metrics_set(watcher->metrics, PS_GAUGE_WATCHES, (int64_t)ps_tree_watches(watcher->tree));
    ps_metrics_set(watcher->metrics, PS_GAUGE_DIRECTORIES_MISSING,
                   (int64_t)ps_roots_missing_count(watcher->roots));
}

/* ---- the thread -------------------------------------------------------------------------------
 */

/* Sleeps until an event, a request, or the next due time. */
static void wait_for_events(struct ps_watcher *watcher, bool busy)
{
    struct pollfd fds[] = {
        {.fd = watcher->wake_fd, .events = POLLIN},
        {.fd = ps_tree_fd(watcher->tree), .events = POLLIN}, /* negative: ignored */
    };
    const int64_t candidate_ns = ps_candidates_due(watcher->candidates);
    int64_t wait_ns = candidate_ns < watcher->next_scan_ns ? candidate_ns : watcher->next_scan_ns;
    wait_ns -= ps_clock_mono_ns();
    if (busy || wait_ns < 0)
        wait_ns = 0;
    const struct timespec timeout = {.tv_sec = wait_ns / 1000000000,
                                     .tv_nsec = wait_ns % 1000000000};
    (void)ppoll(fds, sizeof fds / sizeof *fds, &timeout, NULL);
    if (fds[0].revents) {
        uint64_t count;
        (void)!read(watcher->wake_fd, &count, sizeof count);
    }
}

static void *watch(void *argument)
{
    struct ps_watcher *watcher = argument;
    while (!atomic_load(&watcher->stopping)) {
        atomic_fetch_add(&watcher->ticks, 1);
        begin_scan_if_due(watcher);
        bool busy = handle_events(watcher);
        ps_candidates_check(watcher->candidates, MAX_CHECKS);
        busy = continue_scan(watcher) || busy;
        update_roots(watcher);
        wait_for_events(watcher, busy);
    }
    return NULL;
}

static void watcher_free(struct ps_watcher *watcher)
{
    ps_scan_free(watcher->scan);
    ps_candidates_free(watcher->candidates);
    ps_tree_free(watcher->tree);
    ps_roots_free(watcher->roots);
    if (watcher->wake_fd >= 0)
        (void)close(watcher->wake_fd);
    free(watcher->events);
    free(watcher);
}

int ps_watcher_start(const struct ps_config *config, struct ps_log *log, struct ps_metrics *metrics,
                     const struct ps_watcher_sink *sink, struct ps_watcher **ret_watcher,
                     struct ps_error *error)
{
    struct ps_watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return ps_fail_memory(error, sizeof *watcher, "the watcher");
    watcher->config = config;
    watcher->log = log;
    watcher->metrics = metrics;
    watcher->sink = *sink;
    watcher->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watcher->next_scan_ns = ps_clock_mono_ns();
    watcher->events = malloc(EVENT_BYTES);
    watcher->roots = ps_roots_new(config, log);
    const size_t roots = config->input.directories.count;
    watcher->tree = ps_tree_new(roots);
    watcher->candidates = ps_candidates_new(&watcher->sink, config);
    const struct ps_scan_dependencies dependencies = {config, log, watcher->roots, watcher->tree,
                                                      watcher->candidates};
    watcher->scan = ps_scan_new(&dependencies);
    int status = 0;
    if (watcher->wake_fd < 0)
        status = ps_fail(error, PS_E_SYSTEM, "cannot start the watcher: %s", strerror(errno));
    else if (!watcher->events || !watcher->roots || !watcher->tree || !watcher->candidates ||
             !watcher->scan)
        status = ps_fail_memory(error, EVENT_BYTES, "the watcher");
    else
        status =
            ps_thread_start(&watcher->thread, "ps-watcher", "the watcher", watch, watcher, error);
    if (status) {
        watcher_free(watcher);
        return status;
    }
    *ret_watcher = watcher;
    return 0;
}

static void wake(const struct ps_watcher *watcher)
{
    const uint64_t one = 1;
    (void)!write(watcher->wake_fd, &one, sizeof one); /* fails only if the thread is awake anyway */
}

void ps_watcher_stop(struct ps_watcher *watcher)
{
    if (!watcher)
        return;
    atomic_store(&watcher->stopping, true);
    wake(watcher);
    (void)pthread_join(watcher->thread, NULL);
    watcher_free(watcher);
}

void ps_watcher_rescan(struct ps_watcher *watcher)
{
    atomic_store(&watcher->rescan, true);
    wake(watcher);
}

uint64_t ps_watcher_ticks(const struct ps_watcher *watcher)
{
    wake(watcher); /* an idle thread ticks because of this call; the next call shows it */
    return atomic_load(&watcher->ticks);
}

size_t ps_watcher_status(struct ps_watcher *watcher, struct ps_root_status **ret_items)
{
    return ps_roots_status(watcher->roots, ret_items);
}
