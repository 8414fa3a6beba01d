#include "watch/roots.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

enum { LEFT_OUT_SECONDS = 60 }; /* between two log lines about files that are left out */

struct root {
    char *path;
    const char *remote;
    bool present;
    bool elsewhere; /* the same directory as another one, which reports its files */
    bool limited;   /* some of its directories could not be watched */
    enum ps_watch_mode mode;
    char reason[256];
    size_t directories;
    size_t candidates;
    struct ps_rule_counts left_out;
    struct ps_rule_counts logged; /* as of the last line about them */
    int64_t logged_ns;            /* its time; 0: none */
};

struct ps_roots {
    const struct ps_config *config;
    struct ps_log *log;
    pthread_mutex_t lock; /* guards what the status shows: mode, reason and numbers */
    size_t count;
    struct root *items;
};

static const char *const mode_names[] = {"missing", "missing", "poll", "inotify"};

/* f_type of statfs(2), from linux/magic.h or from the source of the file system. */
static const struct {
    unsigned long magic;
    const char *name;
} remote_file_systems[] = {
    {0x6969, "NFS"},       {0xfe534d42, "SMB"},    {0xff534d42, "CIFS"},     {0x517b, "SMB"},
    {0x47504653, "GPFS"},  {0x0bd00bd0, "Lustre"}, {0x19830326, "BeeGFS"},   {0x65735546, "FUSE"},
    {0x00c36400, "Ceph"},  {0x01021997, "9p"},     {0x786f4256, "vboxsf"},   {0xbacbacbc, "vmhgfs"},
    {0x5346414f, "AFS"},   {0x6b414653, "AFS"},    {0x20030528, "OrangeFS"}, {0x73757245, "Coda"},
    {0xaad7aaea, "PanFS"}, {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"},
};

const char *ps_remote_file_system(const char *path)
{
    struct statfs info;
    if (statfs(path, &info) != 0)
        return NULL;
    const unsigned long magic = (unsigned long)info.f_type & 0xffffffff;
    for (size_t i = 0; i < sizeof remote_file_systems / sizeof *remote_file_systems; i++)
        if (remote_file_systems[i].magic == magic)
            return remote_file_systems[i].name;
    return NULL;
}

struct ps_roots *ps_roots_new(const struct ps_config *config, struct ps_log *log)
{
    const struct ps_list *directories = &config->input.directories;
    struct ps_roots *roots = calloc(1, sizeof *roots);
    struct root *items = calloc(directories->count ? directories->count : 1, sizeof *items);
    if (!roots || !items) {
        free(roots);
        free(items);
        return NULL;
    }
    *roots = (struct ps_roots){.config = config, .log = log, .items = items};
    (void)pthread_mutex_init(&roots->lock, NULL);
    for (size_t i = 0; i < directories->count; i++) {
        char *path = strdup(directories->items[i]);
        if (!path) {
            ps_roots_free(roots);
            return NULL;
        }
        for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
            path[end - 1] = '\0';
        items[i].path = path;
        (void)snprintf(items[i].reason, sizeof items[i].reason, "not looked at yet");
        roots->count++;
    }
    return roots;
}

void ps_roots_free(struct ps_roots *roots)
{
    if (!roots)
        return;
    for (size_t i = 0; i < roots->count; i++)
        free(roots->items[i].path);
    free(roots->items);
    (void)pthread_mutex_destroy(&roots->lock);
    free(roots);
}

size_t ps_roots_count(const struct ps_roots *roots)
{
    return roots->count;
}

const char *ps_roots_path(const struct ps_roots *roots, size_t root)
{
    return roots->items[root].path;
}

/* ---- modes ------------------------------------------------------------------------------------
 */

/* Sets mode and reason; logs a change of the mode or of `limited` (watches ran out). */
static void set_mode(struct ps_roots *roots, struct root *root, enum ps_watch_mode mode,
                     bool limited, const char *reason)
{
    const bool changed = root->mode != mode || root->limited != limited;
    root->limited = limited;
    (void)pthread_mutex_lock(&roots->lock);
    root->mode = mode;
    (void)snprintf(root->reason, sizeof root->reason, "%s", reason);
    (void)pthread_mutex_unlock(&roots->lock);
    if (!changed)
        return;
    char path[PS_LOG_TEXT], why[PS_LOG_TEXT];
    const bool bad = mode == PS_WATCH_MISSING || limited;
    ps_log_event(roots->log, bad ? PS_LOG_WARNING : PS_LOG_INFO,
                 mode == PS_WATCH_MISSING ? "directory_missing" : "directory_watched",
                 "directory=%s mode=%s%s%s", ps_log_quote(root->path, path), mode_names[mode],
                 *reason ? " reason=" : "", *reason ? ps_log_quote(reason, why) : "");
}

void ps_roots_missing(struct ps_roots *roots, size_t number, const char *reason)
{
    struct root *root = &roots->items[number];
    root->present = false;
    (void)pthread_mutex_lock(&roots->lock);
    root->directories = 0;
    (void)pthread_mutex_unlock(&roots->lock);
    set_mode(roots, root, PS_WATCH_MISSING, false, reason);
}

void ps_roots_present(struct ps_roots *roots, size_t number, bool elsewhere)
{
    struct root *root = &roots->items[number];
    root->present = true;
    root->elsewhere = elsewhere;
    root->remote = ps_remote_file_system(root->path);
}

/* Logs how many files the rules leave out, when that has changed. */
static void log_left_out(struct ps_roots *roots, struct root *root)
{
    const int64_t now = ps_clock_mono_ns();
    if (memcmp(&root->left_out, &root->logged, sizeof root->logged) == 0 ||
        (root->logged_ns && now - root->logged_ns < (int64_t)LEFT_OUT_SECONDS * 1000000000))
        return;
    char text[512], path[PS_LOG_TEXT], quoted[PS_LOG_TEXT];
    const size_t count = ps_rule_counts_text(&root->left_out, text, sizeof text);
    ps_log_event(roots->log, PS_LOG_INFO, "files_left_out", "directory=%s files=%zu rules=%s",
                 ps_log_quote(root->path, path), count, ps_log_quote(text, quoted));
    root->logged = root->left_out;
    root->logged_ns = now;
}

void ps_roots_update(struct ps_roots *roots, size_t number, const struct ps_root_view *view)
{
    struct root *root = &roots->items[number];
    const enum ps_poll poll = roots->config->input.poll;
    (void)pthread_mutex_lock(&roots->lock);
    root->directories = view->directories;
    root->candidates = view->candidates;
    root->left_out = *view->left_out;
    (void)pthread_mutex_unlock(&roots->lock);
    log_left_out(roots, root);
    if (!root->present)
        return;

    char reason[sizeof root->reason] = "";
    const bool limited = poll != PS_POLL_ALWAYS && (view->no_inotify || view->unwatched > 0);
    enum ps_watch_mode mode = PS_WATCH_POLL;
    if (poll == PS_POLL_ALWAYS)
        (void)snprintf(reason, sizeof reason, "input.poll is always");
    else if (view->no_inotify)
        (void)snprintf(reason, sizeof reason, "no inotify instance: %s%s", strerror(view->refused),
                       view->refused == EMFILE ? " (fs.inotify.max_user_instances)" : "");
    else if (view->unwatched > 0)
        (void)snprintf(reason, sizeof reason, "%zu of %zu directories without a watch: %s%s",
                       view->unwatched, view->directories, strerror(view->refused),
                       view->refused == ENOSPC ? " (fs.inotify.max_user_watches)" : "");
    else if (root->remote && poll == PS_POLL_AUTO)
        (void)snprintf(reason, sizeof reason,
                       "%s: the kernel does not tell what other machines write", root->remote);
    else
        mode = PS_WATCH_INOTIFY;
    if (root->elsewhere)
        (void)snprintf(reason, sizeof reason, "the same directory as another one");
    set_mode(roots, root, mode, limited, reason);
}

size_t ps_roots_status(struct ps_roots *roots, struct ps_root_status **ret_items)
{
    struct ps_root_status *items = calloc(roots->count ? roots->count : 1, sizeof *items);
    if (!items)
        return 0;
    (void)pthread_mutex_lock(&roots->lock);
    for (size_t i = 0; i < roots->count; i++) {
        const struct root *root = &roots->items[i];
        items[i] = (struct ps_root_status){
            .path = root->path,
            .mode = mode_names[root->mode],
            .directories = root->directories,
            .candidates = root->candidates,
            .left_out = root->left_out,
        };
        memcpy(items[i].reason, root->reason, sizeof items[i].reason);
    }
    (void)pthread_mutex_unlock(&roots->lock);
    *ret_items = items;
    return roots->count;
}

size_t ps_roots_missing_count(struct ps_roots *roots)
{
    size_t missing = 0;
    (void)pthread_mutex_lock(&roots->lock);
    for (size_t i = 0; i < roots->count; i++)
        missing += roots->items[i].mode == PS_WATCH_MISSING;
    (void)pthread_mutex_unlock(&roots->lock);
    return missing;
}
