/* The directories that are watched, and the kernel's watches on them.
 *
 * A directory is what has this device and inode, whatever leads to it: a link, a bind mount, a
 * configured directory inside another one. It is in the tree once, under one path, so that each
 * file in it is found once, cycles of links end, and the kernel, which has one watch for each
 * inode, agrees. Which path that is:
 *   - a configured directory belongs to itself, also inside another one: the nearest one names a
 *     file;
 *   - a path without links wins over one through a link below a configured directory;
 *   - among equals the one that was first, as long as it leads there.
 *
 * Every visit has a number, larger for later ones. After a scan of everything, what it did not come
 * by is swept out: so nothing has to be known about moved parents, mounts and removed links.
 *
 * Used by the watcher's thread alone.
 */
#ifndef PS_WATCH_TREE_H
#define PS_WATCH_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* How a directory was come by; the higher one names it. */
enum ps_rank { PS_RANK_LINKED, PS_RANK_INNER, PS_RANK_ROOT };

struct ps_tree_dir {
    uint64_t device;
    uint64_t inode;
    char *path;
    size_t root; /* number of the configured directory */
    enum ps_rank rank;
    int watch;      /* the kernel's number; -1: not watched */
    uint64_t visit; /* the last one */
    bool said;      /* that it cannot be read */
    TAILQ_ENTRY(ps_tree_dir) link;
};

struct ps_tree_counts {
    size_t directories;
    size_t unwatched;
};

struct ps_tree;

/* A tree for so many configured directories, without a watch yet. NULL without memory. */
struct ps_tree *ps_tree_new(size_t roots);
void ps_tree_free(struct ps_tree *tree);

/* Opens the kernel's queue of events unless it is open. 0 or errno; then nothing is watched. */
int ps_tree_open(struct ps_tree *tree);
int ps_tree_fd(const struct ps_tree *tree); /* -1: not open */

enum ps_entrance {
    PS_ENTERED,   /* `*ret_dir` is to be read */
    PS_ELSEWHERE, /* this visit has been there, or it is in the tree under another path */
    PS_NO_ENTRY,  /* errno tells */
};

/* Comes to a directory by a path: takes it into the tree, and watches it if that can be. */
enum ps_entrance ps_tree_enter(struct ps_tree *tree, const char *path, size_t root,
                               enum ps_rank rank, uint64_t visit, struct ps_tree_dir **ret_dir);

/* The directory of a watch; NULL: not there any more, its events are stale. */
struct ps_tree_dir *ps_tree_find(struct ps_tree *tree, int number);

/* Whether its path still leads to it. */
bool ps_tree_leads_there(const struct ps_tree_dir *dir);

/* Forgets the directory at a path and all below it. */
void ps_tree_drop(struct ps_tree *tree, const char *path);

/* Forgets what was last visited before `visit`. */
void ps_tree_sweep(struct ps_tree *tree, uint64_t visit);

/* What there is of a configured directory, and why watches were refused: the last errno, 0: none.
 */
struct ps_tree_counts ps_tree_counts(const struct ps_tree *tree, size_t root);
size_t ps_tree_watches(const struct ps_tree *tree);
int ps_tree_refused(const struct ps_tree *tree);

#endif
