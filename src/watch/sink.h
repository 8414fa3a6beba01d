/* The receiver of the files that the watcher finds. */
#ifndef PS_WATCH_SINK_H
#define PS_WATCH_SINK_H

#include "watch/job.h"

struct ps_watcher_sink {
    /* A complete micrograph: takes the job, whose path, name, identity and times are set. Called by
     * the watcher's thread, and every few scans again for a file without an outcome: the journal
     * knows which are new. Returns false to be asked again at the next scan (the journal cannot be
     * written). */
    bool (*found)(void *context, struct ps_job *job);
    /* Called in every round of the watcher's loop without a running scan. True: begin a scan of
     * everything that passes on all files without an outcome (ps_job_queue_wants_rescan()). */
    bool (*wants_rescan)(void *context);
    /* True if the file of this identity under this path has its outcome: the watcher then ignores
     * it and does not ask again until a rescan is wanted or the file changes. */
    bool (*known)(void *context, const char *path, const struct ps_identity *identity);
    void *context;
};

#endif
