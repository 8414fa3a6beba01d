/* A watcher on directories of its own, and a sink that remembers what was handed on; for the tests
 * of the watcher. Nothing here waits for time to pass: it waits for what the watcher does, and
 * fails after PATIENCE_SECONDS. */
#ifndef PS_TEST_WATCHING_H
#define PS_TEST_WATCHING_H

#include "watch/watcher.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PATIENCE_SECONDS = 60, MOST_DIRECTORIES = 4 };

/* The tests' micrograph: 16-bit, WHOLE bytes. */
enum { HEADER = 1024, SIDE = 64, WHOLE = HEADER + 2 * SIDE * SIDE };

struct hit {
    char *path;
    char *name;
    struct ps_identity identity;
    bool announced; /* it came with the time of an event */
    int64_t closed_ns;
    int64_t detected_ns;
    size_t next; /* of the same bucket, plus 1 */
};

enum { BUCKETS = 4096 }; /* of hits, by inode */

struct watching {
    char directory[64]; /* the test's own, and it is in it; removed afterwards */
    struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_watcher *watcher;

    pthread_mutex_t lock;
    pthread_cond_t news;
    struct hit *hits;
    size_t count;
    size_t buckets[BUCKETS]; /* the latest of each, plus 1 */
    bool blocked;            /* the sink waits */
    bool refusing;           /* it has no room */
    bool ignorant;           /* it knows nothing */
    size_t refused;
    size_t known;
    uint64_t scans; /* completed, at the last time that the watcher had none under way */
};

/* For cmocka: *state becomes a struct watching, not started. */
int watching_setup(void **state);
int watching_teardown(void **state);

/* Sets a key. */
void set(struct watching *watching, const char *key, const char *value);

/* Watches with these seconds, and waits for the first scan to be over. */
void watch_with(struct watching *watching, const char *directories, const char *settle_seconds,
                const char *poll_seconds);

/* Only events can find anything in time: a scan at the start, and none again. Waits for it. */
void watch_events(struct watching *watching, const char *directories);

/* Scans often, and lets files settle in a tenth of a second. */
void watch_scans(struct watching *watching, const char *directories);

/* Waits for a scan of everything that begins after this call to be over. */
void rescan(struct watching *watching);

/* Waits until so many scans of everything, counted from the start, are over. */
void await_scans(struct watching *watching, uint64_t scans);

/* Waits until a path was handed on so often. */
void await_times(struct watching *watching, const char *path, size_t times);
void await(struct watching *watching, const char *path);

/* Waits until so many files were handed on. */
void await_count(struct watching *watching, size_t count);

/* How often a path was handed on so far; and the latest of it. */
size_t times_found(struct watching *watching, const char *path);
struct hit hit_of(struct watching *watching, const char *path);

/* Waits until the status of a configured directory has this mode and (unless negative) so many
 * candidates. */
void await_mode(struct watching *watching, size_t root, const char *mode, int candidates);

/* All events so far have been handled: a file that nobody else uses is closed and comes through. */
void flush_events(struct watching *watching, const char *directory);

/* Tells the sink how to behave: `flag` is one of watching's. */
void tell(struct watching *watching, bool *flag, bool value);

/* One of watching's counts. */
size_t count_of(struct watching *watching, const size_t *count);

/* ---- writers ---- */

extern const unsigned char *micrograph; /* WHOLE bytes */

void make_directories(const char *path);
void write_file(const char *path);                 /* a whole one, and closes it */
void write_part(int fd, size_t begin, size_t end); /* bytes of it */
int open_file(const char *path, int flags);        /* or fails */
void close_file(int fd);
void shell(const char *format, ...) __attribute__((format(printf, 1, 2))); /* succeeds, or fails */

#endif
