#include "watching.h"

#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned char content[WHOLE];
const unsigned char *micrograph = content;

/* ---- the sink ----------------------------------------------------------------------------------
 */

static bool found(void *context, struct ps_job *job)
{
    struct watching *watching = context;
    pthread_mutex_lock(&watching->lock);
    while (watching->blocked)
        pthread_cond_wait(&watching->changed, &watching->lock);
    const bool room = !watching->refusing;
    if (room) {
        watching->hits = realloc(watching->hits, (watching->count + 1) * sizeof *watching->hits);
        size_t *bucket = &watching->buckets[job->identity.inode % BUCKETS];
        watching->hits[watching->count++] = (struct hit){
            .path = strdup(job->path),
            .name = strdup(job->name),
            .identity = job->identity,
            .announced = job->closed_mono_ns != 0,
            .closed_ns = job->closed_ns,
            .detected_ns = job->detected_ns,
            .next = *bucket,
        };
        *bucket = watching->count;
    } else {
        watching->refused++;
    }
    pthread_cond_broadcast(&watching->changed);
    pthread_mutex_unlock(&watching->lock);
    ps_job_free(job);
    return room;
}

static bool known(void *context, const char *path, const struct ps_identity *identity)
{
    struct watching *watching = context;
    bool result = false;
    pthread_mutex_lock(&watching->lock);
    const struct hit *hit = NULL;
    for (size_t i = watching->buckets[identity->inode % BUCKETS]; i && !result; i = hit->next) {
        hit = &watching->hits[i - 1];
        result = !watching->ignorant && ps_identity_equal(&hit->identity, identity) &&
                 strcmp(hit->path, path) == 0;
    }
    watching->known += result;
    pthread_mutex_unlock(&watching->lock);
    return result;
}

/* Called while no scan is running. */
static bool wants_rescan(void *context)
{
    struct watching *watching = context;
    pthread_mutex_lock(&watching->lock);
    watching->scans = ps_metrics_counter(watching->metrics, PS_COUNTER_RESCANS);
    pthread_cond_broadcast(&watching->changed);
    pthread_mutex_unlock(&watching->lock);
    return false;
}

/* ---- life --------------------------------------------------------------------------------------
 */

int watching_setup(void **state)
{
    struct watching *watching = calloc(1, sizeof *watching);
    const int32_t words[] = {SIDE, SIDE, 1, 1};
    memset(content + HEADER, 0x11, WHOLE - HEADER);
    memcpy(content, words, sizeof words);
    *state = watching;
    (void)snprintf(watching->directory, sizeof watching->directory, "/tmp/pickstream-watch-XXXXXX");
    if (!mkdtemp(watching->directory) || chdir(watching->directory) != 0)
        return -1;
    watching->config = ps_config_new();
    watching->log = ps_log_new(PS_LOG_ERROR);
    watching->metrics = ps_metrics_new();
    pthread_mutex_init(&watching->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watching->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return 0;
}

int watching_teardown(void **state)
{
    struct watching *watching = *state;
    tell(watching, &watching->blocked, false);
    ps_watcher_stop(watching->watcher);
    for (size_t i = 0; i < watching->count; i++) {
        free(watching->hits[i].path);
        free(watching->hits[i].name);
    }
    free(watching->hits);
    ps_metrics_free(watching->metrics);
    ps_log_free(watching->log);
    ps_config_free(watching->config);
    pthread_cond_destroy(&watching->changed);
    pthread_mutex_destroy(&watching->lock);
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", watching->directory);
    free(watching);
    return chdir("/") == 0 ? system(command) : -1;
}

void set(struct watching *watching, const char *key, const char *value)
{
    struct ps_error error;
    if (ps_config_set(watching->config, key, value, &error))
        fail_msg("%s", error.message);
}

static void start(struct watching *watching, const char *directories, const char *settle,
                  const char *poll)
{
    const struct ps_watcher_sink sink = {found, wants_rescan, known, watching};
    struct ps_error error;
    set(watching, "input.directories", directories);
    set(watching, "input.layout", watching->layout ? watching->layout : "plain");
    set(watching, "input.settle_seconds", settle);
    set(watching, "input.poll_seconds", poll);
    if (ps_watcher_start(watching->config, watching->log, watching->metrics, &sink,
                         &watching->watcher, &error))
        fail_msg("%s", error.message);
}

/* ---- waiting -----------------------------------------------------------------------------------
 */

/* The deadline of a wait that begins now. */
static struct timespec deadline(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += MAX_WAIT_SECONDS;
    return at;
}

/* Wakes the watcher and waits for a change; fails at the deadline. */
static void wait_until(struct watching *watching, const struct timespec *end, const char *what)
{
    struct timespec slice;
    (void)clock_gettime(CLOCK_MONOTONIC, &slice);
    if (slice.tv_sec > end->tv_sec) {
        pthread_mutex_unlock(&watching->lock);
        fail_msg("waited in vain: %s", what);
    }
    (void)ps_watcher_ticks(watching->watcher);
    slice.tv_nsec += 20000000;
    slice.tv_sec += slice.tv_nsec / 1000000000;
    slice.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&watching->changed, &watching->lock, &slice);
}

