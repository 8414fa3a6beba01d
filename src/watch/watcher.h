/* The watcher finds micrographs as they are written, with inotify and with scans.
 *
 * One thread. It watches every configured directory and, if recursive, those below it, including
 * new ones (it sets the watch first and scans then, so that no file is missed). IN_CLOSE_WRITE,
 * IN_MOVED_TO and scans (at the start and every poll_seconds) create candidates. A candidate that
 * is a micrograph by its name (layout/layout.h) is handed to the sink when it is complete
 * (settle.h).
 *
 * inotify does not report changes by other machines. On network and FUSE file systems (by statfs),
 * with poll = always, or if watches run out (ENOSPC, EMFILE), scans are the main source for a
 * directory, which the status shows; events are still used. If the kernel's queue overflows,
 * everything is scanned. A directory that is missing, vanishes or is unmounted is reported once and
 * watched again when it is back.
 *
 * Links are followed, paths begin with the directory as configured, and a directory that can be
 * reached by several paths is watched under one of them (tree.h): each file is found once.
 */
#ifndef PS_WATCH_WATCHER_H
#define PS_WATCH_WATCHER_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "watch/roots.h"
#include "watch/sink.h"

struct ps_watcher;

/* Starts the thread; the first scan begins at once. The configuration must outlive it.
 * PS_E_SYSTEM: no thread. Without an inotify instance it polls, which is not an error. */
int ps_watcher_start(const struct ps_config *config, struct ps_log *log, struct ps_metrics *metrics,
                     const struct ps_watcher_sink *sink, struct ps_watcher **ret_watcher,
                     struct ps_error *error);

/* Ends the thread, waits for it and frees everything. */
void ps_watcher_stop(struct ps_watcher *watcher);

/* Requests a full rescan, which asks the sink again about all files. Any thread. */
void ps_watcher_rescan(struct ps_watcher *watcher);

/* Increases as long as the thread makes progress, for the watchdog. An idle thread sleeps; this
 * call wakes it, so that the next call returns a larger value. */
uint64_t ps_watcher_ticks(const struct ps_watcher *watcher);

/* The state of each configured directory, as ps_roots_status() returns it. Any thread. */
size_t ps_watcher_status(struct ps_watcher *watcher, struct ps_root_status **ret_items);

#endif
