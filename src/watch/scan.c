#include "watch/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_PORTION = 256 }; /* entries of a directory in one step */

/* A directory to visit. */
struct item {
    char *path;
    size_t root;
    enum ps_rank rank;
    uint64_t visit;
    STAILQ_ENTRY(item) link;
};
STAILQ_HEAD(queue, item);

struct ps_scan {
    struct ps_scan_dependencies dependencies;
    struct queue queue;
    struct queue linked; /* behind links; visited after all others */
    uint64_t visit;      /* number of the latest scan */
    uint64_t full_visit; /* number of the latest scan of everything */
    size_t full_left;    /* its items, queued and current; 0: not running */
    int shortage;        /* errno for which it left directories out; 0: none */
    struct item *current;
    DIR *stream; /* of the current item */
};

struct ps_scan *ps_scan_new(const struct ps_scan_dependencies *dependencies)
{
    struct ps_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return NULL;
    scan->dependencies = *dependencies;
    STAILQ_INIT(&scan->queue);
    STAILQ_INIT(&scan->linked);
    return scan;
}

static void item_free(struct item *item)
{
    if (item)
        free(item->path);
    free(item);
}

void ps_scan_free(struct ps_scan *scan)
{
    if (!scan)
        return;
    struct queue *const queues[] = {&scan->queue, &scan->linked};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        struct item *item;
        while ((item = STAILQ_FIRST(queues[i])) != NULL) {
            STAILQ_REMOVE_HEAD(queues[i], link);
            item_free(item);
        }
    }
    if (scan->stream)
        (void)closedir(scan->stream);
    item_free(scan->current);
    free(scan);
}

bool ps_scan_enters(const struct ps_config *config, const char *name)
{
    const size_t length = strlen(name);
    return config->input.recursive && name[0] != '.' &&
           !(length >= 4 && strcasecmp(name + length - 4, ".tmp") == 0);
}

size_t ps_scan_name_offset(const struct ps_roots *roots, size_t root)
{
    const char *path = ps_roots_path(roots, root);
    const size_t length = strlen(path);
    return path[length - 1] == '/' ? length : length + 1; /* only "/" ends with a slash */
}

/* ---- the queue --------------------------------------------------------------------------------
 */

static void push(struct ps_scan *scan, const char *path, size_t root, enum ps_rank rank,
                 uint64_t visit)
{
    struct item *item = calloc(1, sizeof *item);
    char *copy = strdup(path);
    if (!item || !copy) {
        free(item);
        free(copy);
        scan->shortage = ENOMEM;
        return;
    }
    *item = (struct item){.path = copy, .root = root, .rank = rank, .visit = visit};
    if (rank == PS_RANK_LINKED)
        STAILQ_INSERT_TAIL(&scan->linked, item, link);
    else
        STAILQ_INSERT_TAIL(&scan->queue, item, link);
    scan->full_left += visit == scan->full_visit;
}

void ps_scan_begin(struct ps_scan *scan)
{
    scan->full_visit = ++scan->visit;
    scan->shortage = 0;
    for (size_t root = 0; root < ps_roots_count(scan->dependencies.roots); root++)
        push(scan, ps_roots_path(scan->dependencies.roots, root), root, PS_RANK_ROOT, scan->visit);
}

bool ps_scan_running(const struct ps_scan *scan)
{
    return scan->full_left > 0;
}

int ps_scan_shortage(const struct ps_scan *scan)
{
    return scan->shortage;
}

void ps_scan_add(struct ps_scan *scan, const char *path, size_t root, enum ps_rank rank)
{
    push(scan, path, root, rank, ++scan->visit);
}

/* ---- a directory ------------------------------------------------------------------------------
 */

/* The process or the machine has no more of something: that says nothing about a directory. */
static bool is_shortage(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOMEM;
}

/* A directory cannot be read. Does not report a subdirectory that was deleted. */
static void report_failure(struct ps_scan *scan, const struct item *item, struct ps_tree_dir *dir,
                           int number)
{
    if (is_shortage(number)) {
        scan->shortage = number;
        return;
    }
    if (item->rank == PS_RANK_ROOT) {
        ps_roots_missing(scan->dependencies.roots, item->root, strerror(number));
        return;
    }
    if (number == ENOENT || number == ENOTDIR || number == ELOOP || (dir && dir->unreadable_logged))
        return;
    char quoted[PS_LOG_TEXT], why[PS_LOG_TEXT];
    ps_log_event(scan->dependencies.log, PS_LOG_WARNING, "directory_unreadable",
                 "directory=%s reason=%s", ps_log_quote(item->path, quoted),
                 ps_log_quote(strerror(number), why));
    if (dir)
        dir->unreadable_logged = true;
}

