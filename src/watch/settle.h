/* Is this file complete? The memory of one file that is not known to be, and the rule.
 *
 * A file is complete when
 *   - its writer has just closed it, or renamed it into place, and nothing that its header speaks
 *     of is missing (PS_EXTENT_WHOLE): at once; or
 *   - it has been quiet for settle_seconds, and is not short of what its header predicts; or
 *   - it has been quiet for PS_SETTLE_PATIENCE times as long (a minute by default) and is still
 *     short, or cannot be read: nobody is writing it any more, and the reader shall say what is
 *     wrong with it. If somebody goes on after all, that is another revision of the file.
 *
 * Quiet means: between two of our looks, neither size nor time of modification nor inode changed.
 * How long is measured by our monotonic clock, from the look that saw the last change. The time of
 * modification is never compared with a clock: it comes from another machine's, or from a copy
 * program that sets it. So a file that is found by a scan has to wait for settle_seconds, however
 * old it seems; all files of a backlog do so at the same time.
 *
 * Zeros at the end of a file that is long enough (PS_EXTENT_BLANK) may be space that was reserved
 * and not yet written: then a close alone is not believed.
 *
 * No clock is read here and no file opened but the one that is asked about.
 */
#ifndef PS_WATCH_SETTLE_H
#define PS_WATCH_SETTLE_H

#include "watch/job.h"

enum { PS_SETTLE_PATIENCE = 12 };

/* What is remembered of a file between looks; zeros before the first. */
struct ps_settle {
    struct ps_identity identity;
    int64_t changed_ns; /* monotonic time of the look that saw the last change; 0: none yet */
    bool short_of;      /* quiet, but not complete: its patience runs */
};

enum ps_settle_state {
    PS_SETTLE_WAITING, /* look again at ps_settle_due(), or when something tells of a change */
    PS_SETTLE_COMPLETE,
    PS_SETTLE_VANISHED,
};

/* Takes note of what the file at `path` is like (`identity`) at `now_ns`, and judges it; opens it
 * where that decides. `announced`: its writer has just closed it or renamed it into place. */
enum ps_settle_state ps_settle_look(struct ps_settle *settle, const char *path,
                                    const struct ps_identity *identity, bool announced,
                                    int64_t now_ns, double settle_seconds);

/* When a waiting file is to be looked at again, monotonic ns. */
int64_t ps_settle_due(const struct ps_settle *settle, double settle_seconds);

#endif
