#include "watch/tree.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* IN_CREATE reports directories, links, and files that are linked into place; other files are not
 * written yet. IN_MOVE_SELF: the path of the watch is wrong now. */
enum {
    EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
             IN_EXCL_UNLINK
};

struct ps_tree {
    int fd;
    int refused;
    size_t watches;
    void *by_inode;
    void *by_watch; /* directories with a watch */
    TAILQ_HEAD(ps_tree_dirs, ps_tree_dir) dirs;
    size_t root_count;
    struct ps_tree_counts *counts; /* by root */
};

static int by_inode(const void *left, const void *right)
{
    const struct ps_tree_dir *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->inode > b->inode) - (a->inode < b->inode);
}

static int by_watch(const void *left, const void *right)
{
    const struct ps_tree_dir *a = left, *b = right;
    return (a->watch > b->watch) - (a->watch < b->watch);
}

struct ps_tree *ps_tree_new(size_t roots)
{
    struct ps_tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        return NULL;
    tree->fd = -1;
    tree->root_count = roots;
    tree->counts = calloc(roots ? roots : 1, sizeof *tree->counts);
    TAILQ_INIT(&tree->dirs);
    if (tree->counts)
        return tree;
    free(tree);
    return NULL;
}

int ps_tree_open(struct ps_tree *tree)
{
    if (tree->fd < 0)
        tree->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return tree->fd < 0 ? errno : 0;
}

int ps_tree_fd(const struct ps_tree *tree)
{
    return tree->fd;
}

/* ---- watches ----------------------------------------------------------------------------------
 */

static void unwatch(struct ps_tree *tree, struct ps_tree_dir *dir)
{
    if (dir->watch < 0)
        return;
    (void)inotify_rm_watch(tree->fd, dir->watch);
    (void)tdelete(dir, &tree->by_watch, by_watch);
    dir->watch = -1;
    tree->watches--;
    tree->counts[dir->root].unwatched++;
}

/* Watches the directory. Adding an existing watch again is cheap. */
static void watch(struct ps_tree *tree, struct ps_tree_dir *dir)
{
    if (tree->fd < 0)
        return;
    const int number = inotify_add_watch(tree->fd, dir->path, EVENTS);
    if (number == dir->watch && number >= 0)
        return;
    unwatch(tree, dir);
    if (number < 0) {
        tree->refused = errno;
        return;
    }
    /* Another directory has this watch in the tree: it was moved away. */
    struct ps_tree_dir *other = ps_tree_find(tree, number);
    if (other) {
        (void)tdelete(other, &tree->by_watch, by_watch);
        other->watch = -1;
        tree->watches--;
        tree->counts[other->root].unwatched++;
    }
    dir->watch = number;
    if (!tsearch(dir, &tree->by_watch, by_watch)) {
        (void)inotify_rm_watch(tree->fd, number);
        dir->watch = -1;
        tree->refused = ENOMEM;
        return;
    }
    tree->watches++;
    tree->counts[dir->root].unwatched--;
}

struct ps_tree_dir *ps_tree_find(struct ps_tree *tree, int number)
{
    const struct ps_tree_dir key = {.watch = number};
    struct ps_tree_dir **found = tfind(&key, &tree->by_watch, by_watch);
    return found ? *found : NULL;
}

/* ---- directories ------------------------------------------------------------------------------
 */

static void remove_dir(struct ps_tree *tree, struct ps_tree_dir *dir)
{
    unwatch(tree, dir);
    tree->counts[dir->root].directories--;
    tree->counts[dir->root].unwatched--;
    (void)tdelete(dir, &tree->by_inode, by_inode);
    TAILQ_REMOVE(&tree->dirs, dir, link);
    free(dir->path);
    free(dir);
}

