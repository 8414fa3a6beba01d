/* Candidates: files that may be micrographs and are not known to be complete.
 *
 * Events and scans report files. If a file has its outcome (sink->known), nothing happens.
 * Otherwise it becomes a candidate, is checked when an event reports it and when its time comes
 * (settle.h), and is passed to the sink when it is complete. A file that the sink refuses stays a
 * candidate and is offered again with the next scan.
 *
 * A file that the sink took, but that has no outcome yet, is ignored for PS_TAKEN_FILE_SCANS scans
 * and then passed to the sink again: if its job was lost, the file is found again, and a long
 * backlog costs little.
 *
 * The rules of layout/layout.h are asked about a file that is not known; what they leave out is
 * counted. A complete file that can get a better version of its exposure (layout/versions.h) is
 * held back before it is passed on: for PS_VERSION_SECONDS at most if nothing indicates one, and
 * for PS_SETTLE_SHORT_FACTOR times settle_seconds if its name does, or if there are versions in its
 * directory. If the first such file of a directory stayed alone, the next ones do not wait.
 *
 * All files that must be quiet wait for the same time, and so do all that are still short after
 * that. So both kinds are in lists in the order in which they began to wait, and the first of a
 * list is the next to check.
 *
 * There are up to PS_MAX_CANDIDATES; later scans find the files beyond that. Used by the watcher's
 * thread alone.
 */
#ifndef PS_WATCH_CANDIDATES_H
#define PS_WATCH_CANDIDATES_H

#include "layout/layout.h"
#include "watch/sink.h"

#include <stddef.h>

enum { PS_MAX_CANDIDATES = 1 << 17, PS_TAKEN_FILE_SCANS = 6, PS_VERSION_SECONDS = 2 };

struct ps_candidates;

/* For the configured directories. NULL without memory. */
struct ps_candidates *ps_candidates_new(const struct ps_watcher_sink *sink,
                                        const struct ps_config *config);
void ps_candidates_free(struct ps_candidates *candidates);

/* A file as an event or a scan found it. */
struct ps_file_observation {
    const char *path;
    size_t name_offset; /* where the name begins in the path, after the configured directory */
    size_t root;        /* number of the configured directory */
    struct ps_identity identity;
    bool again;      /* a candidate that is checked again, without an event */
    bool announced;  /* its writer closed it or renamed it into place, */
    int64_t wall_ns; /* at this wall-clock time */
    int64_t mono_ns; /* and this monotonic time */
};
void ps_candidates_observe(struct ps_candidates *candidates,
                           const struct ps_file_observation *observation);

/* The time of the next check of a candidate, monotonic ns; INT64_MAX: none. */
int64_t ps_candidates_due(const struct ps_candidates *candidates);

/* Checks up to `max` candidates whose time has come. */
void ps_candidates_check(struct ps_candidates *candidates, size_t max);

/* A scan of everything begins: offers again what the sink refused. If `forget`, asks the sink again
 * about files that it knew. */
void ps_candidates_begin_scan(struct ps_candidates *candidates, bool forget);

/* The scan has ended: what it found left out replaces the earlier numbers. */
void ps_candidates_end_scan(struct ps_candidates *candidates);

/* What the rules leave out below a configured directory: as of the last scan of everything, and
 * found since. */
const struct ps_rule_counts *ps_candidates_left_out(const struct ps_candidates *candidates,
                                                    size_t root);

/* The number of candidates of a configured directory. */
size_t ps_candidates_count(const struct ps_candidates *candidates, size_t root);

#endif
