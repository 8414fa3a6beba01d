/* Scans of directories, one portion at a time, so that events do not wait for a large tree.
 *
 * A scan takes directories from a queue. It sets the watch of a directory first (tree.h) and then
 * reads it, so that no file is missed in between; passes files that input.include matches to
 * the candidates; and appends subdirectories to the queue. Directories behind links come last, when
 * all that can be reached without a link has been reached. Scans of everything and of single new
 * directories share the queue.
 *
 * Links to files and directories are followed. Hidden directories and those named *.tmp are
 * skipped: copy programs assemble files in them.
 *
 * Used by the watcher's thread alone.
 */
#ifndef PS_WATCH_SCAN_H
#define PS_WATCH_SCAN_H

#include "watch/candidates.h"
#include "watch/roots.h"
#include "watch/tree.h"

struct ps_scan;

struct ps_scan_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_roots *roots;
    struct ps_tree *tree;
    struct ps_candidates *candidates;
};

/* NULL without memory. */
struct ps_scan *ps_scan_new(const struct ps_scan_dependencies *dependencies);
void ps_scan_free(struct ps_scan *scan);

/* Begins a scan of all configured directories; none may be running. */
void ps_scan_begin(struct ps_scan *scan);

/* True while a scan of all configured directories is running. */
bool ps_scan_running(const struct ps_scan *scan);

/* The errno for which the latest scan left directories out, because the machine was short of memory
 * or descriptors: they are still in the tree, and a scan is to begin soon again. 0: none. */
int ps_scan_shortage(const struct ps_scan *scan);

/* Queues a new directory at `path`. */
void ps_scan_add(struct ps_scan *scan, const char *path, size_t root, enum ps_rank rank);

/* Scans one portion. False: the queue is empty. */
bool ps_scan_step(struct ps_scan *scan);

/* True if directories of this name are scanned. */
bool ps_scan_enters(const struct ps_config *config, const char *name);

/* The offset in a path where the part after the configured directory begins. */
size_t ps_scan_name_offset(const struct ps_roots *roots, size_t root);

#endif
