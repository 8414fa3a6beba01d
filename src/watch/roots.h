/* The configured directories and the state of each: logged when it changes, and in every status.
 *
 * The watcher's thread writes, any thread reads the status: a lock guards what both use.
 */
#ifndef PS_WATCH_ROOTS_H
#define PS_WATCH_ROOTS_H

#include "base/log.h"
#include "config/config.h"
#include "layout/layout.h"

enum ps_watch_mode {
    PS_WATCH_UNKNOWN, /* not scanned yet */
    PS_WATCH_MISSING,
    PS_WATCH_POLL,
    PS_WATCH_INOTIFY,
};

struct ps_roots;

/* From input.directories, without trailing slashes. NULL without memory. */
struct ps_roots *ps_roots_new(const struct ps_config *config, struct ps_log *log);
void ps_roots_free(struct ps_roots *roots);

size_t ps_roots_count(const struct ps_roots *roots);
const char *ps_roots_path(const struct ps_roots *roots, size_t root);

/* The watcher's numbers of a directory that exists. */
struct ps_root_view {
    size_t directories;
    size_t unwatched;  /* directories without a watch */
    int refused;       /* errno of a refused watch; 0: none */
    bool no_inotify;   /* no event queue could be opened */
    size_t candidates; /* files that are not complete yet */
    const struct ps_rule_counts *left_out;
};

/* The directory exists and is being read; or, if `elsewhere`, another configured directory is the
 * same one and reports its files. Looks up its file system again. */
void ps_roots_present(struct ps_roots *roots, size_t number, bool elsewhere);

/* Call it after each of the other two, and when the numbers change. */
void ps_roots_update(struct ps_roots *roots, size_t number, const struct ps_root_view *view);

/* How many directories are missing. Any thread. */
size_t ps_roots_missing_count(struct ps_roots *roots);

/* The directory does not exist or cannot be read; `reason` says why. */
void ps_roots_missing(struct ps_roots *roots, size_t number, const char *reason);

/* The state of a configured directory. */
struct ps_root_status {
    const char *path; /* lives as long as the roots */
    const char *mode; /* "inotify", "poll" or "missing" */
    char reason[256]; /* "": none */
    size_t directories;
    size_t candidates;
    struct ps_rule_counts left_out;
};

/* Returns the number of configured directories, and a new array of their states, to be freed by the
 * caller. 0 without memory. Any thread. */
size_t ps_roots_status(struct ps_roots *roots, struct ps_root_status **ret_items);

/* Name of the file system at `path` if its files can change without a notice to this kernel, by
 * other machines or by the process behind it: NFS, SMB, GPFS, Lustre, FUSE and so on; else NULL. */
const char *ps_remote_file_system(const char *path);

#endif