static struct ps_tree_dir *add(struct ps_tree *tree, const struct stat *info, const char *path,
                               size_t root)
{
    struct ps_tree_dir *dir = calloc(1, sizeof *dir);
    if (!dir)
        return NULL;
    *dir = (struct ps_tree_dir){
        .device = info->st_dev, .inode = info->st_ino, .root = root, .watch = -1};
    dir->path = strdup(path);
    if (!dir->path || !tsearch(dir, &tree->by_inode, by_inode)) {
        free(dir->path);
        free(dir);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&tree->dirs, dir, link);
    tree->counts[root].directories++;
    tree->counts[root].unwatched++;
    return dir;
}

/* A directory can change to a nearer configured directory and keep its path. */
static void set_root(struct ps_tree *tree, struct ps_tree_dir *dir, size_t root)
{
    tree->counts[dir->root].directories--;
    tree->counts[dir->root].unwatched -= dir->watch < 0;
    dir->root = root;
    tree->counts[root].directories++;
    tree->counts[root].unwatched += dir->watch < 0;
}

bool ps_tree_path_is_current(const struct ps_tree_dir *dir)
{
    struct stat info;
    return stat(dir->path, &info) == 0 && info.st_dev == dir->device && info.st_ino == dir->inode;
}

enum ps_entrance ps_tree_enter(struct ps_tree *tree, const char *path, size_t root,
                               enum ps_rank rank, uint64_t visit, struct ps_tree_dir **ret_dir)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return PS_NO_ENTRY;
    if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return PS_NO_ENTRY;
    }
    const struct ps_tree_dir key = {.device = info.st_dev, .inode = info.st_ino};
    struct ps_tree_dir **found = tfind(&key, &tree->by_inode, by_inode);
    struct ps_tree_dir *dir = found ? *found : NULL;
    if (dir && strcmp(dir->path, path) != 0) {
        if (dir->rank >= rank && (dir->visit >= visit || ps_tree_path_is_current(dir)))
            return PS_ELSEWHERE;
        char *old = strdup(dir->path);
        if (!old)
            return PS_NO_ENTRY;
        ps_tree_drop(tree, old); /* directories below it get new paths too */
        free(old);
        dir = NULL;
    }
    if (dir && dir->visit >= visit)
        return PS_ELSEWHERE;
    if (!dir)
        dir = add(tree, &info, path, root);
    if (!dir)
        return PS_NO_ENTRY; /* errno is ENOMEM */
    set_root(tree, dir, root);
    dir->rank = rank;
    dir->visit = visit;
    watch(tree, dir);
    *ret_dir = dir;
    return PS_ENTERED;
}

/* True for the directory at `path`, of `length` characters, and those below it. */
static bool is_below(const struct ps_tree_dir *dir, const char *path, size_t length)
{
    return strncmp(dir->path, path, length) == 0 &&
           (dir->path[length] == '\0' || dir->path[length] == '/');
}

void ps_tree_drop(struct ps_tree *tree, const char *path)
{
    const size_t length = strlen(path);
    struct ps_tree_dir *dir = TAILQ_FIRST(&tree->dirs);
    while (dir) {
        struct ps_tree_dir *next = TAILQ_NEXT(dir, link);
        if (is_below(dir, path, length))
            remove_dir(tree, dir);
        dir = next;
    }
}

void ps_tree_sweep(struct ps_tree *tree, uint64_t visit)
{
    struct ps_tree_dir *dir = TAILQ_FIRST(&tree->dirs);
    while (dir) {
        struct ps_tree_dir *next = TAILQ_NEXT(dir, link);
        if (dir->visit < visit)
            remove_dir(tree, dir);
        dir = next;
    }
}

void ps_tree_free(struct ps_tree *tree)
{
    if (!tree)
        return;
    if (tree->fd >= 0)
        (void)close(tree->fd); /* with all its watches, at once */
    tree->fd = -1;
    ps_tree_sweep(tree, UINT64_MAX);
    free(tree->counts);
    free(tree);
}

struct ps_tree_counts ps_tree_counts(const struct ps_tree *tree, size_t root)
{
    return tree->counts[root];
}

size_t ps_tree_watches(const struct ps_tree *tree)
{
    return tree->watches;
}

int ps_tree_refused(const struct ps_tree *tree)
{
    return tree->refused;
}
