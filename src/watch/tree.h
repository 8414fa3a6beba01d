/* The tree of watched directories, and the kernel's watches on them.
 *
 * A directory is identified by device and inode, whatever path leads to it: a link, a bind mount,
 * or a configured directory inside another one. It is in the tree once, under one path, so that
 * each file in it is found once, cycles of links end, and the tree matches the kernel, which has
 * one watch for each inode. The path is chosen as follows:
 *   - a configured directory has its own path, also inside another one: the nearest configured
 *     directory names a file;
 *   - a path without links is preferred to one through a link below a configured directory;
 *   - otherwise the first path stays as long as it leads to the directory.
 *
 * Visits are numbered in increasing order. After a scan of everything, directories that it did not
 * visit are removed, so moved parents, mounts and removed links need no special handling.
 *
 * Used by the watcher's thread alone.
 */
#ifndef PS_WATCH_TREE_H
#define PS_WATCH_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* How a directory was reached; the highest rank determines its path. */
enum ps_rank { PS_RANK_LINKED, PS_RANK_INNER, PS_RANK_ROOT };

struct ps_tree_dir {
    uint64_t device;
    uint64_t inode;
    char *path;
    size_t root; /* number of the configured directory */
    enum ps_rank rank;
    int watch;      /* the kernel's watch descriptor; -1: not watched */
    uint64_t visit; /* number of the last visit */
    bool unreadable_logged;
    TAILQ_ENTRY(ps_tree_dir) link;
};

struct ps_tree_counts {
    size_t directories;
    size_t unwatched;
};

struct ps_tree;

/* A tree for `roots` configured directories, without a watch yet. NULL without memory. */
struct ps_tree *ps_tree_new(size_t roots);
void ps_tree_free(struct ps_tree *tree);

/* Opens the kernel's event queue unless it is open. Returns 0 or errno, and nothing is watched
 * then. */
int ps_tree_open(struct ps_tree *tree);
int ps_tree_fd(const struct ps_tree *tree); /* -1: not open */

enum ps_entrance {
    PS_ENTERED,   /* read `*ret_dir` */
    PS_ELSEWHERE, /* visited already, or in the tree under another path */
    PS_NO_ENTRY,  /* failed, see errno */
};

/* Visits a directory: adds it to the tree and watches it if possible. */
enum ps_entrance ps_tree_enter(struct ps_tree *tree, const char *path, size_t root,
                               enum ps_rank rank, uint64_t visit, struct ps_tree_dir **ret_dir);

/* The directory of a watch; NULL: removed, its events are stale. */
struct ps_tree_dir *ps_tree_find(struct ps_tree *tree, int number);

/* True if its path still leads to it. */
bool ps_tree_path_is_current(const struct ps_tree_dir *dir);

/* Removes the directory at a path and all below it. */
void ps_tree_drop(struct ps_tree *tree, const char *path);

/* Removes directories that were last visited before `visit`. */
void ps_tree_sweep(struct ps_tree *tree, uint64_t visit);

/* The numbers of a configured directory, and the errno of the last refused watch (0: none). */
struct ps_tree_counts ps_tree_counts(const struct ps_tree *tree, size_t root);
size_t ps_tree_watches(const struct ps_tree *tree);
int ps_tree_refused(const struct ps_tree *tree);

#endif
