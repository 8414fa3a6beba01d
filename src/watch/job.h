/* A job: a micrograph to pick, from the watcher to its outcome. */
#ifndef PS_WATCH_JOB_H
#define PS_WATCH_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What makes a file, at one path, the same file: size and time of modification, to the nanosecond.
 * Device and inode are recorded, but not compared: they change when a share is mounted again, when
 * a session is copied back with its times (cp -a, rsync -a), and on sshfs and SMB at any time. So
 * a file that is replaced by one of the same size and time is not noticed. */
struct ps_identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* since 1970 */
};

struct ps_identity ps_identity_of(const struct stat *info);
bool ps_identity_equal(const struct ps_identity *a, const struct ps_identity *b);

/* Wall-clock times are nanoseconds since 1970, for messages. The monotonic time is for durations,
 * so that a step of the clock does not change them. */
struct ps_job {
    char *path; /* the watched directory as configured, and the path below it */
    char *name; /* the path below the watched directory */
    struct ps_identity identity;
    int64_t closed_ns;      /* its writer closed or renamed it; if a scan found it: its mtime */
    int64_t detected_ns;    /* the watcher found it complete */
    int64_t closed_mono_ns; /* closed_ns by CLOCK_MONOTONIC; 0: a scan found it */
    int64_t row;            /* in the journal */
    int revision;           /* from 1; increases when the file is rewritten */
    int attempt;            /* from 1; increases with each retry of this revision */
    bool files_missing;     /* its files of picks could not be written, or earlier ones removed */
};

/* A job with copies of path and name; NULL without memory. */
struct ps_job *ps_job_new(const char *path, const char *name);
void ps_job_free(struct ps_job *job);

#endif
