/* A job: a micrograph to pick, from the watcher to its outcome. */
#ifndef PS_WATCH_JOB_H
#define PS_WATCH_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What makes a file, at one path, the same file: size and time of modification, to the nanosecond.
 * Device and inode are recorded, but not compared: they change when a share is mounted again, when
 * a session is copied back with its times (cp -a, rsync -a), and on sshfs and SMB at any time.
 *
 * The time of the last change of the inode shows a rewrite that restored the time of modification,
 * but also changes with permissions, owner, name and number of links. So if it alone differs, a
 * checksum of the content (image/checksum.h) decides. */
struct ps_identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* since 1970 */
    int64_t ctime_ns; /* since 1970; 0: unknown */
};

struct ps_identity ps_identity_of(const struct stat *info);

/* Size and time of modification are equal. */
bool ps_identity_equal(const struct ps_identity *a, const struct ps_identity *b);

enum ps_identity_match {
    PS_IDENTITY_OTHER,   /* not ps_identity_equal() */
    PS_IDENTITY_UNSURE,  /* equal, but the inode changed: compare the contents */
    PS_IDENTITY_THE_SAME /* equal, and the inode did not change as far as is known */
};
enum ps_identity_match ps_identity_compare(const struct ps_identity *a,
                                           const struct ps_identity *b);

/* A micrograph during which processes died so often is tried alone, after all others; one that did
 * it again then is not tried any more. What was picked at the same time has no outcome either, and
 * cannot be told apart before it is tried again. */
enum { PS_SUSPECT_DEATHS = 2, PS_MAX_DEATHS = 3 };

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
    int deaths;             /* of processes that picked it, as far as is known */
    bool repick;            /* its content has an outcome, which this one is to replace */
    int64_t checksum;       /* of the content that was read (image/checksum.h); 0: unknown */
};

/* A job with copies of path and name; NULL without memory. */
struct ps_job *ps_job_new(const char *path, const char *name);
void ps_job_free(struct ps_job *job);

#endif
