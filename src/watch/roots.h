/* The configured directories: what is known of each, said once in the log when it changes, and
 * always in the status.
 *
 * The watcher's thread writes, any thread asks for the status: what both touch is under a lock.
 */
#ifndef PS_WATCH_ROOTS_H
#define PS_WATCH_ROOTS_H

#include "base/log.h"
#include "config/config.h"

#include <jansson.h>

enum ps_watch_mode {
    PS_WATCH_UNKNOWN, /* not looked at yet */
    PS_WATCH_MISSING,
    PS_WATCH_POLL,
    PS_WATCH_INOTIFY,
};

struct ps_roots;

/* Of input.directories, without slashes at their ends. NULL without memory. */
struct ps_roots *ps_roots_new(const struct ps_config *config, struct ps_log *log);
void ps_roots_free(struct ps_roots *roots);

size_t ps_roots_count(const struct ps_roots *roots);
const char *ps_roots_path(const struct ps_roots *roots, size_t root);

/* What the watcher sees of a directory that is there. */
struct ps_root_view {
    size_t directories;
    size_t unwatched;  /* of them */
    int refused;       /* errno of a refused watch, 0: none */
    bool no_inotify;   /* there is no queue of events at all */
    size_t candidates; /* files that are waited for */
};

/* It is there, and is being read; or, `elsewhere`, another configured directory is the same one and
 * has its files. Finds out anew on what file system it lies. */
void ps_roots_present(struct ps_roots *roots, size_t number, bool elsewhere);

/* To be called after each of the others, and when there is news. */
void ps_roots_update(struct ps_roots *roots, size_t number, const struct ps_root_view *view);

/* It is not there, or cannot be read, or is lost: `reason` says why. */
void ps_roots_missing(struct ps_roots *roots, size_t number, const char *reason);

/* {"path", "mode", "reason" or null, "directories", "candidates"} of each. Any thread. */
json_t *ps_roots_status(struct ps_roots *roots);

/* Name of the file system at `path` if other machines or a process of their own may change it
 * without the kernel knowing: NFS, SMB, GPFS, Lustre, FUSE and so on; else NULL. */
const char *ps_remote_file_system(const char *path);

#endif
