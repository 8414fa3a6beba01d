/* Walking through directories, a portion at a time, so that events need not wait for a large tree.
 *
 * A scan takes directories from a queue: watches one (tree.h), then reads it, so that nothing
 * falls between; shows the files that pass the filters to the candidates; and puts the directories
 * in it at the end of the queue. Those behind links come last: what can be reached without a link
 * has been reached then. Scans of everything and of single new directories share the queue.
 *
 * Links are followed, of files and of directories. Hidden directories and those named *.tmp are
 * left out: copy programs assemble things in them.
 *
 * Used by the watcher's thread alone.
 */
#ifndef PS_WATCH_SCAN_H
#define PS_WATCH_SCAN_H

#include "watch/candidates.h"
#include "watch/roots.h"
#include "watch/tree.h"

struct ps_scan;

struct ps_scan_tools {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_roots *roots;
    struct ps_tree *tree;
    struct ps_candidates *candidates;
};

/* NULL without memory. */
struct ps_scan *ps_scan_new(const struct ps_scan_tools *tools);
void ps_scan_free(struct ps_scan *scan);

/* Begins a scan of all configured directories; none may be under way. */
void ps_scan_begin(struct ps_scan *scan);

/* Whether a scan of everything is under way. */
bool ps_scan_running(const struct ps_scan *scan);

/* Adds a directory that has just appeared at `path`. */
void ps_scan_add(struct ps_scan *scan, const char *path, size_t root, enum ps_rank rank);

/* Goes on for a while. False: there is nothing left to do. */
bool ps_scan_step(struct ps_scan *scan);

/* Whether directories of this name are looked into. */
bool ps_scan_enters(const struct ps_config *config, const char *name);

/* Where the name of what is below a configured directory begins in its path. */
size_t ps_scan_below(const struct ps_roots *roots, size_t root);

#endif
