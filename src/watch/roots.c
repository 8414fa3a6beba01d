#include "watch/roots.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

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

void ps_roots_update(struct ps_roots *roots, size_t number, const struct ps_root_view *view)
{
    struct root *root = &roots->items[number];
    const enum ps_poll poll = roots->config->input.poll;
    (void)pthread_mutex_lock(&roots->lock);
    root->directories = view->directories;
    root->candidates = view->candidates;
    (void)pthread_mutex_unlock(&roots->lock);
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

json_t *ps_roots_status(struct ps_roots *roots)
{
    json_t *array = json_array();
    (void)pthread_mutex_lock(&roots->lock);
    for (size_t i = 0; i < roots->count; i++) {
        const struct root *root = &roots->items[i];
        json_t *reason = *root->reason ? json_string(root->reason) : json_null();
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:o, s:I, s:I}", "path",
                                                     root->path, "mode", mode_names[root->mode],
                                                     "reason", reason ? reason : json_null(),
                                                     "directories", (json_int_t)root->directories,
                                                     "candidates", (json_int_t)root->candidates));
    }
    (void)pthread_mutex_unlock(&roots->lock);
    return array;
}
