/* Decides when a file that may still be growing is complete.
 *
 * A file is complete when
 *   - its writer has just closed it or renamed it into place, and nothing that its header describes
 *     is missing (PS_EXTENT_WHOLE): at once; or
 *   - it has been quiet for settle_seconds and is not shorter than its header says; or
 *   - it has been quiet for PS_SETTLE_SHORT_FACTOR times as long (a minute by default) and is still
 *     short or unreadable: the writer has stopped, and the reader reports the error. If writing
 *     continues after that, the file becomes another revision.
 *
 * Quiet means: size and time of modification did not change between two checks. The time is
 * measured by the local monotonic clock, from the check that found the last change. The time of
 * modification is not compared with a clock: it comes from another machine's clock, or from a copy
 * program that sets it. So a file that a scan finds has to wait for settle_seconds, however old it
 * seems; all files of a backlog wait at the same time.
 *
 * Zeros at the end of a file of full length (PS_EXTENT_BLANK) can be space that was reserved and
 * not written yet: then a close is not enough.
 *
 * These functions read no clock, and open no file except the one to check.
 */
#ifndef PS_WATCH_SETTLE_H
#define PS_WATCH_SETTLE_H

#include "watch/job.h"

enum { PS_SETTLE_SHORT_FACTOR = 12 };

/* The state of a file between checks; zeros before the first. */
struct ps_settle {
    struct ps_identity identity;
    int64_t changed_ns; /* monotonic time of the check that found the last change; 0: none yet */
    bool is_short;      /* quiet, but shorter than the header says: waiting for the timeout */
};

enum ps_settle_state {
    PS_SETTLE_WAITING, /* check again at ps_settle_due(), or after an event */
    PS_SETTLE_COMPLETE,
    PS_SETTLE_VANISHED,
};

/* Checks the file at `path`, which has `identity` at `now_ns`; opens it if the decision needs it.
 * `announced`: its writer has just closed it or renamed it into place. */
enum ps_settle_state ps_settle_check(struct ps_settle *settle, const char *path,
                                     const struct ps_identity *identity, bool announced,
                                     int64_t now_ns, double settle_seconds);

/* The time of the next check of a waiting file, monotonic ns. */
int64_t ps_settle_due(const struct ps_settle *settle, double settle_seconds);

#endif
