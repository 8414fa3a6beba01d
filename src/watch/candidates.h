/* Files that may be micrographs and are not known to be complete: from the first sight to the sink.
 *
 * A file is seen by an event or by a scan. If it has its outcome (sink->known) nothing happens;
 * otherwise it becomes a candidate, is looked at when something tells of it and when its time comes
 * (settle.h), and is handed on when it is complete. What the sink refuses stays, and is offered
 * again with the next scan.
 *
 * What the sink took and does not know yet (it waits to be picked) is left alone for a few scans,
 * PS_CANDIDATES_TURNS, and then handed on once more: should it have been lost on its way, it is
 * found again, and a long backlog costs little.
 *
 * All that wait for quiet wait for equally long, and so do all that are still short after it: in
 * two lists, in the order in which they began to wait, the first is always the next to be looked
 * at.
 *
 * There are no more than PS_CANDIDATES_MOST: a scan of more finds the rest the next time. Used by
 * the watcher's thread alone.
 */
#ifndef PS_WATCH_CANDIDATES_H
#define PS_WATCH_CANDIDATES_H

#include "watch/sink.h"

#include <stddef.h>

enum { PS_CANDIDATES_MOST = 1 << 17, PS_CANDIDATES_TURNS = 6 };

struct ps_candidates;

/* For so many configured directories. NULL without memory. */
struct ps_candidates *ps_candidates_new(const struct ps_watcher_sink *sink, double settle_seconds,
                                        size_t roots);
void ps_candidates_free(struct ps_candidates *candidates);

/* A file came to our notice. */
struct ps_sighting {
    const char *path;
    size_t below; /* where the name begins: behind the configured directory */
    size_t root;  /* number of that */
    struct ps_identity identity;
    bool announced;  /* its writer closed it or renamed it into place: */
    int64_t wall_ns; /* then, by the clock on the wall, */
    int64_t mono_ns; /* and by the monotonic one */
};
void ps_candidates_see(struct ps_candidates *candidates, const struct ps_sighting *sighting);

/* When the next candidate is to be looked at, monotonic ns; INT64_MAX: none. */
int64_t ps_candidates_due(const struct ps_candidates *candidates);

/* Looks at those whose time has come, up to `most` of them. */
void ps_candidates_check(struct ps_candidates *candidates, size_t most);

/* A scan of everything begins: offers again what the sink refused. If `forget`, the sink is asked
 * anew about files that it knew. */
void ps_candidates_turn(struct ps_candidates *candidates, bool forget);

/* How many there are of a configured directory. */
size_t ps_candidates_count(const struct ps_candidates *candidates, size_t root);

#endif
