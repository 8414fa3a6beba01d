/* For the tests of the watcher: a watcher on temporary directories, and a sink that records the
 * files that were handed on. Waits end when the watcher has done something, and fail after
 * MAX_WAIT_SECONDS. */
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

enum { MAX_WAIT_SECONDS = 60, MAX_DIRECTORIES = 4 };

/* The tests' micrograph: 16-bit, WHOLE bytes. */
enum { HEADER = 1024, SIDE = 64, WHOLE = HEADER + 2 * SIDE * SIDE };

struct hit {
    char *path;
    char *name;
    struct ps_identity identity;
    bool announced; /* it has the time of an event */
    int64_t closed_ns;
    int64_t detected_ns;
    size_t next; /* of the same bucket, plus 1 */
};

enum { BUCKETS = 4096 }; /* of hits, by inode */

struct watching {
    char directory[64]; /* temporary, and the current directory; removed afterwards */
    struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_watcher *watcher;
    const char *layout; /* input.layout; NULL: plain */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hit *hits;
    size_t count;
    size_t buckets[BUCKETS]; /* the latest of each, plus 1 */
    bool blocked;            /* the sink waits */
    bool refusing;           /* it refuses jobs */
    bool ignorant;           /* it knows no file */
    size_t refused;
    size_t known;
    uint64_t scans; /* completed, as of the last time that none was running */
};

/* For cmocka: *state becomes a struct watching, not started. */
int watching_setup(void **state);
int watching_teardown(void **state);

/* Sets a key. */
void set(struct watching *watching, const char *key, const char *value);

/* Watches with these seconds, and waits until the first scan has ended. */
void watch_with(struct watching *watching, const char *directories, const char *settle_seconds,
                const char *poll_seconds);

/* Only events can find files in time: one scan at the start, which it waits for, and no other. */
void watch_events(struct watching *watching, const char *directories);

/* Scans often, and lets files settle in a tenth of a second. */
void watch_scans(struct watching *watching, const char *directories);

/* Waits until a scan of everything that begins after this call has ended. */
void rescan(struct watching *watching);

/* Waits until `scans` scans of everything, counted from the start, have ended. */
void await_scans(struct watching *watching, uint64_t scans);

/* Waits until a path was handed on `times` times. */
void await_times(struct watching *watching, const char *path, size_t times);
void await(struct watching *watching, const char *path);

/* Waits until `count` files were handed on. */
void await_count(struct watching *watching, size_t count);

/* How often a path was handed on so far, and the latest time. */
size_t times_found(struct watching *watching, const char *path);
struct hit hit_of(struct watching *watching, const char *path);

/* Waits until the status of a configured directory has this mode and, unless negative, this number
 * of candidates. */
void await_mode(struct watching *watching, size_t root, const char *mode, int candidates);

/* Waits until all events so far are handled: closes a new file and waits until it is handed on. */
void flush_events(struct watching *watching, const char *directory);

/* Sets a flag of the sink: `flag` points into `watching`. */
void tell(struct watching *watching, bool *flag, bool value);

/* Reads a count of `watching`. */
size_t count_of(struct watching *watching, const size_t *count);

/* ---- writers ---- */

extern const unsigned char *micrograph; /* WHOLE bytes */

void make_directories(const char *path);
void write_file(const char *path);                 /* writes the whole file and closes it */
void write_part(int fd, size_t begin, size_t end); /* bytes of it */
int open_file(const char *path, int flags);        /* or fails */
void close_file(int fd);
void shell(const char *format, ...) __attribute__((format(printf, 1, 2))); /* succeeds, or fails */

#endif