void await_scans(struct watching *watching, uint64_t scans)
{
    const struct timespec end = deadline();
    pthread_mutex_lock(&watching->lock);
    while (watching->scans < scans)
        wait_until(watching, &end, "scan");
    pthread_mutex_unlock(&watching->lock);
}

void watch_with(struct watching *watching, const char *directories, const char *settle_seconds,
                const char *poll_seconds)
{
    start(watching, directories, settle_seconds, poll_seconds);
    await_scans(watching, 1);
}

void watch_events(struct watching *watching, const char *directories)
{
    watch_with(watching, directories, "3600", "86400");
}

void watch_scans(struct watching *watching, const char *directories)
{
    watch_with(watching, directories, "0.1", "0.1");
}

void rescan(struct watching *watching)
{
    /* Twice: the first one to end can have begun before this call. */
    for (int i = 0; i < 2; i++) {
        const uint64_t before = ps_metrics_counter(watching->metrics, PS_COUNTER_RESCANS);
        ps_watcher_rescan(watching->watcher);
        await_scans(watching, before + 1);
    }
}

static size_t count_locked(const struct watching *watching, const char *path)
{
    size_t times = 0;
    for (size_t i = 0; i < watching->count; i++)
        times += strcmp(watching->hits[i].path, path) == 0;
    return times;
}

size_t times_found(struct watching *watching, const char *path)
{
    pthread_mutex_lock(&watching->lock);
    const size_t times = count_locked(watching, path);
    pthread_mutex_unlock(&watching->lock);
    return times;
}

void await_times(struct watching *watching, const char *path, size_t times)
{
    const struct timespec end = deadline();
    pthread_mutex_lock(&watching->lock);
    while (count_locked(watching, path) < times)
        wait_until(watching, &end, path);
    pthread_mutex_unlock(&watching->lock);
}

void await(struct watching *watching, const char *path)
{
    await_times(watching, path, 1);
}

void await_count(struct watching *watching, size_t count)
{
    const struct timespec end = deadline();
    pthread_mutex_lock(&watching->lock);
    while (watching->count < count)
        wait_until(watching, &end, "files");
    pthread_mutex_unlock(&watching->lock);
}

struct hit hit_of(struct watching *watching, const char *path)
{
    struct hit hit = {0};
    pthread_mutex_lock(&watching->lock);
    for (size_t i = 0; i < watching->count; i++)
        if (strcmp(watching->hits[i].path, path) == 0)
            hit = watching->hits[i];
    pthread_mutex_unlock(&watching->lock);
    assert_non_null(hit.path);
    return hit;
}

void await_mode(struct watching *watching, size_t root, const char *mode, int candidates)
{
    const struct timespec end = deadline();
    for (bool done = false; !done;) {
        struct ps_root_status *items = NULL;
        assert_true(ps_watcher_status(watching->watcher, &items) > root);
        done = strcmp(items[root].mode, mode) == 0 &&
               (candidates < 0 || items[root].candidates == (size_t)candidates);
        free(items);
        pthread_mutex_lock(&watching->lock);
        if (!done)
            wait_until(watching, &end, mode);
        pthread_mutex_unlock(&watching->lock);
    }
}

void flush_events(struct watching *watching, const char *directory)
{
    static int number;
    char path[200];
    (void)snprintf(path, sizeof path, "%s/flush%d.mrc", directory, number++);
    write_file(path);
    await(watching, path);
}

size_t count_of(struct watching *watching, const size_t *count)
{
    pthread_mutex_lock(&watching->lock);
    const size_t value = *count;
    pthread_mutex_unlock(&watching->lock);
    return value;
}

void tell(struct watching *watching, bool *flag, bool value)
{
    pthread_mutex_lock(&watching->lock);
    *flag = value;
    pthread_cond_broadcast(&watching->changed);
    pthread_mutex_unlock(&watching->lock);
}

/* ---- writers -----------------------------------------------------------------------------------
 */

void make_directories(const char *path)
{
    char partial[300];
    (void)snprintf(partial, sizeof partial, "%s/", path);
    for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(partial, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return fd;
}

void write_part(int fd, size_t begin, size_t end)
{
    assert_int_equal(pwrite(fd, content + begin, end - begin, (off_t)begin),
                     (ssize_t)(end - begin));
}

void close_file(int fd)
{
    assert_int_equal(close(fd), 0);
}

void write_file(const char *path)
{
    int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
    write_part(fd, 0, WHOLE);
    close_file(fd);
}

void shell(const char *format, ...)
{
    char command[500];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        fail_msg("%s", command);
}
