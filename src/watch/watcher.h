/* Finds micrographs as they are written: inotify, and scans that need no inotify.
 *
 * One thread. It watches every configured directory and, if recursive, those below it, new ones
 * included (first the watch, then a scan, so that nothing falls between). IN_CLOSE_WRITE and
 * IN_MOVED_TO make a candidate; so does a scan, at the start and every poll_seconds. A candidate
 * that passes the name filters is handed on once it is complete (settle.h).
 *
 * inotify tells nothing about changes that other machines make: on network and FUSE file systems
 * (by statfs), or where poll = always, or where watches run out (ENOSPC, EMFILE), scanning is the
 * main source for that directory and is said so in the status; what events there are still count.
 * When the kernel's queue overflows everything is scanned. A directory that is not there, vanishes
 * or is unmounted is reported once and taken up again when it is back.
 *
 * Links are followed, paths begin with the directory as it was configured, and a directory that can
 * be reached in several ways is watched in one of them (tree.h): each file is found once.
 */
#ifndef PS_WATCH_WATCHER_H
#define PS_WATCH_WATCHER_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "watch/sink.h"

#include <jansson.h>

struct ps_watcher;

/* Starts the thread; the first scan begins at once. The configuration must outlive it.
 * PS_E_SYSTEM: no thread, no inotify instance (then it polls: no failure). */
int ps_watcher_start(const struct ps_config *config, struct ps_log *log, struct ps_metrics *metrics,
                     const struct ps_watcher_sink *sink, struct ps_watcher **ret_watcher,
                     struct ps_error *error);

/* Ends the thread, waits for it and frees everything. */
void ps_watcher_stop(struct ps_watcher *watcher);

/* A full rescan as soon as possible, which asks the sink anew about all files. Any thread. */
void ps_watcher_rescan(struct ps_watcher *watcher);

/* Grows while the thread lives and is not stuck: for the watchdog. An idle thread sleeps; being
 * asked wakes it, so that the next answer is larger than this one. */
uint64_t ps_watcher_ticks(const struct ps_watcher *watcher);

/* An array of {"path", "mode": "inotify"|"poll"|"missing", "reason", "directories", "candidates"},
 * one for each configured directory. Any thread. */
json_t *ps_watcher_status(struct ps_watcher *watcher);

#endif