/* Opens the directory of the current item, unless it is read elsewhere. */
static void open_current(struct ps_scan *scan)
{
    const struct item *item = scan->current;
    struct ps_tree_dir *dir = NULL;
    switch (ps_tree_enter(scan->dependencies.tree, item->path, item->root, item->rank, item->visit,
                          &dir)) {
    case PS_ENTERED:
        scan->stream = opendir(item->path);
        if (!scan->stream)
            report_failure(scan, item, dir, errno);
        else if (item->rank == PS_RANK_ROOT)
            ps_roots_present(scan->dependencies.roots, item->root, false);
        else
            dir->unreadable_logged = false;
        break;
    case PS_ELSEWHERE:
        if (item->rank == PS_RANK_ROOT)
            ps_roots_present(scan->dependencies.roots, item->root, true);
        break;
    case PS_NO_ENTRY:
        report_failure(scan, item, NULL, errno);
        break;
    }
}

static void close_current(struct ps_scan *scan)
{
    if (scan->stream)
        (void)closedir(scan->stream);
    scan->stream = NULL;
    const bool full = scan->current->visit == scan->full_visit;
    item_free(scan->current);
    scan->current = NULL;
    if (full && --scan->full_left == 0 && !scan->shortage)
        ps_tree_sweep(scan->dependencies.tree, scan->full_visit);
}

static void observe_file(struct ps_scan *scan, const char *path, const struct stat *info)
{
    const struct ps_file_observation observation = {
        .path = path,
        .name_offset = ps_scan_name_offset(scan->dependencies.roots, scan->current->root),
        .root = scan->current->root,
        .identity = ps_identity_of(info),
    };
    ps_candidates_observe(scan->dependencies.candidates, &observation);
}

/* Handles an entry of the current directory. Skips names that match neither as directory nor as
 * file without a stat(). */
static void handle_entry(struct ps_scan *scan, const struct dirent *entry)
{
    const struct ps_scan_dependencies *dependencies = &scan->dependencies;
    const struct item *item = scan->current;
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    const bool enters = entry->d_type != DT_REG && ps_scan_enters(dependencies->config, name);
    const bool accepts = entry->d_type != DT_DIR && ps_config_includes(dependencies->config, name);
    if (!enters && !accepts)
        return;
    char path[PATH_MAX];
    const char *separator = item->path[strlen(item->path) - 1] == '/' ? "" : "/";
    const int length = snprintf(path, sizeof path, "%s%s%s", item->path, separator, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return;
    struct stat info;
    if (fstatat(dirfd(scan->stream), name, &info, 0) != 0)
        return;
    if (S_ISREG(info.st_mode) && accepts) {
        observe_file(scan, path, &info);
    } else if (S_ISDIR(info.st_mode) && enters) {
        struct stat itself;
        const bool link = entry->d_type == DT_LNK ||
                          (entry->d_type == DT_UNKNOWN &&
                           fstatat(dirfd(scan->stream), name, &itself, AT_SYMLINK_NOFOLLOW) == 0 &&
                           S_ISLNK(itself.st_mode));
        const bool linked = link || item->rank == PS_RANK_LINKED;
        push(scan, path, item->root, linked ? PS_RANK_LINKED : PS_RANK_INNER, item->visit);
    }
}

bool ps_scan_step(struct ps_scan *scan)
{
    if (!scan->current) {
        struct queue *queue = STAILQ_EMPTY(&scan->queue) ? &scan->linked : &scan->queue;
        scan->current = STAILQ_FIRST(queue);
        if (!scan->current)
            return false;
        STAILQ_REMOVE_HEAD(queue, link);
        open_current(scan);
    }
    for (int i = 0; scan->stream && i < MAX_PORTION; i++) {
        errno = 0;
        const struct dirent *entry = readdir(scan->stream);
        if (!entry) {
            if (errno)
                report_failure(scan, scan->current, NULL, errno);
            (void)closedir(scan->stream);
            scan->stream = NULL;
        } else {
            handle_entry(scan, entry);
        }
    }
    if (!scan->stream)
        close_current(scan);
    return scan->current || !STAILQ_EMPTY(&scan->queue) || !STAILQ_EMPTY(&scan->linked);
}
