/* A micrograph on its way through the service, from the watcher to its outcome. */
#ifndef PS_WATCH_JOB_H
#define PS_WATCH_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What makes a file the same file: a rewritten one differs in size or time, a replaced one in its
 * inode. */
struct ps_identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* since 1970 */
};

struct ps_identity ps_identity_of(const struct stat *info);
bool ps_identity_equal(const struct ps_identity *a, const struct ps_identity *b);

/* One micrograph to pick. Wall-clock times are nanoseconds since 1970, for messages; the monotonic
 * one is for durations, so that a stepped clock changes none. */
struct ps_job {
    char *path; /* the watched directory as it was configured, and what is below it */
    char *name; /* the path below the watched directory */
    struct ps_identity identity;
    int64_t closed_ns;      /* its writer closed or renamed it; found by a scan: its mtime */
    int64_t detected_ns;    /* we found it complete */
    int64_t closed_mono_ns; /* when closed_ns was, by CLOCK_MONOTONIC; 0: found by a scan */
    int64_t row;            /* in the journal */
    int revision;           /* 1, and 1 more each time that the file was rewritten */
    int attempt;            /* 1, and 1 more for each retry of this revision */
};

/* A job with copies of path and name; NULL without memory. */
struct ps_job *ps_job_new(const char *path, const char *name);
void ps_job_free(struct ps_job *job);

#endif
