/* Where the watcher puts what it finds. */
#ifndef PS_WATCH_SINK_H
#define PS_WATCH_SINK_H

#include "watch/job.h"

struct ps_watcher_sink {
    /* A complete micrograph: takes the job, whose path, name, identity and times are filled. Called
     * from the watcher's thread, now and then again for a file that is not known yet (every few
     * scans): the journal tells what is new. Returns false to be asked again at the next scan (the
     * journal has no room). */
    bool (*found)(void *context, struct ps_job *job);
    /* Asked whenever the thread comes round and no scan is under way: is a full rescan wanted
     * (ps_job_queue_wants_rescan)? It hands everything on again that is not known. */
    bool (*wants_rescan)(void *context);
    /* Whether this identity under this path has its outcome: the watcher then leaves the file
     * alone, and does not ask again until a rescan is wanted or the file changes. */
    bool (*known)(void *context, const char *path, const struct ps_identity *identity);
    void *context;
};

#endif
